"""Qualitative claims of a paper, tested: each is an inequality between measured quantities, with an interval.

The unit of repetition is the sampling seed, or the image in a study: both sides of an inequality use the same ones,
networks are trained once. A verdict therefore speaks about these trained networks, and intervals are not corrected
for the number of claims.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pagboost.report import inequalities, reported, sweeps
from pagboost.report import measured as ms
from pagboost.report.cells import Cell, cells, expand, reason
from pagboost.report.reported import improvement
from pagboost.report.tables import Frame

HELD, NOT_HELD, NOISE, NOT_MEASURED = "held", "not held", "within noise", "not measured"
CONFIDENCE = 0.95
NUMBERS = ("left", "right", "difference", "ci_low", "ci_high", "n_pairs")
NO_RESULT = {**dict.fromkeys(NUMBERS), "verdict": NOT_MEASURED}
NOT_ASKED = {**dict.fromkeys(NUMBERS), "verdict": ""}


def paired_interval(differences: Sequence[float]) -> tuple[float, float | None, float | None]:
    """(mean, low, high) of paired differences: Student's two-sided 95 % interval; no bounds for a single one."""
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return mean, None, None
    from scipy.special import stdtrit  # scipy.stats has the same quantile and takes a second to import

    half = float(stdtrit(len(differences) - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(differences)
    half /= len(differences) ** 0.5
    return mean, mean - half, mean + half


def verdict(low: float | None, high: float | None) -> str:
    """Held if the whole interval of than - lower is above zero, not held if it is below, else within noise."""
    if low is not None and low > 0:
        return HELD
    if high is not None and high < 0:
        return NOT_HELD
    return NOISE


def evaluate(paper: Mapping[str, Any], results: str | Path, unavailable: Mapping[str, str]) -> Frame:
    """One row per claim (`each` expanded): both sides, difference, interval and verdict, under two protocols.

    left is the quantity of `lower`, right that of `than`, difference right - left: above zero as claimed. n_pairs
    units (sampling seeds or images) were paired. basis says what was measured: a protocol, target labels or a study.
    Columns with the second protocol's name as suffix judge the same claim there, empty for a claim that is measured
    only once; `protocols_agree` says whether the verdicts are the same. `holds_in_paper` is the paper's own numbers
    under the same inequality, empty where it has none. Sweeps are judged without the generators this scale cannot
    have, which the note then names, and in the paper without those it prints no number of; `unavailable` says why a
    claim is not measured.
    Raises InputError for missing files, for sides with different sampling seeds and for mixed protocol facts.
    """
    singles = [single for claim in paper["claims"] for single in expand(claim)]
    found = ms.load(results, cells([s for s in singles if inequalities.by_protocol(s)]), unavailable)
    printed = reported.numbers(paper)
    rows = [_row(single, paper, found, results, printed, unavailable) for single in singles]
    return pd.DataFrame(rows).astype({"n_pairs": "Int64"})


def _row(
    claim: inequalities.Claim,
    paper: Mapping[str, Any],
    found: Mapping[Cell, ms.Measured],
    results: str | Path,
    printed: reported.Numbers,
    unavailable: Mapping[str, str],
) -> dict[str, Any]:
    main, second = claim.get("protocol", paper["protocol"]), paper["second_protocol"]
    twice = inequalities.by_protocol(claim) and "protocol" not in claim
    missing = _missing(claim, unavailable)
    left_out = "" if missing else sweeps.left_out(claim, unavailable)

    def judged(protocol: str) -> tuple[dict[str, Any], str]:
        if missing or (inequalities.by_protocol(claim) and protocol in unavailable):
            return NO_RESULT, missing or ""
        pairs = inequalities.pairs(sweeps.left_of(claim, unavailable), protocol, found, results)
        return (_judge(pairs) if pairs.values else NO_RESULT), pairs.missing

    here, why = judged(main)
    again, why_again = judged(second) if twice else (NOT_ASKED, "")
    in_paper = _in_paper(claim, main, printed) or (_in_paper(claim, second, printed) if twice else None)
    percent = claim.get("metric") in ms.LOWER_IS_BETTER and _quantity(claim) in ("value", sweeps.QUANTITIES["best"])
    judged_twice = twice and NOT_MEASURED not in (here["verdict"], again["verdict"])
    return {
        "id": claim["id"],
        "text": claim["text"],
        "source": claim["source"],
        "basis": inequalities.basis(claim, main),
        "metric": claim.get("metric", claim.get("quantity")),
        "quantity": _quantity(claim),
        "lower": _side(claim, "lower"),
        "than": _side(claim, "than"),
        **({"unit": ""} | here),
        "improvement_percent": improvement(here["right"], here["left"]) if percent else None,
        "stated_percent": claim.get("stated_percent"),
        "improvement_percent_reported": improvement(in_paper[1], in_paper[0]) if in_paper and percent else None,
        **{f"{key}_{second}": value for key, value in again.items() if key not in ("n_pairs", "unit")},
        "protocols_agree": _yes(here["verdict"] == again["verdict"] if judged_twice else None),
        "reported_left": in_paper[0] if in_paper else None,
        "reported_right": in_paper[1] if in_paper else None,
        "holds_in_paper": _yes(in_paper[0] < in_paper[1] if in_paper else None),
        "unavailable": why or why_again,
        "note": " ".join(filter(None, (claim.get("note", "").strip(), left_out and f"Judged {left_out}."))),
    }


def _missing(claim: inequalities.Claim, unavailable: Mapping[str, str]) -> str | None:
    """Why this scale cannot judge a claim, or None."""
    if "study" in claim:
        return unavailable.get(claim["study"])
    if sweeps.form_of(claim):
        return sweeps.missing(claim, unavailable)
    return next((why for cell in cells(claim) if (why := reason(*cell, unavailable))), None)


def _quantity(claim: inequalities.Claim) -> str:
    if form := sweeps.form_of(claim):
        return sweeps.QUANTITIES[form]
    if "correlation" in claim:
        return f"rank correlation, {claim['correlation']}"
    return "value" if "study" in claim else claim.get("quantity", "value")


def _side(claim: inequalities.Claim, side: str) -> str:
    if "study" in claim:
        return claim[side]
    if sweeps.form_of(claim):
        return sweeps.described(claim, side)
    if "correlation" in claim:
        return "0" if side == "lower" else f"{'+'.join(claim['over'])}/{claim['boost']}"
    return f"{'+'.join(claim[side]['generators'])}/{claim[side]['boost']}"


def _yes(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _judge(pairs: inequalities.Pairs) -> dict[str, Any]:
    """Both sides averaged over their units, the interval of the paired difference, and the verdict on it."""
    mean, low, high = paired_interval([right - left for left, right in pairs.values])
    return {
        "left": statistics.fmean(left for left, _ in pairs.values),
        "right": statistics.fmean(right for _, right in pairs.values),
        "difference": mean,
        "ci_low": low,
        "ci_high": high,
        "n_pairs": len(pairs.values),
        "unit": pairs.unit,
        "verdict": verdict(low, high),
    }


def _in_paper(claim: inequalities.Claim, protocol: str, printed: reported.Numbers) -> tuple[float, float] | None:
    if not inequalities.by_protocol(claim):
        return None
    numbers = {cell: printed.get((claim["metric"], protocol, cell)) for cell in cells(claim)}
    known = {cell: number.value for cell, number in numbers.items() if number is not None}
    unprinted = {generator: "not printed" for generator, _ in numbers.keys() - known.keys()}
    if sweeps.form_of(claim) and not sweeps.missing(claim, unprinted):
        return inequalities.sides(sweeps.left_of(claim, unprinted), known)
    return inequalities.sides(claim, known) if len(known) == len(numbers) else None


def counts(frame: Frame, column: str = "verdict") -> dict[str, int]:
    """How many claims got which verdict, every verdict named."""
    return {name: int((frame[column] == name).sum()) for name in (HELD, NOT_HELD, NOISE, NOT_MEASURED)}
