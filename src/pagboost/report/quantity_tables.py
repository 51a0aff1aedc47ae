"""Tables of what a study measured: a row for each of its networks or sets, a column for each quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost.report import studies
from pagboost.report.cells import folders, reason
from pagboost.report.columns import Column, number
from pagboost.report.render import rendered
from pagboost.report.sheets import Frame, Row, Sheet, Spec
from pagboost.report.summaries import OVER_TRAININGS, normal, number_of_trainings, repeated, shown, wilson

DECIMALS = {True: 1, False: 3}  # of percent, of other numbers
INTERVALS = (
    "Mean over images, in parentheses its 95 % interval over images: Wilson's of a share of images, else the normal "
    "one. The networks were trained once, so the interval says nothing about another training run."
)


def quantities(spec: Spec, paper: Spec) -> Sheet:
    """Quantities of a study, a row for each of `networks`, which may be sets of images too.

    For machines each quantity's mean over images, and _low and _high, its 95 % interval over them (Wilson's of what is
    shown in percent, else the normal one); of several trainings
    the mean over trainings and _std, the deviation over them (see summaries). n is the number of images, or other
    units, of the first quantity. Its rows raise InputError for a network or a quantity that the study lacks.
    """
    return Sheet(
        rows=lambda *here: _rows(spec, *here),
        people=lambda frame: rendered(frame, spec, _columns(frame, spec["quantities"]), _remarks(frame)),
    )


def _rows(spec: Spec, results: str | Path, unavailable: Mapping[str, str]) -> list[Row]:
    name = spec["study"]
    missing = {network: reason(name, network, unavailable) for network in spec["networks"]}
    found = [] if all(missing.values()) else [studies.load(folder, name) for folder in folders(results)]
    return [_row(found if why is None else [], network, spec["quantities"]) for network, why in missing.items()]


def _row(found: Sequence[studies.Study], network: str, quantities: Mapping[str, Mapping[str, Any]]) -> Row:
    """A network's row from the study of every training; an empty one from none."""
    if not found:
        return {"n": None}
    intervals = {quantity: wilson if spec.get("percent") else normal for quantity, spec in quantities.items()}
    return {"n": len(found[0].values(next(iter(quantities)), network)), **repeated(found, network, intervals)}


def _columns(frame: Frame, quantities: Mapping[str, Mapping[str, Any]]) -> list[Column]:
    measured = [_column(quantity, **spec) for quantity, spec in quantities.items()]
    return [*measured, Column("Images", lambda record: number(record["n"], 0))]


def _column(quantity: str, title: str, percent: bool = False) -> Column:
    header = f"{title}, %" if percent else title
    return Column(header, shown(quantity, DECIMALS[percent], percent=percent))


def _remarks(frame: Frame) -> dict[str, str]:
    trainings = number_of_trainings(frame)
    return {"study": INTERVALS if trainings is None else OVER_TRAININGS.format(trainings=trainings)}
