"""What boosting did to one set of samples: steps, radius and target labels, as boosting wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.report.cells import steps_file

NORMS = {"l2": "L2", "linf": "L-inf"}


@dataclass(frozen=True)
class Choice:
    """A boost as it was applied to one generator's samples; alpha and eps at the size of these samples.

    published_eps is the paper's radius (BIGRoC Table 3), scaled_eps the same carried over at equal change per pixel;
    both None for a boost whose radius is not chosen around a published one. candidates: what it was chosen from, each
    {steps, eps, fid}, and without fid where there was no choice; unboosted: that FID without boosting.
    """

    path: Path
    steps: int
    alpha: float
    eps: float | None
    norm: str
    published_eps: float | None
    scaled_eps: float | None
    labels: Mapping[str, Any]
    candidates: Sequence[Mapping[str, Any]] = ()
    unboosted: float | None = None

    def settings(self) -> str:
        """Steps, step size and radius in words: "30 steps of 0.02, L2 eps 0.6"."""
        radius = "" if self.eps is None else f", {NORMS[self.norm]} eps {self.eps:.3g}"
        return f"{self.steps} steps of {self.alpha:.3g}{radius}"

    def shares(self) -> dict[str, list[float]]:
        """Sampling seed -> share of each class among the target labels (BIGRoC Fig. 3).

        Raises InputError for a file without counts, and for counts of different lengths or of nothing.
        """
        counts = self.labels.get("counts") or {}
        lengths = {len(own) for own in counts.values()}
        if len(lengths) != 1 or not all(sum(own) for own in counts.values()):
            raise InputError(f"{self.path}: labels.counts is {counts}, expected images of each class by sampling seed")
        return {seed: [count / sum(own) for count in own] for seed, own in counts.items()}


def load(results: str | Path, generator: str, boost: str) -> Choice:
    """How a generator's samples were boosted. Raises InputError for a missing or foreign file."""
    path = steps_file(results, generator, boost)
    content = artifacts.load_json(path)
    if not isinstance(content, Mapping) or not {"steps", "alpha"} <= content.keys():
        raise InputError(f"{path}: expected the chosen steps and alpha")
    norm = content.get("norm", "l2")
    if norm not in NORMS:
        raise InputError(f"{path}: norm {norm}, expected one of: {', '.join(NORMS)}")
    return Choice(
        path=path,
        steps=content["steps"],
        alpha=content["alpha"],
        eps=content.get("eps"),
        norm=norm,
        published_eps=content.get("published_eps"),
        scaled_eps=content.get("scaled_eps"),
        labels=content.get("labels") or {},
        candidates=content.get("candidates") or [],
        unboosted=content.get("unboosted_fid"),
    )
