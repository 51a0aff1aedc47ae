"""How long to walk: candidate step counts (Golan Table 5) or radii (BIGRoC Table 3), and the choice on validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import torch

from pagboost import images
from pagboost.artifacts import SampleSet
from pagboost.boosting.guide import Guide, check
from pagboost.boosting.walks import scaled, walk_samples
from pagboost.errors import InputError
from pagboost.options.boosts import BallBoost, CarriedOver, OfChange, PublishedRadius, PublishedSteps, StepBoost
from pagboost.options.types import MOST

CHUNK = 256  # images whose change is counted together


@dataclass(frozen=True)
class Plan:
    """A boost and the number of steps it takes: all that a boosted image depends on besides itself and its label."""

    boost: StepBoost
    steps: int


def candidate_steps(alpha: float, values: int, published: PublishedSteps) -> list[int]:
    """Numbers of steps of length alpha worth trying, from the steps and step size a paper published.

    The path length steps * alpha at images of `pixels` values (channels included) is carried over to `values` at equal
    change per pixel and tried at several `multiples`. At least one step, no repeats.
    Raises InputError for more steps than can be counted.
    """
    path = images.equal_change(published.steps * published.alpha, values, published.pixels)
    counts = [multiple * path / alpha for multiple in published.multiples]
    if max(counts) > MOST:
        raise InputError(f"published: {max(counts):g} steps of {alpha:g}, expected at most {MOST}")
    return sorted({max(1, round(count)) for count in counts})


def candidate_radii(values: int, published: PublishedRadius, norm: str = "l2") -> list[float]:
    """Radii worth trying: the published eps, carried over, times each multiple."""
    carried = carried_over(published.eps, norm, values, published.pixels)
    return [multiple * carried for multiple in published.multiples]


def carried_over(eps: float, norm: str, values: int, pixels: int) -> float:
    """A radius stated at `pixels` values, at `values`: l2 at equal change per value; linf is per pixel, and stays."""
    return images.equal_change(eps, values, pixels) if norm == "l2" else eps


def plans(
    boost: StepBoost | BallBoost,
    guide: Guide,
    *,
    steps: int | None = None,
    eps: float | None = None,
    published: PublishedSteps | PublishedRadius | None = None,
    like: float | None = None,
) -> list[Plan]:
    """The plans that a boost's configuration entry leaves open; a single one where its length is known.

    Of a StepBoost the number of steps is open: it is `steps`, or one of candidate_steps(published), unless the entry
    says it (fixed_steps); so is alpha where it is "published", the published one at equal change per pixel. Of a
    BallBoost the radius is (alpha follows from it, of_radius): it is `eps` at the guide's size, or as the entry's own
    eps says: "published" (one of candidate_radii(published)), stated (carried over at equal change per pixel) or a
    percentile, whose value is `like`, in [0, 1] per pixel (BIGRoC Fig. 4). `published` is of the boost's own class for
    it.
    Raises InputError for what is missing, and for lengths of the other sort.
    """
    values = guide.channels * guide.size**2
    if isinstance(boost, StepBoost):
        if eps is not None or like is not None:
            raise InputError("boost: has alpha, expected its number of steps (--steps, --published) and no radius")
        if boost.fixed_steps is not None:
            if steps is not None or published is not None:
                raise InputError(f"boost.fixed_steps: {boost.fixed_steps}, expected no --steps and no --published")
            return [Plan(boost, boost.fixed_steps)]
        if steps is None and published is None:
            raise InputError("boost: has alpha, expected its number of steps (--steps or --published)")
        if boost.alpha == "published":
            if published is None:
                raise InputError("boost.alpha: published, expected the path that it is of (--published)")
            alpha = images.equal_change(published.alpha, values, published.pixels)
            boost = msgspec.structs.replace(boost, alpha=alpha)
        counts = [steps] if steps else candidate_steps(boost.alpha, values, published)
        return [Plan(boost, count) for count in counts]
    if steps:
        raise InputError(f"--steps {steps}: the boost takes {boost.steps} steps, expected --eps, the radius")
    return [of_radius(boost, radius) for radius in _radii(boost, values, eps, published, like)]


def _radii(
    boost: BallBoost, values: int, eps: float | None, published: PublishedRadius | None, like: float | None
) -> list[float]:
    if eps is not None:
        return [eps]
    if isinstance(boost.eps, OfChange):
        if like is None:
            raise InputError(f"boost.eps: a percentile of {boost.eps.of}, expected its boosted samples (--like)")
        return [like]
    if isinstance(boost.eps, CarriedOver):
        return [carried_over(boost.eps.value, boost.norm, values, boost.eps.pixels)]
    if published is None:
        raise InputError("boost.eps: published, expected the radius (--eps) or what was published (--published)")
    return candidate_radii(values, published, boost.norm)


def of_radius(boost: BallBoost, eps: float) -> Plan:
    """BIGRoC's walk of T = `steps` steps in a ball of radius eps; InputError for no such radius.

    alpha = alpha_of_eps * eps / T: eps / T in the paper (App. 2), 1.5 eps / T in the authors' later runs.
    """
    if not 0 < eps < math.inf:
        raise InputError(f"eps: {eps}, expected a finite number above 0")
    shared = msgspec.structs.asdict(boost)
    steps, path = shared.pop("steps"), shared.pop("alpha_of_eps") * eps
    return Plan(StepBoost(**{**shared, "alpha": path / steps, "eps": eps}), steps)


def percentile_asked(boost: StepBoost | BallBoost) -> float:
    """The percentile of a boost's eps {percentile, of}; InputError for an eps of another kind."""
    if not isinstance(boost.eps, OfChange):
        stated = "published" if boost.eps == "published" else msgspec.to_builtins(boost.eps)
        raise InputError(f"boost.eps: {stated}, expected percentile and of where --like gives the radius")
    return boost.eps.percentile


