"""Whether a generator copies its training images: AuthPct, and how much nearer it is to these than to test images.

AuthPct (Alaa et al. 2022): a sample is authentic where it lies farther from its nearest training image than that image
does from its own nearest other one; the share of authentic samples in percent. Of samples from the images' own
distribution about half are; of copies none.

The gap is FID against training images less FID against as many test images, negative where samples are nearer to what
was trained on: the idea of FLD's generalisation gap (Jiralerspong et al. 2023), with FID in FLD's place. FLD and its
own gap (metrics.fld) are computed where they are asked for: they cost two fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pagboost import rng
from pagboost.errors import InputError, listed
from pagboost.metrics import bootstrap, fld, frechet, precision_recall
from pagboost.metrics.evaluation import spread
from pagboost.metrics.frechet import Gaussian
from pagboost.metrics.pairwise import TILE, Pairs
from pagboost.metrics.precision_recall import Neighbours
from pagboost.metrics.reference import Reference

PERCENT = 100


@dataclass(frozen=True)
class Pair:
    """A training and a test reference by one extractor.

    radii: float64 [N], of each training image to its nearest other one; gaussians: of as many images of each, `n`;
    distance: what FID is called where the extractor is not Inception's; new: features of the test images.
    """

    train: str
    test: str
    features: torch.Tensor
    radii: torch.Tensor
    gaussians: tuple[Gaussian, Gaussian]
    n: int
    distance: str | None = None
    new: torch.Tensor | None = None


def pairs_of(opened: Mapping[str, Reference], train: str, test: str) -> list[Pair]:
    """The pair of two labels, one for each extractor that saw them (label/extractor).

    Raises InputError for a label that no reference has, one reference twice, statistics alone, and references of
    different extractors.
    """
    found = []
    for name, one in opened.items():
        label, _, extractor = name.partition("/")
        if train in (name, label):
            other = f"{test}/{extractor}" if f"{test}/{extractor}" in opened else test
            if other not in opened:
                raise InputError(
                    f"--memorisation {train} {test}: no reference {test}, expected one of {listed(opened)}"
                )
            found.append(pair(name, one, other, opened[other]))
    if not found:
        raise InputError(f"--memorisation {train} {test}: no reference {train}, expected one of {listed(opened)}")
    return found


def pair(train: str, seen: Reference, test: str, held_out: Reference) -> Pair:
    """A training and a test reference made comparable: where one has more images, seeded ones of it, as many."""
    for label, one in ((train, seen), (test, held_out)):
        if one.points is None:
            raise InputError(f"--memorisation {train} {test}: {label} is statistics alone, expected images or features")
    identities = [(one.facts.extractor_sha256, one.facts.resize) for one in (seen, held_out)]
    if identities[0] != identities[1]:
        names = f"{seen.facts.extractor} and {held_out.facts.extractor}"
        raise InputError(f"--memorisation {train} {test}: seen by {names}, expected the same extractor")
    if train == test:
        raise InputError(f"--memorisation {train} {test}: one reference twice, expected training and test images")
    n = min(len(seen), len(held_out))
    gaussians = tuple(frechet.statistics(some(one.features, n)) for one in (seen, held_out))
    radii = precision_recall.radii(seen.features, 1)
    return Pair(train, test, seen.features, radii, gaussians, n, seen.facts.distance, held_out.features)


def some(features: torch.Tensor, n: int) -> torch.Tensor:
    """Seeded n of features [N, D]: all of them where there are no more."""
    if n == len(features):
        return features
    rows = torch.randperm(len(features), generator=rng.generator("memorisation", len(features)))[:n]
    return features[rows.to(features.device)]


def authentic(features: torch.Tensor, train: torch.Tensor, radii: torch.Tensor, tile: int = TILE) -> torch.Tensor:
    """bool [N]: whether each of features [N, D] is farther from its nearest of train [M, D] than that one's radius."""
    pairs = Pairs(features, train)
    neighbours = Neighbours(pairs, 1)
    pairs.visit(neighbours, tile=tile)
    distance, nearest = neighbours.closest()
    return radii[nearest] < distance


def measured(
    features: torch.Tensor, against: Pair, resamplings: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """({name: value}, {name: [low, high]}) of features [N, D]: auth_pct, fid_train, fid_test and fid_gap.

    An interval costs two distances per resampling, drawn alike for both, so that the gap's is of the difference.
    """
    own, fine = frechet.statistics(features), authentic(features, against.features, against.radii)
    train, test = (frechet.distance(own, one) for one in against.gaussians)
    values = {"auth_pct": PERCENT * float(fine.double().mean()), "fid_train": train, "fid_test": test}
    values["fid_gap"] = train - test
    intervals = {}
    if resamplings:
        draws = bootstrap.resamplings(len(features), resamplings)
        share = draws.to(fine.device).double() @ fine.double() * (PERCENT / len(features))
        apart = [frechet.replicates(features, one, draws) for one in against.gaussians]
        drawn = {"auth_pct": (share, (0, PERCENT)), "fid_gap": (apart[0] - apart[1], (-np.inf, np.inf))}
        for name, (replicates, bounds) in drawn.items():
            found = bootstrap.interval(values[name], replicates, bounds=bounds)
            intervals[name] = [round(bound, 9) for bound in found]
    return {name: round(value, 9) for name, value in values.items()}, intervals


def of_seeds(
    features: torch.Tensor, seeds: np.ndarray, against: Pair, resamplings: int, with_fld: bool = False
) -> dict[str, Any]:
    """What `measured` gives of each sampling seed's features [N, D], its mean and its standard deviation over seeds.

    with_fld: fld_train, fld_test and fld_gap too, without intervals.
    """
    scored = {}
    own = {str(seed): torch.from_numpy(np.flatnonzero(seeds == seed)).to(features.device) for seed in np.unique(seeds)}
    for seed, rows in own.items():
        scored[seed] = measured(features[rows], against, resamplings)
    values = {seed: one for seed, (one, _) in scored.items()}
    if with_fld:
        n = min(map(len, own.values()))
        baseline = fld.perfect(against.features, against.new, n)
        for seed, rows in own.items():
            found = fld.divergences(features[rows], against.features, against.new, baseline)
            values[seed] |= {name: round(value, 9) for name, value in found.items()}
    result = {"test": against.test, "train_n": len(against.features), "images_of_each": against.n, "seeds": values}
    result |= {"fld_samples": min(n, fld.SAMPLES)} if with_fld else {}
    result |= spread(values) | ({"distance": against.distance} if against.distance else {})
    if resamplings:
        result["intervals"] = {seed: intervals for seed, (_, intervals) in scored.items()}
    return result
