"""How far to walk, for a generator that nobody has tuned: every metric by length, on validation samples alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pagboost import images
from pagboost.artifacts import SampleSet
from pagboost.boosting import lengths, walks
from pagboost.boosting.guide import Guide, check
from pagboost.boosting.lengths import Plan
from pagboost.boosting.sets import Opened
from pagboost.errors import InputError
from pagboost.metrics import evaluation, references
from pagboost.metrics.features import Extractor, Seen
from pagboost.metrics.image_sets import ImageSet, in_channels
from pagboost.metrics.reference import Reference
from pagboost.metrics.scores import Options
from pagboost.options.boosts import BallBoost, StepBoost

K = 3  # neighbours of precision and recall
STEPS = (1, 2, 4, 8, 16, 32)
RADII, RADII_AT = (0.25, 0.5, 1.0, 2.0, 4.0), 3072  # BIGRoC's, at 32x32x3 values (its Table 3), and around
TESTS = ("test", "heldout")  # what splits of images are called that nothing may be chosen on


@dataclass(frozen=True)
class Scored:
    """A length and what metrics.json would say of the samples after it; plan None: not boosted."""

    plan: Plan | None
    result: Mapping[str, Any]

    @property
    def fid(self) -> float:
        """Fréchet distance of the extractor's features, which lengths are chosen by."""
        return self.result["mean"]["fid"]


def candidates(
    boost: StepBoost | BallBoost, guide: Guide, steps: Sequence[int] | None, eps: Sequence[float] | None
) -> list[Plan]:
    """Plans of these numbers of steps, or radii at the guide's size; None: STEPS, or RADII at equal change per value.

    Raises InputError for lengths that the boost does not have, or has no choice of.
    """
    if isinstance(boost, StepBoost) and boost.alpha == "published":
        raise InputError("boost.alpha: published, expected a number, the length of the steps that are counted")
    if isinstance(boost, BallBoost):
        values = guide.channels * guide.size**2
        radii = eps or [_short(lengths.carried_over(radius, boost.norm, values, RADII_AT)) for radius in RADII]
        given = [{"eps": radius} for radius in radii] if steps is None else [{"steps": steps[0]}]
    else:
        given = [{"steps": count} for count in steps or STEPS] if eps is None else [{"eps": eps[0]}]
    return [plan for one in given for plan in lengths.plans(boost, guide, **one)]


def _short(value: float) -> float:
    """Three digits: nobody knows better how far to walk."""
    return float(f"{value:.3g}")


def check_apart(validation: Opened, test: Opened) -> None:
    """Raise InputError where the samples to be boosted are those that lengths are chosen on."""
    if test.sha256() == validation.sha256():
        where = f"{test.source.where}: holds the very images of {validation.source.where}"
        raise InputError(f"{where}, which lengths are chosen on, expected others")


def reference_of(
    label: str, source: str, extractor: Extractor, like: ImageSet, batch_size: int, device: torch.device
) -> Reference:
    """What samples are compared with, as of evaluate.py; raises InputError for what does not fit `like`, the samples.

    And for images that results are reported on: what is chosen on them says nothing about them.
    """
    if label in TESTS:
        raise InputError(f"--reference {source}: {label} images, expected training or validation images to choose by")
    seen = in_channels(like, extractor.network.in_channels)
    (found,) = references.open_reference(source, [extractor], K, batch_size, device, split=label, shape=seen.shape)
    evaluation.check_fits(seen, [extractor], label, found)
    if found.facts.split in TESTS:
        raise InputError(f"--reference {source}: made of {found.facts.split} images, expected training or validation")
    return found


def scored(
    guide: Guide,
    plans: Sequence[Plan],
    samples: SampleSet,
    extractor: Extractor,
    reference: Reference,
    batch_size: int,
    device: torch.device,
    options: Options,
    where: str = "validation samples",
) -> list[Scored]:
    """The samples, labelled, before boosting and after each plan: one walk serves all numbers of steps of a boost.

    Memory holds a batch and the features of every length. Grey images are RGB to an extractor of colours.
    Raises InputError for samples that the guide cannot boost, and too few of them to be scored.
    """
    check(guide, samples, where)
    n, found = len(samples), {}
    evaluation.per_seed(np.zeros(n), reference.facts.k or 0, options.splits, where)
    channels = max(samples.images.shape[3], extractor.network.in_channels)
    for boost in dict.fromkeys(plan.boost for plan in plans):
        own = {plan.steps: plan for plan in plans if plan.boost == boost} | ({} if found else {0: None})
        seen = {count: Seen(extractor, n, channels, device, where) for count in own}
        for _, batch in walks.in_batches(guide, boost, samples, list(own), batch_size, device):
            for count, stored in batch.items():
                colours = channels // stored.shape[3]
                seen[count].add(images.to_float(stored.repeat(colours, axis=3) if colours > 1 else stored))
        found |= {own[count]: one.features() for count, one in seen.items()}
    return [
        Scored(plan, evaluation.evaluate_seeds(found[plan], np.zeros(n, np.int64), reference, where, options))
        for plan in (None, *plans)
    ]


def best(found: Sequence[Scored]) -> Scored:
    """The lowest FID; of equal ones the shortest walk, and none at all before any."""
    return min(found, key=lambda one: (one.fid, one.plan is not None, *_length(one.plan)))


def _length(plan: Plan | None) -> tuple[float, float]:
    return (0, 0) if plan is None else (plan.steps, plan.boost.eps or 0)
