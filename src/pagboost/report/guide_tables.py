"""Tables about guides themselves: is the robust thing robust? No paper prints such a number of its own classifiers."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.report import studies
from pagboost.report.cells import reason
from pagboost.report.choices import NORMS
from pagboost.report.columns import Column, Record, comparison, number
from pagboost.report.render import rendered
from pagboost.report.sheets import Frame, Row, Sheet, Spec

# What a study of robustness measures (guides.robustness.names): of clean images, by one attack or by both, at a time.
QUANTITY = re.compile(r"accuracy(?:_(?P<way>pgd|apgd|robust)_(?P<eps>[\d_]+?))?(?:_at_(?P<time>\d+))?")
WAYS = (None, "pgd", "apgd", "robust")
Z = statistics.NormalDist().inv_cdf(0.975)
RULE = (
    "Accuracy on held-out images in percent, with Wilson's 95 % interval over images: clean, and under untargeted PGD "
    "and APGD-CE (Croce and Hein 2020) inside a ball of the radius stated, from the image itself and without restarts. "
    "An image that is misclassified without an attack counts as fooled."
)
IN_TIME = (
    "Means over times t of x_t, in the [-1, 1] scale, and apart from them the same at each t. An image counts by the "
    "share of times at which it is told right, for which the interval is wider than need be."
)


def guides(spec: Spec, paper: Spec) -> Sheet:
    """Accuracy of a study's networks, clean and attacked: a row for each of `networks`.

    Of each quantity of the study that starts with "accuracy": its mean over images, and _low and _high, Wilson's 95 %
    interval. norm and steps are the attacks', n is the number of images. Its rows raise InputError for a study that is
    not one of robustness, and for a network that it lacks.
    """
    return Sheet(
        rows=lambda *here: _rows(spec, *here),
        people=lambda frame: rendered(frame, spec, _columns(frame), _remarks(frame)),
    )


def wilson(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high): Wilson's 95 % interval of a share, of values 0 and 1.

    It has a width where all values are equal. Values between 0 and 1 vary less than such, and it is too wide for them.
    """
    n, p = len(values), statistics.fmean(values)
    centre, spread = p + Z**2 / (2 * n), Z * (p * (1 - p) / n + Z**2 / (4 * n**2)) ** 0.5
    low, high = ((centre + side * spread) / (1 + Z**2 / n) for side in (-1, 1))
    return p, max(0.0, low), min(1.0, high)


# -- for machines


def _rows(spec: Spec, results: str | Path, unavailable: Mapping[str, str]) -> list[Row]:
    name = spec["study"]
    missing = {network: reason(name, network, unavailable) for network in spec["networks"]}
    study = None if all(missing.values()) else _load(results, name)
    return [_row(study, network) if why is None else _row(None, network) for network, why in missing.items()]


def _load(results: str | Path, name: str) -> studies.Study:
    study = studies.load(results, name)
    if not {"norm", "steps"} <= study.settings.keys() or study.settings["norm"] not in NORMS:
        raise InputError(f"{study.path}: expected a study of robustness, with settings norm and steps")
    return study


def _row(study: studies.Study | None, network: str) -> Row:
    if study is None:
        return {"norm": "", "steps": None, "n": None}
    row: Row = {"norm": study.settings["norm"], "steps": study.settings["steps"]}
    row["n"] = len(study.values("accuracy", network))
    for quantity in sorted(filter(QUANTITY.fullmatch, study.quantities), key=_place):
        mean_and_interval = wilson(study.values(quantity, network))
        row |= dict(zip((quantity, f"{quantity}_low", f"{quantity}_high"), mean_and_interval, strict=True))
    return row


def _place(quantity: str) -> tuple[float, float, int]:
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
    main = [Column(_header(one, *attack), _percent(one)) for one in found if one not in (*in_time, *both)]
    further = [Column(_header(one, *attack), _percent(one), further=True) for one in apart]
    return [*main, Column("Images", lambda r: number(r["n"], 0)), *further]


def _first(frame: Frame, column: str) -> Any:
    """What the rows that can be had agree on, being of one study; None where there are none."""
    return next(iter(frame.loc[frame["unavailable"] == "", column]), None)


def _header(quantity: str, steps: str, norm: str) -> str:
    """What is measured, in words: "APGD-20, L2 1.5, t = 200"."""
    way, eps, time = QUANTITY.fullmatch(quantity).group("way", "eps", "time")
    named = {None: "Clean", "pgd": f"PGD-{steps}", "apgd": f"APGD-{steps}", "robust": "Both attacks"}[way]
    radius = "" if eps is None else f"{NORMS[norm]} {eps.replace('_', '.')}"
    return ", ".join(filter(None, (named, radius, time and f"t = {time}")))


def _percent(quantity: str) -> Callable[[Record], str]:
    def text(record: Record) -> str:
        mean, low, high = (
            number(None if value is None else 100 * value, 1)
            for value in (record.get(quantity + suffix) for suffix in ("", "_low", "_high"))
        )
        return comparison(mean, f"{low} to {high}" if low else "")

    return text


def _remarks(frame: Frame) -> dict[str, str]:
    times = {"in time": IN_TIME} if any("_at_" in column for column in frame) else {}
    return {"robustness": RULE} | times
