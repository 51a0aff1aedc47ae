"""Readable columns: a header, and a cell's text from a row of the machine table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pagboost.report.sheets import Frame

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


def nfe(frame: Frame, paper: Mapping[str, Any]) -> list[Column]:
    """The column of network evaluations, where this scale or the paper states any; else none."""
    known = frame[["nfe", "nfe_reported"]].notna().any(axis=None) and paper.get("nfe")
    return [Column("NFE (reported)", _nfe, measured=False)] if known else []


def _nfe(record: Record) -> str:
    return comparison(number(record["nfe"], 0), number(record["nfe_reported"], 0))
