"""Tables of what a study measured: a row for each of its networks or sets, a column for each quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost.options.studies import IMAGE
from pagboost.report import studies
from pagboost.report.cells import folders, reason
from pagboost.report.columns import Column, number
from pagboost.report.render import rendered
from pagboost.report.sheets import Frame, Row, Sheet, Spec
from pagboost.report.summaries import normal, number_of_trainings, over_trainings, repeated, shown, wilson

ONE = "The networks were trained once: a number says nothing about another training run."
DECIMALS = {True: 1, False: 3}  # of percent, of other numbers
INTERVALS = (
    "Mean over {unit}s, in parentheses its 95 % interval over {unit}s: Wilson's of a share of images, else the normal "
    "one. The networks were trained once, so the interval says nothing about another training run."
)


def quantities(spec: Spec, paper: Spec) -> Sheet:
    """Quantities of a study, a row for each of `networks`, which may be sets of images too.

    For machines each quantity's mean over images, and _low and _high, its 95 % interval over them (Wilson's of what is
    shown in percent, else the normal one); of several trainings
    the mean over trainings and _std, the deviation over them (see summaries). n is the number of images, or of another
    `unit`, of the first quantity. Its rows raise InputError for a network or a quantity that the study lacks.
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
        return {"unit": "", "n": None}
    unit = found[0].unit
    of_share = wilson if unit == IMAGE else normal  # what has a share of each draw is no image that is told right
    intervals = {quantity: of_share if spec.get("percent") else normal for quantity, spec in quantities.items()}
    counted = {"unit": unit, "n": len(found[0].values(next(iter(quantities)), network))}
    return counted | repeated(found, network, intervals)


def _columns(frame: Frame, quantities: Mapping[str, Mapping[str, Any]]) -> list[Column]:
    measured = [_column(quantity, **spec) for quantity, spec in quantities.items()]
    unit = _unit(frame)
    return [*measured, Column(f"{unit}s".capitalize(), lambda record: number(record["n"], 0))] if unit else measured


def _unit(frame: Frame) -> str:
    """What a training has many of: images where a study says nothing else; empty where it has one number of each."""
    known = frame["n"].dropna()
    return "" if len(known) and (known == 1).all() else next(filter(None, frame["unit"]), IMAGE)


def _column(quantity: str, title: str, percent: bool = False) -> Column:
    header = f"{title}, %" if percent else title
    return Column(header, shown(quantity, DECIMALS[percent], percent=percent))


def _remarks(frame: Frame) -> dict[str, str]:
    trainings, unit = number_of_trainings(frame), _unit(frame)
    said = (INTERVALS.format(unit=unit) if unit else ONE) if trainings is None else over_trainings(trainings, unit)
    return {"study" if unit == IMAGE else f"study of {unit}s" if unit else "one number": said}
