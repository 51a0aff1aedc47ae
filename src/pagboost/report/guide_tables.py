"""Tables about guides themselves: is the robust thing robust? No paper prints such a number of its own classifiers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.report import studies
from pagboost.report.cells import folders, reason
from pagboost.report.choices import NORMS
from pagboost.report.columns import Column, number
from pagboost.report.render import rendered
from pagboost.report.sheets import Frame, Row, Sheet, Spec
from pagboost.report.summaries import number_of_trainings, over_trainings, repeated, shown, wilson

# What a study of robustness measures (guides.robustness.names): of clean images, by one attack or by both, at a time.
QUANTITY = re.compile(r"accuracy(?:_(?P<way>pgd|apgd|robust)_(?P<eps>[\d_]+?))?(?:_at_(?P<time>\d+))?")
WAYS = (None, "pgd", "apgd", "robust")
RULE = (
    "Accuracy on held-out images in percent{}: clean, and under untargeted PGD and APGD-CE (Croce and Hein 2020) "
    "inside a ball of the radius stated, from the image itself and without restarts. An image that is misclassified "
    "without an attack counts as fooled."
)
INTERVAL = ", with Wilson's 95 % interval over images"
IN_TIME = (
    "Means over times t of x_t, in the [-1, 1] scale, and apart from them the same at each t. An image counts by the "
    "share of times at which it is told right{}."
)
WIDER = ", for which the interval is wider than need be"


def guides(spec: Spec, paper: Spec) -> Sheet:
    """Accuracy of a study's networks, clean and attacked: a row for each of `networks`.

    Of each quantity of the study that starts with "accuracy": its mean over images, and _low and _high, Wilson's 95 %
    interval; of several trainings (n_trainings) the mean over them and _std, see summaries. norm and steps are the
    attacks', n is the number of images. Its rows raise InputError for a study that is not one of robustness, and for a
    network that it lacks.
    """
    return Sheet(
        rows=lambda *here: _rows(spec, *here),
        people=lambda frame: rendered(frame, spec, _columns(frame), _remarks(frame)),
    )


# -- for machines


def _rows(spec: Spec, results: str | Path, unavailable: Mapping[str, str]) -> list[Row]:
    name = spec["study"]
    missing = {network: reason(name, network, unavailable) for network in spec["networks"]}
    found = [] if all(missing.values()) else [_load(folder, name) for folder in folders(results)]
    return [_row(found if why is None else [], network) for network, why in missing.items()]


def _load(results: str | Path, name: str) -> studies.Study:
    study = studies.load(results, name)
    if not {"norm", "steps"} <= study.settings.keys() or study.settings["norm"] not in NORMS:
        raise InputError(f"{study.path}: expected a study of robustness, with settings norm and steps")
    return study


def _row(found: Sequence[studies.Study], network: str) -> Row:
    """A network's row from the studies of all trainings; an empty one from none."""
    if not found:
        return {"norm": "", "steps": None, "n": None}
    first = found[0]
    row: Row = {"norm": first.settings["norm"], "steps": first.settings["steps"]}
    row["n"] = len(first.values("accuracy", network))
    measured = sorted(filter(QUANTITY.fullmatch, first.quantities), key=place)
    return row | repeated(found, network, dict.fromkeys(measured, wilson))


def place(quantity: str) -> tuple[float, float, int]:
    """Where a quantity stands among the others: means over times before times, by radius, then by attack."""
    way, eps, time = QUANTITY.fullmatch(quantity).group("way", "eps", "time")
    return -1.0 if time is None else float(time), float((eps or "0").replace("_", ".")), WAYS.index(way)


# -- for people


def _columns(frame: Frame) -> list[Column]:
    """The accuracies by one attack, then what is further: by both attacks, and at each time clean and by APGD."""
    found = [quantity for quantity in frame if QUANTITY.fullmatch(quantity)] or ["accuracy"]
    in_time = [quantity for quantity in found if "_at_" in quantity]
    both = [quantity for quantity in found if "_robust_" in quantity and quantity not in in_time]
    apart = both + [one for one in in_time if QUANTITY.fullmatch(one)["way"] in (None, "apgd")]
    attack = number(_first(frame, "steps"), 0), _first(frame, "norm")
    main = [Column(header(one, *attack), shown(one, 1, percent=True)) for one in found if one not in (*in_time, *both)]
    further = [Column(header(one, *attack), shown(one, 1, percent=True), further=True) for one in apart]
    return [*main, Column("Images", lambda r: number(r["n"], 0)), *further]


def _first(frame: Frame, column: str) -> Any:
    """What the rows that can be had agree on, being of one study; None where there are none."""
    return next(iter(frame.loc[frame["unavailable"] == "", column]), None)


def header(quantity: str, steps: str, norm: str) -> str:
    """What is measured, in words: "APGD-20, L2 1.5, t = 200"."""
    way, eps, time = QUANTITY.fullmatch(quantity).group("way", "eps", "time")
    named = {None: "Clean", "pgd": f"PGD-{steps}", "apgd": f"APGD-{steps}", "robust": "Both attacks"}[way]
    radius = "" if eps is None else f"{NORMS[norm]} {eps.replace('_', '.')}"
    return ", ".join(filter(None, (named, radius, time and f"t = {time}")))


def _remarks(frame: Frame) -> dict[str, str]:
    trainings = number_of_trainings(frame)
    of_one, over = trainings is None, [] if trainings is None else [over_trainings(trainings)]
    told = {"robustness": " ".join((RULE.format(INTERVAL if of_one else ""), *over))}
    in_time = any("_at_" in column for column in frame)
    return told | ({"in time": IN_TIME.format(WIDER if of_one else "")} if in_time else {})
