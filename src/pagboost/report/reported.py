"""The numbers a paper prints: by metric, protocol and cell, the percentages beside them, and how they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pagboost.options.tables import MetricsTable, Table
from pagboost.report.cells import RAW, Cell
from pagboost.report.measured import FACTS, LATER, LOWER_IS_BETTER, METRICS, PERCENT

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


def numbers_of_row(row: Mapping[str, Any], protocol: str, said_by: str = "reported") -> Numbers:
    """The printed numbers of one row; those that name no protocol belong to `protocol`, the paper's own.

    A row's `reported` holds metric: value, or metric: {protocol: value or [mean, std]}; `printed_percent` likewise, and
    `as_run`, which the authors' code printed (said_by).
    """
    result = {}
    percents = row.get("printed_percent", {})
    for metric, printed in row.get(said_by, {}).items():
        by_protocol = printed if isinstance(printed, Mapping) else {protocol: printed}
        for name, value in by_protocol.items():
            mean, std = value if isinstance(value, list) else (value, None)
            percent = percents.get(metric, {}).get(name)
            result[metric, name, (row["generator"], row["boost"])] = Number(mean, std, percent)
    return result


def numbers(paper: Mapping[str, Any]) -> Numbers:
    """Every printed metric of a paper; where tables disagree, the first table's."""
    result: Numbers = {}
    for table in metrics_tables(paper):
        for key, number in numbers_of(table, paper["protocol"]).items():
            result.setdefault(key, number)
    return result


def by_cell(numbers: Numbers) -> dict[Cell, Numbers]:
    """The same numbers, in their order, of each cell."""
    result: dict[Cell, Numbers] = {}
    for key, number in numbers.items():
        result.setdefault(key[2], {})[key] = number
    return result


def metrics_tables(paper: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A paper's tables of metrics."""
    return [table for table in paper["tables"].values() if issubclass(Table.of(table), MetricsTable)]


def improvement(base: float | None, value: float | None, metric: str = "fid") -> float | None:
    """By how many percent of its base a metric is better, lower or higher as the metric goes; None where unknown.

    Unknown: a missing number, a base of 0, a metric for which percentages are not stated.
    """
    if base is None or value is None or base == 0 or metric not in PERCENT:
        return None
    return 100 * (base - value if metric in LOWER_IS_BETTER else value - base) / base


def base_of(cell: Cell, base: Cell | None = None) -> Cell | None:
    """What a cell's improvements are over: `base` if a table declares one, else the same generator without boosting.

    None for a cell that is the base of others itself.
    """
    over = base or (cell[0], RAW)
    return None if over == cell else over


def how_measured(spec: Mapping[str, Any], paper: Mapping[str, Any]) -> Mapping[str, Any]:
    """How the numbers of a table were measured, by protocol: as it says itself, else as the paper's others were."""
    return spec.get("measured_as") or paper.get("measured_as", {})


def measured_alike(how: Mapping[str, Any], metric: str, protocol: str, facts: Mapping[str, Any]) -> bool:
    """Whether numbers with these facts were measured as the paper measured the ones it prints: only then they subtract.

    `how` (how_measured) says which metrics of a protocol, and every fact that must be equal (a list: any of its
    values). False where it says nothing: FIDs of two extractors, data sets or counts have no difference.
    """
    stated = how.get(protocol)
    if stated is None or metric not in stated["metrics"]:
        return False
    asked = {name: value for name, value in stated.items() if name in (*FACTS, *LATER) and value is not None}
    return all(facts.get(name) in (value if isinstance(value, list) else [value]) for name, value in asked.items())


def disagreements(numbers: Numbers, cell: Cell) -> list[str]:
    """One sentence per printed percentage of a cell that its own printed numbers, rounded as printed, cannot give."""
    result = []
    for (metric, protocol, own), number in numbers.items():
        over = base_of(own)
        found = None if over is None else numbers.get((metric, protocol, over))
        if own != cell or number.percent is None or found is None:
            continue
        base = found.value
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
