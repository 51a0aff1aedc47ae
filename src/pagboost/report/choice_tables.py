"""Rows of tables about boosting itself: its steps, its radius, and the classes it aims at."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.report import choices
from pagboost.report.cells import reason

Row = dict[str, Any]


def _choice(row: Mapping[str, Any], results: str | Path, unavailable: Mapping[str, str]) -> choices.Choice | None:
    cell = row["generator"], row["boost"]
    return None if reason(*cell, unavailable) else choices.load(results, *cell)


def steps_row(row: Mapping[str, Any], results: str | Path, unavailable: Mapping[str, str]) -> Row:
    """Steps and step size chosen here beside the reported ones, which are of other data (Golan Table 5)."""
    choice = _choice(row, results, unavailable)
    result: Row = {}
    for quantity in ("steps", "alpha"):
        result[quantity] = None if choice is None else getattr(choice, quantity)
        result[f"{quantity}_reported"] = row.get("reported", {}).get(quantity)
    return result


def eps_row(row: Mapping[str, Any], results: str | Path, unavailable: Mapping[str, str]) -> Row:
    """The radius chosen here beside the reported one, which is carried over at equal change per pixel (BIGRoC Table 3).

    eps_multiple is the chosen radius in units of the one carried over; eps_published is what was carried over, assumed
    where eps_reported is empty. Raises InputError where boosting started from another radius than the reported one.
    """
    reported = row.get("reported", {}).get("eps")
    result: Row = dict.fromkeys(("eps_published", "eps_scaled", "eps", "eps_multiple", "norm", "steps", "alpha"))
    choice = _choice(row, results, unavailable)
    if choice is not None:
        if choice.eps is None or not choice.scaled_eps:
            raise InputError(
                f"{choice.path}: expected eps, published_eps and scaled_eps, a radius chosen around a paper's"
            )
        if reported is not None and reported != choice.published_eps:
            raise InputError(
                f"{choice.path}: published_eps {choice.published_eps}, but the paper's for {row['generator']} is "
                f"{reported}: expected the same"
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
    return {"eps_reported": reported} | result


def labels_row(row: Mapping[str, Any], results: str | Path, unavailable: Mapping[str, str]) -> Row:
    """How the classes a boost aims at are spread (BIGRoC Fig. 3): mean and _std over sampling seeds.

    share_<class>, the smallest and the largest share, and total_variation, the distance from equal shares. n is the
    number of images of all seeds together.
    """
    choice = _choice(row, results, unavailable)
    if choice is None:
        return {"rule": "", "n_seeds": None, "n": None}
    shares = choice.shares()
    counted = sum(sum(own) for own in choice.labels["counts"].values())
    result: Row = {"rule": choice.labels.get("rule", ""), "n_seeds": len(shares), "n": counted}
    by_quantity = {
        "smallest_share": [min(own) for own in shares.values()],
        "largest_share": [max(own) for own in shares.values()],
        "total_variation": [choices.total_variation(own) for own in shares.values()],
    }
    by_quantity |= {f"share_{c}": list(own) for c, own in enumerate(zip(*shares.values(), strict=True))}
    for name, values in by_quantity.items():
        result[name] = statistics.fmean(values)
        result[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
    return result
