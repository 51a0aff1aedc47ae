"""Images as an array that is read in order: the same rows as of an array, in as few passes as can be."""

from __future__ import annotations

import numpy as np
import pytest

from pagboost.boosting.streamed import Streamed
from pagboost.metrics.image_sets import InMemory

STORED = np.random.default_rng(0).integers(0, 256, (11, 2, 2, 1), np.uint8)


class Watched(InMemory):
    """Counts passes, and the images that were read."""

    passes, read = 0, 0

    def batches(self, size):
        self.passes += 1
        for batch in super().batches(size):
            self.read += len(batch)
            yield batch


def slices(size, first=0, count=11):
    return [slice(start, start + size) for start in range(first, count, size)]


@pytest.mark.parametrize("size", [1, 3, 4, 11, 20])
def test_one_pass_gives_all_rows(size):
    watched = Watched(STORED)
    streamed = Streamed(watched)
    for rows in slices(size):
        assert np.array_equal(streamed[rows], STORED[rows])
    assert (watched.passes, watched.read, streamed.shape, len(streamed)) == (1, 11, STORED.shape, 11)


@pytest.mark.parametrize(
    ("asked", "passes"),
    [
        ([slice(0, 4), slice(0, 4), slice(4, 8)], 2),
        ([*slices(4), *slices(4)], 2),
        ([slice(8, 11)], 1),  # passed over
        ([slice(0, 3), slice(6, 9), slice(9, 11)], 1),
        ([slice(0, 5), slice(5, 7), slice(7, 8), slice(8, 11)], 1),  # batches of another size than asked for
        ([slice(None), slice(2, 3)], 2),
    ],
)
def test_whatever_is_asked_for(asked, passes):
    watched = Watched(STORED)
    streamed = Streamed(watched)
    for rows in asked:
        assert np.array_equal(streamed[rows], STORED[rows])
    assert watched.passes == passes


def test_images_in_zero_and_one_are_warned_of_once_all_are_read(caplog):
    streamed = Streamed(InMemory(STORED % 2, "mine"))
    streamed[0:6]
    assert caplog.text == ""
    streamed[6:11]
    assert "mine: its pixels are all 0 or 1" in caplog.text
