"""Tables about boosting itself: its steps, its radius, and the classes it aims at."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from pagboost.descriptive import total_variation
from pagboost.errors import InputError
from pagboost.report import choices
from pagboost.report.cells import reason
from pagboost.report.columns import Column, Record, comparison, nfe, number, spread
from pagboost.report.render import rendered
from pagboost.report.sheets import Frame, Row, Sheet, Spec

UNIT = (0, 1)  # the range of images where nothing else is said


def steps(spec: Spec, paper: Spec) -> Sheet:
    """Steps and step size chosen here beside the reported ones, which are of other data (Golan Table 5)."""
    shown = [
        Column("Steps (reported)", lambda r: _beside(r, "steps", 0)),
        Column("Step size (reported)", lambda r: _beside(r, "alpha", 3)),
    ]
    return Sheet(
        rows=lambda *here: [_steps(row, *here) for row in spec["rows"]],
        people=lambda frame: rendered(frame, spec, [*nfe(frame, paper), *shown]),
    )


def eps(spec: Spec, paper: Spec) -> Sheet:
    """The radius chosen here beside the reported one, which is carried over at equal change per pixel (BIGRoC Table 3).

    eps_reported is the paper's and eps_as_run the authors' code's, each of images with values in [_low, _high];
    eps_published is what was carried over, on [0, 1]: the reported one, else the one run, else assumed. eps_multiple is
    the chosen radius in units of the one carried over. Its rows raise InputError where boosting started from another
    radius than the stated one.
    """
    shown = [
        Column("eps (reported)", lambda r: _with_scale(r, "eps_reported"), measured=False),
        Column("As run by the authors", lambda r: _with_scale(r, "eps_as_run"), measured=False),
        Column("On [0, 1]", _published_eps, measured=False),
        Column("At equal change per pixel", lambda r: number(r["eps_scaled"], 3)),
        Column("Chosen here", lambda r: number(r["eps"], 3)),
        Column("Its multiple", lambda r: number(r["eps_multiple"], 2)),
        Column("Steps", lambda r: number(r["steps"], 0)),
        Column("Step size", lambda r: number(r["alpha"], 4)),
    ]
    return Sheet(
        rows=lambda *here: [_eps(row, *here) for row in spec["rows"]],
        people=lambda frame: rendered(frame, spec, shown),
    )


def labels(spec: Spec, paper: Spec) -> Sheet:
    """How the classes a boost aims at are spread (BIGRoC Fig. 3): mean and _std over sampling seeds.

    share_<class>, the smallest and the largest share, and total_variation, the distance from equal shares. n is the
    number of images of all seeds together.
    """
    return Sheet(
        rows=lambda *here: [_labels(row, *here) for row in spec["rows"]],
        people=lambda frame: rendered(frame, spec, _label_columns(frame)),
    )


# -- for machines


def _choice(row: Spec, results: str | Path, unavailable: Mapping[str, str]) -> choices.Choice | None:
    cell = row["generator"], row["boost"]
    return None if reason(*cell, unavailable) else choices.load(results, *cell)


def _steps(row: Spec, results: str | Path, unavailable: Mapping[str, str]) -> Row:
    choice = _choice(row, results, unavailable)
    result: Row = {}
    for quantity in ("steps", "alpha"):
        result[quantity] = None if choice is None else getattr(choice, quantity)
        result[f"{quantity}_reported"] = row.get("reported", {}).get(quantity)
    return result


def _eps(row: Spec, results: str | Path, unavailable: Mapping[str, str]) -> Row:
    reported, as_run = row.get("reported", {}), row.get("as_run", {})
    result: Row = dict.fromkeys(("eps_published", "eps_scaled", "eps", "eps_multiple", "norm", "steps", "alpha"))
    choice = _choice(row, results, unavailable)
    if choice is not None:
        if choice.eps is None or not choice.scaled_eps:
            raise InputError(
                f"{choice.path}: expected eps, published_eps and scaled_eps, a radius chosen around a paper's"
            )
        if (stated := reported or as_run) and not math.isclose(on_unit_scale(stated), choice.published_eps):
            whose = "paper's" if reported else "authors'"
            raise InputError(
                f"{choice.path}: published_eps {choice.published_eps}, but the {whose} for {row['generator']} on "
                f"[0, 1] is {on_unit_scale(stated):g}: expected the same"
            )
        result |= {
            "eps_published": choice.published_eps,
            "eps_scaled": choice.scaled_eps,
            "eps": choice.eps,
            "eps_multiple": choice.eps / choice.scaled_eps,
            "norm": choice.norm,
            "steps": choice.steps,
            "alpha": choice.alpha,
        }
    return _stated("eps_reported", reported) | _stated("eps_as_run", as_run) | result


def on_unit_scale(radius: Spec) -> float:
    """A stated radius {eps, scale}, of images with values in [0, 1]."""
    low, high = radius.get("scale", UNIT)
    return radius["eps"] / (high - low)


def _stated(key: str, radius: Spec) -> Row:
    low, high = radius.get("scale", UNIT) if radius else (None, None)
    return {key: radius.get("eps"), f"{key}_low": low, f"{key}_high": high}


def _labels(row: Spec, results: str | Path, unavailable: Mapping[str, str]) -> Row:
    choice = _choice(row, results, unavailable)
    if choice is None:
        return {"rule": "", "n_seeds": None, "n": None}
    shares = choice.shares()
    counted = sum(sum(own) for own in choice.labels["counts"].values())
    result: Row = {"rule": choice.labels.get("rule", ""), "n_seeds": len(shares), "n": counted}
    by_quantity = {
        "smallest_share": [min(own) for own in shares.values()],
        "largest_share": [max(own) for own in shares.values()],
        "total_variation": [total_variation(own) for own in shares.values()],
    }
    by_quantity |= {f"share_{c}": list(own) for c, own in enumerate(zip(*shares.values(), strict=True))}
    for name, values in by_quantity.items():
        result[name] = statistics.fmean(values)
        result[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
    return result


# -- for people


def _beside(record: Record, key: str, places: int) -> str:
    return comparison(number(record[key], places), number(record[f"{key}_reported"], places))


def _with_scale(record: Record, key: str) -> str:
    eps = number(record[key], 2)
    return f"{eps} on [{record[f'{key}_low']:g}, {record[f'{key}_high']:g}]" if eps else ""


def _published_eps(record: Record) -> str:
    eps = number(record["eps_published"], 2)
    stated = number(record["eps_reported"], 2) or number(record["eps_as_run"], 2)
    return eps if stated or not eps else f"assumed {eps}"


def _label_columns(frame: Frame) -> list[Column]:
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
