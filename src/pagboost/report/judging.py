"""Verdicts: what the numbers of a claim's two sides say, over sampling seeds or images and over trainings."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from pagboost.options.studies import COUNT
from pagboost.report.curves import Curve
from pagboost.report.inequalities import CURVE, SEED, Pairs
from pagboost.report.intervals import (
    Bootstrapped,
    Differences,
    one_sided_p,
    opposite,
    paired_interval,
    two_sided_p,
)

HELD, NOT_HELD, NOISE = "held", "not held", "within noise"
NOT_JUDGED = "not judged"
ONE_TRAINING = ", one training"
COUNTED = ", counted"
FEWEST_CANDIDATES = 3  # fewer have no inside


def plain(verdict: str) -> str:
    """A verdict without what it says of trainings, or of why there is none."""
    return re.split("[,:]", verdict)[0]


def judge(pairs: Pairs, within_percent: float | None = None) -> dict[str, Any]:
    """Both sides averaged, the interval of the difference than - lower, its p and the verdict on it.

    The interval is over trainings, each with the mean difference of its units; with one training over its units, and
    the verdict says so. A single difference has the interval of its bootstrap, where there is one (pairs.draws), else
    none, and is not judged. within_percent: the claim is that the sides are about equal (see `equivalence`). tends:
    which verdict the mean is nearer to, where p is that of either.
    """
    if pairs.unit == COUNT:
        return counted(pairs)
    several = len(pairs.values) > 1

    def repeated(quantity: Callable[[float, float], float]) -> Differences:
        if pairs.draws:
            return Bootstrapped(quantity(*pairs.values[0][0]), [quantity(*drawn) for drawn in pairs.draws])
        values = [[quantity(left, right) for left, right in own] for own in pairs.values]
        return [statistics.fmean(own) for own in values] if several else values[0]

    differences = repeated(lambda left, right: right - left)
    mean, low, high = paired_interval(differences)
    p, tends = None, ""
    if low is None or high is None:
        said = f"{NOT_JUDGED}: one {'seed' if pairs.unit == SEED else pairs.unit}"
    elif within_percent is None:
        said, p, tends = verdict(low, high), two_sided_p(differences), HELD if mean > 0 else NOT_HELD
    else:
        margin = within_percent / 100
        above_lowest = repeated(lambda left, right: left - (1 - margin) * right)
        below_highest = repeated(lambda left, right: (1 + margin) * right - left)
        said, p, tends = equivalence(above_lowest, below_highest)
    every = list(itertools.chain.from_iterable(pairs.values))
    return {
        "left": statistics.fmean(left for left, _ in every),
        "right": statistics.fmean(right for _, right in every),
        "difference": mean,
        "ci_low": low,
        "ci_high": high,
        "n_pairs": len(pairs.values[0]),
        "trainings": len(pairs.values),
        "p": p,
        "tends": tends,
        "unit": pairs.unit,
        "verdict": said if p is None or several else said + ONE_TRAINING,
    }


def verdict(low: float, high: float) -> str:
    """Held if the whole interval of than - lower is above zero, not held if it is below, else within noise."""
    if low > 0:
        return HELD
    return NOT_HELD if high < 0 else NOISE


def equivalence(above_lowest: Differences, below_highest: Differences) -> tuple[str, float, str]:
    """(verdict, p, which of held and not held it tends to) of |lower - than| <= m |than|, m a share of `than`.

    above_lowest: lower - (1 - m) than, below_highest: (1 + m) than - lower, one of each unit; both are above zero
    inside the margin. So the margin's own spread, as that of `than`, counts. Held where the 95 % intervals of both lie
    above zero: the interval of the difference lies inside the margin. Not held where one of them lies below zero: it
    lies outside, on one side. Else within noise. p: twice the larger of the two one-sided tests' p (Schuirmann 1987:
    TOST; twice, as bounds of a 95 % interval are of 2.5 % each), or twice the smaller p of the opposite tests,
    whichever is smaller: below 5 % where the verdict is not within noise.
    """
    (lowest, low, _), (highest, high, _) = paired_interval(above_lowest), paired_interval(below_highest)
    held = max(one_sided_p(above_lowest), one_sided_p(below_highest))
    outside = min(one_sided_p(opposite(own)) for own in (above_lowest, below_highest))
    p = min(1.0, 2 * min(held, outside))
    if low > 0 and high > 0:
        said = HELD
    else:
        said = NOT_HELD if any(paired_interval(own)[2] < 0 for own in (above_lowest, below_highest)) else NOISE
    return said, p, HELD if min(lowest, highest) > 0 else NOT_HELD


def counted(pairs: Pairs) -> dict[str, Any]:
    """The verdict on what is exact and the same in every training: by the difference alone, without interval or p."""
    left, right = pairs.values[0][0]
    return {
        "left": left,
        "right": right,
        "difference": right - left,
        "ci_low": None,
        "ci_high": None,
        "n_pairs": 1,
        "trainings": len(pairs.values),
        "p": None,
        "tends": "",
        "unit": pairs.unit,
        "verdict": (HELD if left < right else NOT_HELD) + COUNTED,
    }


def inside(curves: Sequence[Curve]) -> dict[str, Any]:
    """The verdict on "too short and too long are worse", from the validation curve of each training.

    Held where the best candidate is neither the shortest nor the longest in all trainings, not held where it is in
    none, else within noise; the verdict says in how many. There is no interval: of a training this is a yes or a no,
    made from the same scores that the best candidate was chosen by, which cannot also say how sure that choice is; a
    handful of yes and no has no interval worth its name. right: the share of trainings, to be compared with 0. Fewer
    than three candidates have no inside and are not judged.
    """
    candidates, trainings = len(curves[0].lengths), len(curves)
    found = [curve.inside() for curve in curves]
    share = sum(found) / trainings
    if candidates < FEWEST_CANDIDATES:
        said = f"{NOT_JUDGED}: {'one candidate' if candidates == 1 else f'{candidates} candidates'}"
    else:
        said = {1.0: HELD, 0.0: NOT_HELD}.get(share, NOISE)
        said += f", in {sum(found)} of {trainings} trainings" if trainings > 1 else ONE_TRAINING
    return {
        "left": 0.0,
        "right": share,
        "difference": share,
        "ci_low": None,
        "ci_high": None,
        "n_pairs": candidates,
        "trainings": trainings,
        "p": None,
        "tends": "",
        "unit": CURVE,
        "verdict": said,
    }
