"""What a scale's results need of other places: what can be fetched, and what has to be put there by hand."""

from __future__ import annotations

from typing import NamedTuple

from pagboost.planning.lineage import Result, closure
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import EVAL
from pagboost.sources import remotes
from pagboost.sources.remotes import Remote


class Needed(NamedTuple):
    """remotes: URLs. by_hand: files and folders of this machine that come from elsewhere too."""

    remotes: list[Remote]
    by_hand: list[str]


def needed(shown: Outputs) -> Needed:
    """Of all that the scale's papers show, and nothing else; of all of a scale that reproduces no paper.

    Raises InputError for a result that the configuration cannot have.
    """
    made = closure(asked(shown))
    papers = {str(path) for path in shown.scale["files"]}
    outside = dict.fromkeys(path for result in made for path in result.outside if path not in papers)
    return Needed(remotes.found([result.settings for result in made]), list(outside))


def asked(shown: Outputs) -> list[Result]:
    """What the scale's papers show; all that a scale declares which reproduces no paper."""
    return [one for paper in shown.scale["papers"] for one in shown.outputs(paper)] or _everything(shown)


def _everything(shown: Outputs) -> list[Result]:
    """All data, networks and samples that a scale declares."""
    results, scale = shown.results, shown.scale
    return [
        *(results.data(name, "train") for name in scale["datasets"]),
        *(results.weights(name) for name in scale["models"]),
        *(results.generated(name, EVAL) for name in scale["generators"]),
    ]
