"""Each class on its own: FID of its images against the reference's of that class, and a judge's agreement with labels.

Classes have few images: FID of fewer images than features is exact here, but far above that of many. It compares with
that of another set of as many images per class alone, which each row states.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pagboost import artifacts, said
from pagboost.errors import InputError, listed
from pagboost.metrics import bootstrap, frechet, sheets
from pagboost.metrics.class_labels import Labels
from pagboost.metrics.evaluation import spread

log = logging.getLogger(__name__)

LEAST = 2  # images that have a covariance
ABOUT = ("set", "reference", "extractor")  # which tell rows apart; and "distance", what their fid is called elsewhere
COLUMNS = ("class", "name", "n", "reference_n", "fid", "fid_std", "agreement", "agreement_std", "note")


def rows(
    features: torch.Tensor,
    labels: Labels,
    seeds: np.ndarray,
    real: torch.Tensor,
    real_labels: Labels,
    agreeing: np.ndarray | None = None,
) -> Iterator[dict[str, Any]]:
    """A row of COLUMNS for every class of a set, features [N, D], or of a reference, real [M, D]; in their order.

    n: images per sampling seed, the fewest of any; fid: mean over seeds. agreeing: bool [N], whether the judge sees
    each image as its label says. A class that has too few images for a number has None, and a note that says so.
    """
    labels, dims, few = labels.numbered_as(real_labels), features.shape[1], []
    for number in np.union1d(labels.numbers, real_labels.numbers).tolist():
        theirs = np.flatnonzero(real_labels.numbers == number)
        own = {str(seed): np.flatnonzero((labels.numbers == number) & (seeds == seed)) for seed in np.unique(seeds)}
        n, name = min(map(len, own.values())), real_labels.name(number) or labels.name(number)
        row = dict.fromkeys(COLUMNS) | {"class": number, "name": name, "n": n, "reference_n": len(theirs), "note": ""}
        if min(n, len(theirs)) < LEAST:
            row["note"] = f"too few images for FID, expected at least {LEAST} of samples and of the reference"
        else:
            row |= _over_seeds("fid", _distances(features, own, real, theirs))
            if min(n, len(theirs)) <= dims:
                few.append(name or str(number))
                row["note"] = f"no more images than features ({dims}): compare at equal n alone"
        if agreeing is not None and n:
            row |= _over_seeds("agreement", {seed: float(agreeing[one].mean()) for seed, one in own.items()})
        yield row
    if few:
        said.once(
            log,
            logging.WARNING,
            f"per class: no more images than features ({dims}) of {listed(few, 10)}: their FIDs are far above those of "
            "many images, compare at equal n alone",
        )


def _distances(
    features: torch.Tensor, own: Mapping[str, np.ndarray], real: torch.Tensor, theirs: np.ndarray
) -> dict[str, float]:
    """FID of the rows `own` of each seed against the rows `theirs` of the reference."""
    against = frechet.statistics(real[torch.from_numpy(theirs).to(real.device)])
    parts = {seed: features[torch.from_numpy(rows).to(features.device)] for seed, rows in own.items()}
    return {seed: frechet.distance(frechet.statistics(part), against) for seed, part in parts.items()}


def _over_seeds(name: str, by_seed: Mapping[str, float]) -> dict[str, float | None]:
    found = spread({seed: {name: round(value, 9)} for seed, value in by_seed.items()})
    return {name: found["mean"][name], f"{name}_std": found["std"][name]}


def agreement(logits: torch.Tensor | None, labels: Labels, judge: str) -> np.ndarray:
    """bool [N]: whether the class of the largest of logits [N, K] is the label; InputError for a label beyond K - 1."""
    if logits is None:
        raise InputError(f"--judge {judge}: gives features alone, expected a classifier")
    if len(labels.numbers) and labels.numbers.max() >= logits.shape[1]:
        raise InputError(
            f"{labels.where}: label {labels.numbers.max()}, expected 0..{logits.shape[1] - 1} (the classes of {judge})"
        )
    return logits.argmax(1).cpu().numpy() == labels.numbers


def judged(agreeing: np.ndarray, seeds: np.ndarray, resamplings: int) -> dict[str, Any]:
    """The share of images that a judge sees as their labels say: by sampling seed, mean, std and intervals."""
    by_seed = {str(seed): agreeing[seeds == seed] for seed in np.unique(seeds)}
    values = {seed: {"agreement": round(float(one.mean()), 9)} for seed, one in by_seed.items()}
    result: dict[str, Any] = {"seeds": values, **spread(values)}
    if resamplings:
        result["intervals"] = {seed: {"agreement": _interval(one, resamplings)} for seed, one in by_seed.items()}
    return result


def _interval(agreeing: np.ndarray, resamplings: int) -> list[float]:
    draws = bootstrap.resamplings(len(agreeing), resamplings).double()
    replicates = draws @ torch.from_numpy(agreeing).double() / len(agreeing)
    return [round(bound, 9) for bound in bootstrap.interval(float(agreeing.mean()), replicates, bounds=(0, 1))]


def needed(found: Labels | None, where: str, of: str) -> Labels:
    """Labels that are there; InputError where there are none."""
    if found is None:
        raise InputError(
            f"{where}: says no classes, expected {of} with labels: arr_1 of an .npz (or --labels KEY), class folders, "
            "dataset.json, or .cls files"
        )
    return found


def save(path: Path, found: Sequence[dict[str, Any]]) -> None:
    """Write rows of all sets as .csv, or as .json ({"classes": rows}); a judge's columns are there if it was asked."""
    if path.suffix.lower() == ".json":
        artifacts.save_json(path, {"classes": list(found)})
    else:
        judge = any(row["agreement"] is not None for row in found)
        columns = [name for name in COLUMNS if judge or not name.startswith("agreement")]
        about = [*ABOUT, *(["distance"] if any("distance" in row for row in found) else [])]
        sheets.write_csv(path, [*about, *columns], found)
