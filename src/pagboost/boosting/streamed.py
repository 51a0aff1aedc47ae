"""Images of a set that may be larger than memory, as an array whose rows are read in order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pagboost import artifacts
from pagboost.metrics.image_sets import ImageSet, ahead


class Streamed:
    """Images [N, H, W, C] of a set, as an array whose rows are read when they are asked for.

    Slices that follow each other are one pass over the set, with a batch read ahead; one that lies before the last
    begins another pass. Images that hold only 0 and 1 are warned of in the log.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, images: ImageSet) -> None:
        self.images, self.shape = images, (len(images), *images.shape)
        self._begin(1)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        if start < self._from:
            self._begin(stop - start)
        elif not self._from and not len(self._held):
            self._size = stop - start
        while self._from + len(self._held) < stop:
            batch = self._next()
            passed = self._from + len(self._held) <= start
            if passed:
                self._from += len(self._held)
            self._held = batch if passed or not len(self._held) else np.concatenate([self._held, batch])
        asked, self._held = np.split(self._held[start - self._from :], [stop - start])
        self._from = stop
        return asked

    def _begin(self, size: int) -> None:
        """A pass over the set, in batches of `size`: rows from `_from` on are held until they are asked for."""
        self._size, self._from, self._held, self._brightest = size, 0, np.empty((0, *self.shape[1:]), np.uint8), 0
        self._batches: Iterator[np.ndarray] | None = None

    def _next(self) -> np.ndarray:
        if self._batches is None:
            self._batches = ahead(self.images.batches(self._size))
        batch = next(self._batches)
        self._brightest = max(self._brightest, int(batch.max()))
        if self._from + len(self._held) + len(batch) == len(self):
            artifacts.warn_if_binary(np.array([self._brightest]), self.images.where)
        return batch
