"""A table at work: what makes its rows, and what people see of them, as the class of its kind names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pagboost.options.kinds import named
from pagboost.options.tables import Table

Frame = pd.DataFrame
Spec = Mapping[str, Any]  # a table of a paper, or the paper
Row = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """What a reader sees: header and rows of text; marks [1], [2], … in rows refer to notes; remarks stand below.

    shared: {subject: remark} that other tables of a paper make too; a page of several says each once.
    further: how many of the last columns are details, which a page may show apart.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]
    remarks: list[str]
    shared: dict[str, str] = field(default_factory=dict)
    further: int = 0


@dataclass(frozen=True)
class Sheet:
    """A table of one kind.

    rows: f(results, unavailable) -> for each row that is declared, in order, what this kind has in it besides what all
    kinds have (see tables.table); `note` is added to the note that is declared. `results` is the folder of the first
    training, and for a kind that is made from every training cells.Folders where there are several.
    people: f(frame) -> the readable form of the machine table, as it was made or as it was read from its CSV.
    """

    rows: Callable[[str | Path, Mapping[str, str]], list[Row]]
    people: Callable[[Frame], Rendered]


def sheet(spec: Spec, paper: Spec) -> Sheet:
    """One of a paper's tables, by its kind (see options.tables). Raises InputError for a kind that is not known."""
    return named(Table.of(spec).uses)(spec, paper)
