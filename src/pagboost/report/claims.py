"""Qualitative claims of a paper, tested: each is an inequality between measured metrics, with a confidence interval.

The unit of repetition is the sampling seed: both sides of an inequality use the same seeds, networks are trained once.
A verdict therefore speaks about these trained networks, and intervals are not corrected for the number of claims.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pagboost.errors import InputError
from pagboost.report import measured as ms
from pagboost.report.cells import RAW, Cell, cells, expand, reason
from pagboost.report.tables import Frame, improvement

HELD, NOT_HELD, NOISE, NOT_MEASURED = "held", "not held", "within noise", "not measured"
CONFIDENCE = 0.95
NO_RESULT = {
    **dict.fromkeys(("left", "right", "difference", "ci_low", "ci_high", "n_seeds")),
    "verdict": NOT_MEASURED,
}


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

    left is the metric of `lower`, right that of `than`, difference right - left: above zero as claimed. Columns with
    the second protocol's name as suffix judge the same claim there; `protocols_agree` says whether the verdicts are
    the same. `holds_in_paper` is the paper's own numbers under the same inequality, empty where it has none.
    Raises InputError for missing metrics, for sides with different sampling seeds and for mixed protocol facts.
    """
    singles = [single for claim in paper["claims"] for single in expand(claim)]
    found = ms.load(results, cells(singles), unavailable)
    reported = reported_numbers(paper)
    return pd.DataFrame([_row(single, paper, found, reported, unavailable) for single in singles]).astype(
        {"n_seeds": "Int64"}
    )


def reported_numbers(paper: Mapping[str, Any]) -> dict[tuple[str, Cell], float]:
    """(metric, cell) -> the paper's number; where tables disagree, the first table's."""
    result: dict[tuple[str, Cell], float] = {}
    for table in paper["tables"].values():
        for row in table["rows"]:
            for metric, value in row.get("reported", {}).items():
                result.setdefault((metric, (row["generator"], row["boost"])), value)
    return result


def _row(
    claim: Mapping[str, Any],
    paper: Mapping[str, Any],
    found: Mapping[Cell, ms.Measured],
    reported: Mapping[tuple[str, Cell], float],
    unavailable: Mapping[str, str],
) -> dict[str, Any]:
    metric, second = claim["metric"], paper["second_protocol"]
    missing = [why for cell in cells(claim) if (why := reason(*cell, unavailable))]
    here, again = (
        NO_RESULT if missing or protocol in unavailable else _judge(claim, protocol, found)
        for protocol in (paper["protocol"], second)
    )
    in_paper = _in_paper(claim, reported)
    percent = metric in ms.LOWER_IS_BETTER and claim.get("quantity") != "gain"
    judged_twice = NOT_MEASURED not in (here["verdict"], again["verdict"])
    return {
        "id": claim["id"],
        "text": claim["text"],
        "source": claim["source"],
        "metric": metric,
        "quantity": claim.get("quantity", "value"),
        "lower": _side(claim["lower"]),
        "than": _side(claim["than"]),
        **here,
        "improvement_percent": improvement(here["right"], here["left"]) if percent else None,
        "stated_percent": claim.get("stated_percent"),
        "reported_improvement_percent": improvement(in_paper[1], in_paper[0]) if in_paper and percent else None,
        **{f"{key}_{second}": value for key, value in again.items() if key != "n_seeds"},
        "protocols_agree": _yes(here["verdict"] == again["verdict"] if judged_twice else None),
        "reported_left": in_paper[0] if in_paper else None,
        "reported_right": in_paper[1] if in_paper else None,
        "holds_in_paper": _yes(in_paper[0] < in_paper[1] if in_paper else None),
        "unavailable": missing[0] if missing else "",
        "note": claim.get("note", "").strip(),
    }


def _yes(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _side(operand: Mapping[str, Any]) -> str:
    return f"{'+'.join(operand['generators'])}/{operand['boost']}"


def _judge(claim: Mapping[str, Any], protocol: str, found: Mapping[Cell, ms.Measured]) -> dict[str, Any]:
    """Both sides of one inequality under one protocol, averaged over seeds, and the verdict on it."""
    used = [found[cell] for cell in cells(claim)]
    ms.same_facts(used, protocol)
    scores = {cell: found[cell].seeds(protocol, claim["metric"]) for cell in cells(claim)}
    seeds = scores[cells(claim)[0]].keys()
    for cell, values in scores.items():
        if values.keys() != seeds:
            raise InputError(
                f"{found[cell].path}: {protocol} has sampling seeds {', '.join(values)}, but {used[0].path} has "
                f"{', '.join(seeds)}: expected the same, claim {claim['id']} pairs them"
            )
    pairs = [_sides(claim, {cell: values[seed] for cell, values in scores.items()}) for seed in seeds]
    mean, low, high = paired_interval([right - left for left, right in pairs])
    return {
        "left": statistics.fmean(left for left, _ in pairs),
        "right": statistics.fmean(right for _, right in pairs),
        "difference": mean,
        "ci_low": low,
        "ci_high": high,
        "n_seeds": len(pairs),
        "verdict": verdict(low, high),
    }


def _sides(claim: Mapping[str, Any], values: Mapping[Cell, float]) -> tuple[float, float]:
    """(lower, than): the mean over each side's generators of the metric, or of its fall from raw to boosted (gain)."""

    def quantity(generator: str, boost: str) -> float:
        value = values[generator, boost]
        return values[generator, RAW] - value if claim.get("quantity") == "gain" else value

    left, right = (
        statistics.fmean(quantity(generator, claim[side]["boost"]) for generator in claim[side]["generators"])
        for side in ("lower", "than")
    )
    return left, right


def _in_paper(claim: Mapping[str, Any], reported: Mapping[tuple[str, Cell], float]) -> tuple[float, float] | None:
    values = {cell: reported.get((claim["metric"], cell)) for cell in cells(claim)}
    return None if None in values.values() else _sides(claim, values)


def counts(frame: Frame, column: str = "verdict") -> dict[str, int]:
    """How many claims got which verdict, every verdict named."""
    return {name: int((frame[column] == name).sum()) for name in (HELD, NOT_HELD, NOISE, NOT_MEASURED)}
