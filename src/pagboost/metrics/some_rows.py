"""Some images of a set, looked at by a job of their own: what is known of the set stays that of all of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from pagboost import shards
from pagboost.metrics.class_labels import Labels
from pagboost.metrics.image_sets import ImageSet


class SomeRows:
    """The rows of a set between two of its batches: an ImageSet that goes by the whole set's name and hash."""

    def __init__(self, whole: ImageSet, rows: slice) -> None:
        self.whole, self.rows, self.where, self.shape = whole, rows, whole.where, whole.shape
        self.seeds = whole.seeds[rows]

    def __len__(self) -> int:
        return len(self.seeds)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """The set's own batches of `size`, of which the rows have to be whole ones (shards.Shard.rows)."""
        first, last = (shards.batches_of(end, size) for end in (self.rows.start, self.rows.stop))
        return itertools.islice(self.whole.batches(size), first, last)

    def labels(self, key: str | None = None) -> Labels | None:
        found = self.whole.labels(key)
        return None if found is None else found.subset(np.arange(len(self.whole))[self.rows])

    def sha256(self) -> str:
        return self.whole.sha256()
