"""Both sides of a claim's inequality, in each training once per sampling seed or image: what verdicts are made from."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.report import choices, studies, sweeps
from pagboost.report import measured as ms
from pagboost.report.cells import LABEL_METRICS, RAW, Cell, cells, steps_file
from pagboost.report.ranks import rank_correlation
from pagboost.report.reported import improvement

SEED = "sampling seed"

Claim = Mapping[str, Any]  # a single inequality, as cells.expand makes it


@dataclass(frozen=True)
class Pairs:
    """values[training][unit]: (lower, than), the same units on both sides; `missing`: why there is none.

    Units, sampling seeds or images, are nested in trainings, as many in each.
    """

    values: list[list[tuple[float, float]]]
    unit: str = SEED
    missing: str = ""


def by_protocol(claim: Claim) -> bool:
    """Whether a claim is about metrics, which are measured anew under each protocol."""
    return "study" not in claim and claim["metric"] not in LABEL_METRICS


def basis(claim: Claim, protocol: str) -> str:
    """What a claim is measured by, in words: a protocol, target labels, or a study."""
    if "study" in claim:
        return f"study {claim['study']}"
    return protocol if by_protocol(claim) else "target labels"


def pairs(claim: Claim, protocol: str, found: Mapping[Cell, ms.Repeated], folders: Sequence[Path]) -> Pairs:
    """Both sides of one inequality, from metrics under a protocol, from target labels, or from a study.

    folders: of the trainings that `found` holds the metrics of. Raises InputError for missing files, for sides or
    trainings with different sampling seeds and for mixed protocol facts.
    """
    if "study" in claim:
        return _of_study(claim, folders)
    if by_protocol(claim):
        ms.same_facts(ms.of_trainings(found[cell] for cell in cells(claim)), protocol)
    by_training = [_by_seed(claim, protocol, found, number, folder) for number, folder in enumerate(folders)]
    _check_seeds(claim, by_training, folders)
    if "best" in claim and len(by_training[0]) == 1:
        return Pairs([], missing=sweeps.SINGLE_SEED)
    return Pairs([_sides_by_seed(claim, by_seed) for by_seed in by_training])


def _of_study(claim: Claim, folders: Sequence[Path]) -> Pairs:
    """Both sides of a claim about a study, for each training once for each of its units."""
    loaded = [studies.load(folder, claim["study"]) for folder in folders]
    values = []
    for study in loaded:
        lower, than = (study.values(claim["quantity"], claim[side]) for side in ("lower", "than"))
        if len(lower) != len(than):
            raise InputError(
                f"{study.path}: {claim['quantity']} has {len(lower)} values of {claim['lower']} and {len(than)} of "
                f"{claim['than']}: expected one for each {study.unit}"
            )
        values.append(list(zip(lower, than, strict=True)))
        if len(lower) != len(values[0]):
            raise InputError(
                f"{study.path}: {claim['quantity']} has {len(lower)} values, but {loaded[0].path} has "
                f"{len(values[0])}: expected as many in every training"
            )
    return Pairs(values, loaded[0].unit)


def _sides_by_seed(claim: Claim, by_seed: Mapping[str, Mapping[Cell, float]]) -> list[tuple[float, float]]:
    """Both sides within one training, by sampling seed; the best of a sweep is chosen on its other seeds."""
    if "best" not in claim:
        return [sides(claim, values) for values in by_seed.values()]
    chosen_on = sweeps.other_seeds(by_seed)
    return [sweeps.sides(claim, values, chosen_on[seed]) for seed, values in by_seed.items()]


def _check_seeds(claim: Claim, by_training: Sequence[Mapping[str, Any]], folders: Sequence[Path]) -> None:
    """Raise InputError for target labels of other sampling seeds than the first training's (metrics: ms.repeated)."""
    for folder, by_seed in zip(folders, by_training, strict=True):
        if by_seed.keys() != by_training[0].keys():
            path, first = (steps_file(one, *cells(claim)[0]) for one in (folder, folders[0]))
            raise InputError(
                f"{path}: target labels have sampling seeds {', '.join(by_seed)}, but {first} has "
                f"{', '.join(by_training[0])}: expected the same in every training"
            )


def _by_seed(
    claim: Claim, protocol: str, found: Mapping[Cell, ms.Repeated], number: int, folder: Path
) -> dict[str, dict[Cell, float]]:
    """Of one training: sampling seed -> cell -> the claim's metric, the same seeds for every cell."""
    needed = cells(claim)
    if by_protocol(claim):
        own = {cell: found[cell].trainings[number] for cell in needed}
        scores = {cell: one.seeds(protocol, claim["metric"]) for cell, one in own.items()}
        paths = {cell: one.path for cell, one in own.items()}
    else:
        loaded = {cell: choices.load(folder, *cell) for cell in needed}
        scores = {cell: _unevenness(choice) for cell, choice in loaded.items()}
        paths = {cell: choice.path for cell, choice in loaded.items()}
    seeds = scores[needed[0]].keys()
    for cell, values in scores.items():
        if values.keys() != seeds:
            raise InputError(
                f"{paths[cell]}: {basis(claim, protocol)} has sampling seeds {', '.join(values)}, but "
                f"{paths[needed[0]]} has {', '.join(seeds)}: expected the same, claim {claim['id']} pairs them"
            )
    return {seed: {cell: values[seed] for cell, values in scores.items()} for seed in seeds}


def _unevenness(choice: choices.Choice) -> dict[str, float]:
    return {seed: choices.total_variation(own) for seed, own in choice.shares().items()}


def sides(claim: Claim, values: Mapping[Cell, float]) -> tuple[float, float]:
    """(lower, than) from one value per cell.

    The mean over each side's generators of the metric, or of its fall from raw to boosted (quantity gain); for a
    correlation 0 and Spearman's rho over the generators between the raw metric and what boosting gains, as a
    difference or in percent of the raw metric. Claims about sweeps: see `sweeps.sides`, the best being chosen on the
    same values.
    """
    if sweeps.form_of(claim):
        return sweeps.sides(claim, values, chosen_on=values)
    if "correlation" in claim:
        boost, metric = claim["boost"], claim["metric"]
        raw = [values[generator, RAW] for generator in claim["over"]]
        boosted = [values[generator, boost] for generator in claim["over"]]
        if claim["correlation"] == "percent":
            gains = [improvement(a, b, metric) for a, b in zip(raw, boosted, strict=True)]
        else:
            gains = [a - b for a, b in zip(raw, boosted, strict=True)]
        return 0.0, rank_correlation(raw, gains, f"claims.{claim['id']}")

    def quantity(generator: str, boost: str) -> float:
        value = values[generator, boost]
        return values[generator, RAW] - value if claim.get("quantity") == "gain" else value

    left, right = (
        statistics.fmean(quantity(generator, claim[side]["boost"]) for generator in claim[side]["generators"])
        for side in ("lower", "than")
    )
    return left, right
