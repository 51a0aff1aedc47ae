"""The readable columns of each kind of table: a header, and a cell's text from a row of the machine table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pagboost.report.cells import RAW
from pagboost.report.measured import DECIMALS, LOWER_IS_BETTER, METRICS
from pagboost.report.tables import Frame

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A header, a cell's text from a row of the machine table, and whether that is a result of this scale's run.

    further: a detail, among the last columns, that a page may show apart from the others.
    """

    header: str
    text: Callable[[Record], str]
    measured: bool = True
    further: bool = False


def number(value: float | None, decimals: int, sign: str = "") -> str:
    """A number in fixed notation, sign="+" to show it always; empty if missing; never a minus zero."""
    if value is None or pd.isna(value):
        return ""
    text = f"{value:{sign}.{decimals}f}"
    return text if text.strip("+-0.") else f"{0:{sign}.{decimals}f}"


def spread(record: Record, key: str, decimals: int, factor: float = 1) -> str:
    """`mean ± standard deviation` of a quantity, without what is missing."""
    values = (record.get(key), record.get(f"{key}_std"))
    return " ± ".join(filter(None, (number(None if v is None else factor * v, decimals) for v in values)))


def comparison(measured: str, *beside: str) -> str:
    """`measured (beside; beside)`, without what is empty."""
    stated = "; ".join(filter(None, beside))
    return f"{measured} ({stated})".lstrip() if stated else measured


def of(frame: Frame, spec: Mapping[str, Any], paper: Mapping[str, Any]) -> list[Column]:
    """The columns of a table of this kind, after the one that names its rows."""
    columns = {"metrics": _metrics, "steps": _steps, "eps": _eps, "labels": _labels}[spec["kind"]](frame, spec, paper)
    known = frame[["nfe", "nfe_reported"]].notna().any(axis=None) and paper["nfe"]
    if not known or spec["kind"] in ("eps", "labels") or "grid" in spec:
        return columns
    return [Column("NFE (reported)", _nfe, measured=False), *columns]


def _nfe(record: Record) -> str:
    return comparison(number(record["nfe"], 0), number(record["nfe_reported"], 0))


def _metrics(frame: Frame, spec: Mapping[str, Any], paper: Mapping[str, Any]) -> list[Column]:
    columns = [Column(fact, lambda r, fact=fact: number(r[fact], 0)) for fact in spec.get("per_row", [])]
    improved = "base" in spec or (frame["boost"] != RAW).any()
    for column in spec["columns"]:
        metric, protocol = column["metric"], column["protocol"]
        printed = f"; the paper's {column['printed']}" if "printed" in column else ""
        name = f"{METRICS[metric]} ({protocol}{printed})"
        columns.append(Column(name, lambda r, m=metric, p=protocol: _score(r, m, p)))
        if column.get("improvement") and improved:
            where = "" if protocol == paper["protocol"] else f" ({protocol})"
            better = "lower" if metric in LOWER_IS_BETTER else "higher"
            beside = " (reported)" if f"{metric}_{protocol}_reported" in frame else ""
            header = f"{METRICS[metric]}{where} {better} by, %{beside}"
            columns.append(Column(header, lambda r, k=f"{metric}_{protocol}": _percent(r, k)))
    return columns


def _score(record: Record, metric: str, protocol: str) -> str:
    key = f"{metric}_{protocol}"
    measured = spread(record, key, DECIMALS[metric])
    return comparison(measured, spread(record, f"{key}_reported", 2), number(record.get(f"{key}_difference"), 2, "+"))


def _percent(record: Record, key: str) -> str:
    reported = number(record.get(f"{key}_improvement_percent_reported"), 1)
    return comparison(number(record[f"{key}_improvement_percent"], 1), reported)


def _steps(frame: Frame, spec: Mapping[str, Any], paper: Mapping[str, Any]) -> list[Column]:
    def text(record: Record, key: str, places: int) -> str:
        return comparison(number(record[key], places), number(record[f"{key}_reported"], places))

    return [
        Column("Steps (reported)", lambda r: text(r, "steps", 0)),
        Column("Step size (reported)", lambda r: text(r, "alpha", 3)),
    ]


def _eps(frame: Frame, spec: Mapping[str, Any], paper: Mapping[str, Any]) -> list[Column]:
    def reported(record: Record) -> str:
        assumed = number(record["eps_published"], 2)
        return number(record["eps_reported"], 2) or (f"assumed {assumed}" if assumed else "")

    return [
        Column("eps (reported)", reported, measured=False),
        Column("At equal change per pixel", lambda r: number(r["eps_scaled"], 3)),
        Column("Chosen here", lambda r: number(r["eps"], 3)),
        Column("Its multiple", lambda r: number(r["eps_multiple"], 2)),
        Column("Steps", lambda r: number(r["steps"], 0)),
        Column("Step size", lambda r: number(r["alpha"], 4)),
    ]


def _labels(frame: Frame, spec: Mapping[str, Any], paper: Mapping[str, Any]) -> list[Column]:
    def percent(key: str) -> Callable[[Record], str]:
        return lambda r: spread(r, key, 1, 100)

    classes = [column for column in frame if column.startswith("share_") and not column.endswith("_std")]
    return [
        Column("Labels by", lambda r: r["rule"]),
        Column("Total variation distance from uniform", lambda r: spread(r, "total_variation", 3)),
        Column("Smallest share, %", percent("smallest_share")),
        Column("Largest share, %", percent("largest_share")),
        *(Column(f"Class {name.removeprefix('share_')}, %", percent(name), further=True) for name in classes),
    ]
