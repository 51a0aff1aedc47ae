"""What a boosting step costs against a sampler step: multiply-adds as counted, seconds as reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pagboost.errors import InputError
from pagboost.options.studies import COUNT
from pagboost.report import studies
from pagboost.report.cells import folders, reason
from pagboost.report.columns import Column, comparison, number
from pagboost.report.render import rendered
from pagboost.report.sheets import Row, Sheet, Spec

MILLION = 1e6
QUANTITY = "multiply_adds"
STEPS = {"sampler_step": "generator", "boosting_step": "boost"}  # what a row names the network of
RULE = (
    "Per image, in millions of multiply-adds of convolutions, products and attention: exact, the same in every "
    "training and on every machine. A boosting step is the guide's forward pass and the gradient with respect to the "
    "image, a sampler step one evaluation of the generator's network. The reported ratio is of seconds."
)


def costs(spec: Spec, paper: Spec) -> Sheet:
    """A row for each pair of a generator and a boost: what a step of its sampler and one of the boost cost.

    sampler_step and boosting_step, multiply-adds per image; ratio, how many boosting steps a sampler step costs; and
    of the paper's seconds the same with _reported. Its rows raise InputError for a study that counts nothing, and for
    a step that it lacks.
    """
    return Sheet(
        rows=lambda *here: _rows(spec, *here),
        people=lambda frame: rendered(frame, spec, _columns(), {"costs": RULE}),
    )


def _rows(spec: Spec, results: str | Path, unavailable: Mapping[str, str]) -> list[Row]:
    name = spec["study"]
    why = [unavailable.get(name) or reason(row["generator"], row["boost"], unavailable) for row in spec["rows"]]
    study = None if all(why) else _load(folders(results)[0], name)  # of every training the same
    return [_row(row, None if left_out else study, left_out) for row, left_out in zip(spec["rows"], why, strict=True)]


def _load(results: Path, name: str) -> studies.Study:
    study = studies.load(results, name)
    if study.unit != COUNT:
        raise InputError(f"{study.path}: a study of {study.unit}s, expected one of costs, whose unit is {COUNT}")
    return study


def _row(row: Spec, study: studies.Study | None, why: str | None) -> Row:
    measured = {step: study and study.values(QUANTITY, row[named])[0] for step, named in STEPS.items()}
    stated = row.get("reported") or dict.fromkeys(STEPS)
    reported = {f"{key}_reported": value for key, value in _with_ratio(stated).items()}
    return _with_ratio(measured) | reported | ({"unavailable": why} if why else {})


def _with_ratio(steps: Mapping[str, float | None]) -> dict[str, float | None]:
    sampler, boosting = (steps[step] for step in STEPS)
    return {**steps, "ratio": sampler / boosting if sampler and boosting else None}


def _columns() -> list[Column]:
    return [
        Column("Sampler step, millions", lambda r: _millions(r["sampler_step"])),
        Column("Boosting step, millions", lambda r: _millions(r["boosting_step"])),
        Column(
            "Boosting steps that a sampler step costs (reported)",
            lambda r: comparison(number(r["ratio"], 1), number(r["ratio_reported"], 1)),
        ),
    ]


def _millions(value: float | None) -> str:
    return number(None if value is None else value / MILLION, 2)