def percentile_of_change(boosted: SampleSet, samples: SampleSet, percentile: float, where: str) -> float:
    """The given percentile of |delta| over all pixels of two stored sets, in [0, 1] (BIGRoC Fig. 4: q_0.7).

    Raises InputError unless both are the same samples in order, and if nothing has changed at that percentile.
    """
    if boosted.images.shape != samples.images.shape or not boosted.same_streams(samples):
        raise InputError(f"{where}: holds other samples than those to boost, expected the same in order")
    counts = np.zeros(256, np.int64)
    for start in range(0, len(samples), CHUNK):
        rows = slice(start, start + CHUNK)
        change = np.abs(boosted.images[rows].astype(np.int16) - samples.images[rows])
        counts += np.bincount(change.ravel(), minlength=256)
    value = _percentile(counts, percentile) / 255
    if value == 0:
        raise InputError(f"{where}: {percentile} % of its pixels are unchanged, expected a percentile above 0")
    return value


def _percentile(counts: np.ndarray, percentile: float) -> float:
    """np.percentile, to the last bit, of integers 0, 1, … that are there `counts` times each."""
    place = (int(counts.sum()) - 1) * (percentile / 100)
    below = math.floor(place)
    low, high = np.searchsorted(counts.cumsum(), [below, below + 1], side="right")
    share = place - below
    if share == 0:
        return float(low)
    return float(low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share))


def choose(
    guide: Guide,
    candidates: Sequence[Plan],
    validation: SampleSet | None,
    score: Callable[[SampleSet], float] | None,
    batch_size: int,
    device: torch.device,
) -> tuple[Plan, list[dict[str, Any]]]:
    """(the plan with the lowest score, every plan {steps, eps, fid}); a single plan is taken without scoring.

    `score` is FID against the validation split, and `validation` is drawn with seeds of its own: neither these
    samples nor the images they are scored against are part of what is reported. Ties go to the shorter walk.
    eps is stated at the size of the guide. Raises InputError for several plans and nothing to choose by.
    """
    if len(candidates) == 1:
        return candidates[0], [_facts(candidates[0])]
    if validation is None or score is None:
        raise InputError(f"{len(candidates)} candidate walks, expected validation samples and a reference to choose by")
    check(guide, validation, "validation samples")
    scored = []
    for boost in dict.fromkeys(plan.boost for plan in candidates):  # one walk serves all numbers of steps
        own = [plan for plan in candidates if plan.boost == boost]
        walked = walk_samples(guide, boost, validation, [plan.steps for plan in own], batch_size, device)
        scored += [(plan, round(score(walked[plan.steps]), 9)) for plan in own]
    best = min(scored, key=lambda entry: (entry[1], entry[0].steps, entry[0].boost.eps or 0))
    return best[0], [{**_facts(plan), "fid": fid} for plan, fid in scored]


def _facts(plan: Plan) -> dict[str, Any]:
    return {"steps": plan.steps, "eps": plan.boost.eps}


def described(
    plan: Plan, guide: Guide, size: int, published: PublishedSteps | PublishedRadius | None
) -> dict[str, Any]:
    """{steps, alpha, eps, norm} of a plan at images of `size` pixels a side; direction too, where it is raw.

    Where a published radius was the start: also published_eps and scaled_eps, the same at equal change per pixel.
    """
    boost = scaled(plan.boost, size, guide.size)
    facts = {"steps": plan.steps, "alpha": boost.alpha, "eps": boost.eps, "norm": boost.norm}
    facts |= {"direction": "raw"} if boost.direction == "raw" else {}
    if isinstance(published, PublishedRadius):
        carried = carried_over(published.eps, boost.norm, guide.channels * size**2, published.pixels)
        facts |= {"published_eps": published.eps, "scaled_eps": carried}
    return facts
