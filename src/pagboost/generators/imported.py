"""Generators that are files: images drawn elsewhere, dealt out to the uses of a scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pagboost import rng
from pagboost.artifacts import SampleSet, numbered
from pagboost.errors import InputError


def deal(samples: SampleSet, seeds: Sequence[int], per_seed: int, skip: int, size: int, where: str) -> SampleSet:
    """`per_seed` images for each of `seeds`, from row `skip` on of one fixed random order of the file.

    Two uses whose rows do not overlap in that order share no image, and a file sorted by class gives balanced parts.
    The seeds name parts of the file, as they name random streams where images are drawn here; labels, if any, stay.
    Raises InputError for too few images, and images that are not size x size.
    """
    shape, count = samples.images.shape[1:3], len(seeds) * per_seed
    if shape != (size, size):
        raise InputError(f"{where}: images of {shape[0]}x{shape[1]} pixels, expected {size}x{size}")
    if len(samples) < skip + count:
        raise InputError(
            f"{where}: {len(samples)} images, expected at least {skip + count} "
            f"({len(seeds)} x {per_seed}, after {skip} for other uses)"
        )
    order = np.random.Generator(np.random.PCG64(rng.derive("deal", len(samples)))).permutation(len(samples))
    rows = order[skip : skip + count]
    labels = None if samples.labels is None else samples.labels[rows]
    return SampleSet(samples.images[rows], labels, *numbered(seeds, per_seed))
