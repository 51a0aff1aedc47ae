"""Which images are whose: every batch one job's, as even as can be."""

from __future__ import annotations

import argparse

import pytest

from pagboost import shards
from pagboost.errors import InputError
from pagboost.shards import Shard


@pytest.mark.parametrize("count", [1, 5, 37, 40, 303])
@pytest.mark.parametrize("batch_size", [1, 5, 100])
@pytest.mark.parametrize("of", [1, 3, 7])
def test_shards_are_all_batches_each_once_and_even(count, batch_size, of):
    own = shards.at_most(of, count, batch_size)
    rows = [Shard(k + 1, own).rows(count, batch_size) for k in range(own)]
    assert [i for part in rows for i in range(count)[part]] == list(range(count))
    assert all(part.start % batch_size == 0 for part in rows)
    sizes = [shards.batches_of(part.stop - part.start, batch_size) for part in rows]
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1


def test_a_set_is_not_split_inside_a_batch():
    assert shards.at_most(7, 37, 10) == 4
    with pytest.raises(InputError, match=r"--shard 5/7: 37 images in batches of 10, expected at most 4 shards"):
        Shard(5, 7).rows(37, 10)


def test_without_a_shard_all_is_one_s_own():
    assert shards.rows_of(None, 37, 10) == slice(0, 37)


def test_shards_are_written_k_of_n():
    assert shards.parse("3/7") == Shard(3, 7) and str(Shard(3, 7)) == "3/7"
    for text in ("0/3", "4/3", "3", "1/0", "1/3 ", "a/3", "-1/3", "1/3/5", "٣/٧"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected K/N"):
            shards.parse(text)
