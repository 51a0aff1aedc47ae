"""Both sides of a claim's inequality, in each training once per sampling seed or image: what verdicts are made from."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pagboost.descriptive import rank_correlation, total_variation
from pagboost.errors import InputError
from pagboost.report import choices, curves, studies, sweeps
from pagboost.report import measured as ms
from pagboost.report.cells import LABEL_METRICS, RAW, Cell, boosts_of_lengths, cells, steps_file
from pagboost.report.reported import improvement

SEED = "sampling seed"
BOOTSTRAP = "bootstrap of one sampling seed"
SINGLE_CANDIDATE = "a single candidate length: nothing was tried"
CURVE = "curve"  # of validation FID along the candidate lengths: one in each training

Claim = Mapping[str, Any]  # a single inequality, as cells.expand makes it


@dataclass(frozen=True)
class Pairs:
    """values[training][unit]: (lower, than), the same units on both sides; `missing`: why there is none.

    Units, sampling seeds or images, are nested in trainings, as many in each. draws: of a single training's single
    seed, (lower, than) under each of its bootstrap's resamplings, the same images of both sides; empty else.
    """

    values: list[list[tuple[float, float]]]
    unit: str = SEED
    missing: str = ""
    draws: list[tuple[float, float]] = field(default_factory=list)


def by_protocol(claim: Claim) -> bool:
    """Whether a claim is about metrics, which are measured anew under each protocol."""
    return "study" not in claim and not boosts_of_lengths(claim) and claim["metric"] not in LABEL_METRICS


def basis(claim: Claim, protocol: str, bootstrapped: bool = False) -> str:
    """What a claim is measured by, in words: a protocol, target labels, a study, or what lengths were chosen by.

    bootstrapped: whether its interval is of resampled images, as nothing was repeated.
    """
    if bootstrapped:
        return f"{protocol}, {BOOTSTRAP}"
    if "study" in claim:
        return f"study {claim['study']}"
    if boosts_of_lengths(claim):
        return "validation"
    return protocol if by_protocol(claim) else "target labels"


def pairs(claim: Claim, protocol: str, found: Mapping[Cell, ms.Repeated], folders: Sequence[Path]) -> Pairs:
    """Both sides of one inequality, from metrics under a protocol, target labels, a study or walks' candidate lengths.

    folders: of the trainings that `found` holds the metrics of. Raises InputError for missing files, for sides or
    trainings with different sampling seeds and for mixed protocol facts.
    """
    if "study" in claim:
        return _of_study(claim, folders)
    if "longest" in claim:
        return _of_longest(claim, folders)
    if by_protocol(claim):
        ms.same_facts(ms.of_trainings(found[cell] for cell in cells(claim)), protocol)
    by_training = [_by_seed(claim, protocol, found, number, folder) for number, folder in enumerate(folders)]
    _check_seeds(claim, by_training, folders)
    if "best" in claim and len(by_training[0]) == 1:
        return Pairs([], missing=sweeps.SINGLE_SEED)
    draws = _draws(claim, protocol, found) if len(folders) == len(by_training[0]) == 1 else []
    return Pairs([_sides_by_seed(claim, by_seed) for by_seed in by_training], draws=draws)


def _draws(claim: Claim, protocol: str, found: Mapping[Cell, ms.Repeated]) -> list[tuple[float, float]]:
    """(lower, than) under each resampling of the only sampling seed's images; empty where these were not kept.

    The r-th resampling of two sets of equal size takes the same images (metrics.bootstrap), and image i of both is of
    the same noise, or of the same raw image: so their difference is paired.
    """
    if not by_protocol(claim):
        return []
    drawn = {cell: found[cell].trainings[0].draws(protocol, claim["metric"]) for cell in cells(claim)}
    if len({len(own) for own in drawn.values()}) > 1:
        return []
    every = zip(*drawn.values(), strict=True)
    return [sides(claim, dict(zip(drawn, values, strict=True))) for values in every]


def _of_study(claim: Claim, folders: Sequence[Path]) -> Pairs:
    """Both sides of a claim about a study, for each training once for each of its units."""
    loaded = [studies.load(folder, claim["study"]) for folder in folders]
    sides_of = _trends if "quantities" in claim else _compared
    values = [sides_of(claim, study) for study in loaded]
    for study, own in zip(loaded, values, strict=True):
        if len(own) != len(values[0]):
            quantity = claim.get("quantity") or claim["quantities"][0]
            raise InputError(
                f"{study.path}: {quantity} has {len(own)} values, but {loaded[0].path} has "
                f"{len(values[0])}: expected as many in every training"
            )
    return Pairs(values, loaded[0].unit)


def _compared(claim: Claim, study: studies.Study) -> list[tuple[float, float]]:
    """(lower, than) of each unit: a quantity of two networks, or of one beside a number."""
    named = {side: claim[side] for side in ("lower", "than") if isinstance(claim[side], str)}
    known = {side: study.values(claim["quantity"], network) for side, network in named.items()}
    counts = {named[side]: len(values) for side, values in known.items()}
    if len(set(counts.values())) > 1:
        (first, number), (other, another) = counts.items()
        raise InputError(
            f"{study.path}: {claim['quantity']} has {number} values of {first} and {another} of {other}: expected one "
            f"for each {study.unit}"
        )
    count = next(iter(counts.values()))
    lower, than = (known.get(side) or [float(claim[side])] * count for side in ("lower", "than"))
    return list(zip(lower, than, strict=True))


def _trends(claim: Claim, study: studies.Study) -> list[tuple[float, float]]:
    """(lower, than) of each unit: 0 and Spearman's rho of its quantities with their order; of equal ones rho is 0."""
    by_quantity = [study.values(quantity, claim["network"]) for quantity in claim["quantities"]]
    if len({len(values) for values in by_quantity}) > 1:
        counts = ", ".join(str(len(values)) for values in by_quantity)
        raise InputError(f"{study.path}: {counts} values of {claim['network']}: expected one for each {study.unit}")
    order = list(range(len(by_quantity)))
    rhos = [
        0.0 if len(set(own)) == 1 else rank_correlation(order, own, f"claims.{claim['id']}")
        for own in zip(*by_quantity, strict=True)
    ]
    return [(0.0, rho) if claim["trend"] == "rises" else (rho, 0.0) for rho in rhos]


def _of_longest(claim: Claim, folders: Sequence[Path]) -> Pairs:
    """For each training, validation FID after the longest candidate walk of both boosts, whose candidates are alike."""
    (generator,) = claim["over"]
    values = []
    for folder in folders:
        lower, than = (curves.curve(folder, generator, claim["longest"][side]) for side in ("lower", "than"))
        curves.check_alike([than, lower], f"for claim {claim['id']}, which compares the longest")
        if not lower.fid:
            return Pairs([], missing=SINGLE_CANDIDATE)
        values.append([(lower.fid[-1], than.fid[-1])])
    return Pairs(values, CURVE)


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
    return {seed: total_variation(own) for seed, own in choice.shares().items()}


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
