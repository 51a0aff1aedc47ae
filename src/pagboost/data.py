"""Data sets: where images come from, and the one split into train, validation and held-out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pagboost import cli, images, rng
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError


def sklearn_digits(*, size: int) -> SampleSet:
    """The 1,797 handwritten digits that scikit-learn ships (8x8, 17 grey levels), bicubic to size x size, one channel.

    UCI "Optical recognition of handwritten digits", test part; real data, no network needed.
    """
    from sklearn.datasets import load_digits  # a second of start-up that only this source needs

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return SampleSet(images.to_uint8(images.resize(images.to_float(grey), size)), digits.target.astype(np.int64))


SOURCES = {"sklearn_digits": sklearn_digits}


def load(source: str, options: Mapping[str, object], where: str) -> SampleSet:
    """All images of a source, in the source's own order."""
    if source not in SOURCES:
        raise InputError(f"{where}.source: {source}, expected one of: {', '.join(SOURCES)}")
    return cli.call(SOURCES[source], where=where, options=options)


def prepare(
    *,
    source: str,
    size: int,
    options: Mapping[str, object],
    num_classes: int,
    split_seed: int,
    splits: Mapping[str, int],
) -> dict[str, SampleSet]:
    """The parts {name: images} of a data set as its configuration entry describes it (see `split`).

    Raises InputError for an unknown source or option, a label beyond num_classes, and sizes that do not fit.
    """
    samples = load(source, {**options, "size": size}, "datasets")
    if samples.labels is not None and samples.labels.max() >= num_classes:
        raise InputError(f"datasets.num_classes: {num_classes}, expected {samples.labels.max() + 1} or more")
    return split(samples, splits, split_seed)


def split(samples: SampleSet, sizes: Mapping[str, int], seed: int) -> dict[str, SampleSet]:
    """Disjoint random parts of the given sizes; the permutation depends on seed and length only.

    Two resolutions of one source are split alike, so that no held-out image is seen at another size.
    Raises InputError if a part is empty or the sizes do not add up to the number of images.
    """
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"splits.{name}: {size}, expected at least 1 image")
    if sum(sizes.values()) != len(samples):
        raise InputError(f"split sizes {dict(sizes)} add up to {sum(sizes.values())}, expected {len(samples)} images")
    order = np.random.Generator(np.random.PCG64(rng.derive("split", seed))).permutation(len(samples))
    parts, start = {}, 0
    for name, size in sizes.items():
        parts[name] = samples.subset(np.sort(order[start : start + size]))
        start += size
    return parts
