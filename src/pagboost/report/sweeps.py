"""Claims about sweeps of the guidance scale s: a metric's trend with s, the best of a sweep, and the s of the best.

The best of a sweep would flatter the sweep with more candidates if it were judged on the scores it was chosen by.
Each sampling seed is therefore judged with what the other seeds choose.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from pagboost.descriptive import rank_correlation
from pagboost.report.cells import RAW, Cell, reason, sweeps_of
from pagboost.report.measured import LOWER_IS_BETTER

QUANTITIES = {
    "trend": "rank correlation with s",
    "best": "best of sweep, chosen on the other seeds",
    "optimum": "s of the best",
}
FEWEST_OF_A_TREND = 3
SINGLE_SEED = "a single sampling seed: there is no other seed to choose the best of a sweep on"

Claim = Mapping[str, Any]
Sweep = Mapping[str, float]  # generator -> s
Values = Mapping[Cell, float]  # a metric


def form_of(claim: Claim) -> str | None:
    """trend, best or optimum, or None for a claim about anything but sweeps."""
    return next((form for form in QUANTITIES if form in claim), None) if sweeps_of(claim) else None


def sides(claim: Claim, values: Values, chosen_on: Values) -> tuple[float, float]:
    """(lower, than) of a claim about sweeps, from one value per cell.

    A trend compares Spearman's rho between s and the metric with 0; a metric that s does not change has rho 0. A best
    compares the metric of the generators that are best on `chosen_on`, an optimum the s of those best on `values`.
    """
    if "trend" in claim:
        (sweep,) = sweeps_of(claim)
        metric = [values[generator, RAW] for generator in sweep]
        constant = len(set(metric)) == 1
        rho = 0.0 if constant else rank_correlation(list(sweep.values()), metric, f"claims.{claim['id']}.sweep")
        return (0.0, rho) if claim["trend"] == "rises" else (rho, 0.0)
    lower, than = sweeps_of(claim)
    if "best" in claim:
        left, right = (values[best_of(sweep, chosen_on, claim["metric"]), RAW] for sweep in (lower, than))
    else:
        left, right = (sweep[best_of(sweep, values, claim["metric"])] for sweep in (lower, than))
    return left, right


def best_of(sweep: Sweep, values: Values, metric: str) -> str:
    """The generator with the best metric, lowest or highest as the metric goes; of equal ones the smallest s."""
    sign = 1 if metric in LOWER_IS_BETTER else -1
    return min(sweep, key=lambda generator: (sign * values[generator, RAW], sweep[generator]))


def other_seeds(by_seed: Mapping[str, Values]) -> dict[str, dict[Cell, float]]:
    """For each sampling seed, the mean of every cell over the other seeds: what a choice for that seed may see."""
    return {
        seed: {
            cell: statistics.fmean(values[cell] for other, values in by_seed.items() if other != seed) for cell in own
        }
        for seed, own in by_seed.items()
    }


def left_of(claim: Claim, unavailable: Mapping[str, str]) -> dict[str, Any]:
    """A claim without the generators of its sweeps that a scale cannot have; other claims as they are."""

    def left(sweep: Sweep) -> dict[str, float]:
        return {generator: s for generator, s in sweep.items() if reason(generator, RAW, unavailable) is None}

    form = form_of(claim)
    if form is None:
        return dict(claim)
    if form == "trend":
        return {**claim, "sweep": left(claim["sweep"])}
    return {**claim, form: {side: left(sweep) for side, sweep in claim[form].items()}}


def missing(claim: Claim, unavailable: Mapping[str, str]) -> str | None:
    """Why too little of a claim's sweeps is left at this scale to judge it, or None: a trend needs three generators."""
    fewest = FEWEST_OF_A_TREND if "trend" in claim else 1
    counts = [len(sweep) for sweep in sweeps_of(left_of(claim, unavailable))]
    if min(counts) >= fewest:
        return None
    left = " and ".join(f"{n} of {len(sweep)}" for n, sweep in zip(counts, sweeps_of(claim), strict=True))
    return f"{left} generators left, {form_of(claim)} needs {fewest} of each sweep: {left_out(claim, unavailable)}"


def left_out(claim: Claim, unavailable: Mapping[str, str]) -> str:
    """Which generators of a claim's sweeps this scale cannot have, and why; empty where it has all or sweeps none."""
    reasons: dict[str, list[str]] = {}
    for generator in dict.fromkeys(generator for sweep in sweeps_of(claim) for generator in sweep):
        why = reason(generator, RAW, unavailable)
        if why is not None:
            reasons.setdefault(why, []).append(generator)
    return "; ".join(f"without {', '.join(generators)}: {why}" for why, generators in reasons.items())


def described(claim: Claim, side: str) -> str:
    """One side of a claim in words: "generator: s" for each of its sweep, or the 0 that a trend is compared with."""
    if "trend" in claim:
        (sweep,) = sweeps_of(claim)
        if (claim["trend"] == "rises") == (side == "lower"):
            return "0"
    else:
        sweep = claim[form_of(claim)][side]
    return ", ".join(f"{generator}: {s:g}" for generator, s in sweep.items())
