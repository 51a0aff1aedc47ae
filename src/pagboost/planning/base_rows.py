"""Which samples without boosting a scale measures as its papers did, and makes of nothing that is trained here."""

from __future__ import annotations

from typing import Any

from pagboost.errors import InputError
from pagboost.options.trainings import Training
from pagboost.planning.lineage import Result, closure
from pagboost.planning.results import EVAL, Results
from pagboost.report import base_rows, cells
from pagboost.report.base_rows import Printed

PREPARED = "pytorch"  # how an Inception that does not say so resizes


def wanted(results: Results) -> list[Result]:
    """The metrics of such samples, each once; InputError where a scale has none."""
    papers = results.scale["papers"].values()
    rows = [one for paper in papers for one in base_rows.printed(paper)]
    found = dict.fromkeys(one.generator for one in rows if alike(results, one) and is_public(results, one.generator))
    if not found:
        raise InputError("base_rows: this scale measures nothing that is public as its papers did, expected some")
    return [results.metrics(name, cells.RAW) for name in found]


def alike(results: Results, printed: Printed) -> bool:
    """Whether a scale is to measure a number as the paper did: extractor, resize, reference, number of samples."""
    scale, how = results.scale, printed.how
    protocol = scale["protocols"].get(printed.protocol)
    if protocol is None or printed.generator not in scale["generators"] or printed.generator in scale["unavailable"]:
        return False
    reference = protocol.get("reference", {}).get(results.dataset_of(printed.generator)) or {}
    network = scale["models"][protocol["extractor"]].get("network", {})
    stated = {
        "extractor": protocol["extractor"],
        "reference": reference.get("called") or protocol.get("split"),
        "resize": network.get("resize", PREPARED),
        "n": protocol.get("n") or results.per_seed(printed.generator, EVAL),
    }
    return all(_holds(how.get(key), value) for key, value in stated.items())


def _holds(asked: Any, value: Any) -> bool:
    """A list: any of its values."""
    return asked is None or value in (asked if isinstance(asked, list) else [asked])


def is_public(results: Results, generator: str) -> bool:
    """Whether samples come from elsewhere, or are drawn by networks that do."""
    kinds, made = Training.kinds(), closure([results.generated(generator, EVAL)])
    return not any(one.script == "train.py" and kinds[one.settings["spec"]["kind"]].trains for one in made)
