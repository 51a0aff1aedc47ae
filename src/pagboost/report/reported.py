"""The numbers a paper prints: by metric, protocol and cell, and the percentages it printed beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pagboost.report.cells import RAW, Cell
from pagboost.report.measured import LOWER_IS_BETTER, METRICS, PERCENT

ROUNDING = 0.005  # of numbers and percentages printed to two decimals


@dataclass(frozen=True)
class Number:
    """A printed number, its printed deviation and improvement; both None where the paper has none."""

    value: float
    std: float | None = None
    percent: float | None = None


Numbers = dict[tuple[str, str, Cell], Number]  # (metric, protocol, cell)


def numbers_of(table: Mapping[str, Any], protocol: str) -> Numbers:
    """The printed numbers of one table (see `numbers_of_row`); where rows of one cell disagree, the first row's."""
    result: Numbers = {}
    for row in table["rows"]:
        for key, number in numbers_of_row(row, protocol).items():
            result.setdefault(key, number)
    return result


def numbers_of_row(row: Mapping[str, Any], protocol: str) -> Numbers:
    """The printed numbers of one row; those that name no protocol belong to `protocol`, the paper's own.

    A row's `reported` holds metric: value, or metric: {protocol: value or [mean, std]}; `printed_percent` likewise.
    """
    result = {}
    percents = row.get("printed_percent", {})
    for metric, printed in row.get("reported", {}).items():
        by_protocol = printed if isinstance(printed, Mapping) else {protocol: printed}
        for name, value in by_protocol.items():
            mean, std = value if isinstance(value, list) else (value, None)
            percent = percents.get(metric, {}).get(name)
            result[metric, name, (row["generator"], row["boost"])] = Number(mean, std, percent)
    return result


def numbers(paper: Mapping[str, Any]) -> Numbers:
    """Every printed metric of a paper; where tables disagree, the first table's."""
    result: Numbers = {}
    for table in paper["tables"].values():
        if table["kind"] == "metrics":
            for key, number in numbers_of(table, paper["protocol"]).items():
                result.setdefault(key, number)
    return result


def improvement(base: float | None, value: float | None, metric: str = "fid") -> float | None:
    """By how many percent of its base a metric is better, lower or higher as the metric goes; None where unknown.

    Unknown: a missing number, a base of 0, a metric for which percentages are not stated.
    """
    if base is None or value is None or base == 0 or metric not in PERCENT:
        return None
    return 100 * (base - value if metric in LOWER_IS_BETTER else value - base) / base


def base_of(numbers: Numbers, metric: str, protocol: str, cell: Cell) -> float | None:
    """The printed number of the same generator without boosting, for a boosted cell."""
    found = None if cell[1] == RAW else numbers.get((metric, protocol, (cell[0], RAW)))
    return None if found is None else found.value


def disagreements(numbers: Numbers, cell: Cell) -> list[str]:
    """One sentence per printed percentage of a cell that its own printed numbers, rounded as printed, cannot give."""
    result = []
    for (metric, protocol, own), number in numbers.items():
        base = base_of(numbers, metric, protocol, own)
        if own != cell or number.percent is None or base is None:
            continue
        corners = [
            improvement(base + a, number.value + b, metric)
            for a in (-ROUNDING, ROUNDING)
            for b in (-ROUNDING, ROUNDING)
        ]
        if not min(corners) - ROUNDING <= number.percent <= max(corners) + ROUNDING:
            computed = improvement(base, number.value, metric)
            result.append(
                f"The paper prints an improvement of {number.percent:.2f} % in {METRICS[metric]} ({protocol}); its own "
                f"numbers, {base:.2f} and {number.value:.2f}, give {computed:.2f} %."
            )
    return result
