"""Data sets and their one split: disjoint, complete, the same at every resolution."""

from __future__ import annotations

import numpy as np
import pytest

from pagboost import cli, data
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError

SIZES = {"train": 12, "validation": 5, "heldout": 3}


def numbered(count):
    """Images that carry their own number."""
    return SampleSet(np.arange(count, dtype=np.uint8)[:, None, None, None], np.arange(count))


def numbers(part):
    return part.labels.tolist()


def test_parts_are_disjoint_complete_and_in_order():
    parts = data.split(numbered(20), SIZES, seed=0)
    assert {name: len(part) for name, part in parts.items()} == SIZES
    assert sorted(number for part in parts.values() for number in numbers(part)) == list(range(20))
    for part in parts.values():
        assert numbers(part) == sorted(numbers(part)) == part.images.flatten().tolist()


def test_the_split_depends_on_seed_and_length_alone():
    once, again, other = (data.split(numbered(20), SIZES, seed) for seed in (0, 0, 1))
    assert numbers(once["heldout"]) == numbers(again["heldout"]) != numbers(other["heldout"])
    assert numbers(once["train"]) != list(range(12))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train": 12, "heldout": 7}, r"add up to 19, expected 20 images"),
        ({"train": 21, "heldout": -1}, "splits.heldout: -1, expected at least 1"),
        ({"train": 20, "heldout": 0}, "splits.heldout: 0, expected at least 1"),
    ],
)
def test_sizes_must_fit(sizes, message):
    with pytest.raises(InputError, match=message):
        data.split(numbered(20), sizes, 0)


@pytest.mark.parametrize("size", [8, 16])
def test_digits(size):
    digits = data.load("sklearn_digits", {"size": size}, "datasets")
    assert digits.images.shape == (1797, size, size, 1)
    assert digits.images.dtype == np.uint8
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    if size == 8:
        assert set(np.unique(digits.images)) == {round(255 * level / 16) for level in range(17)}


def entry(**changes):
    """A data set as the configuration declares it."""
    splits = {"train": 1097, "validation": 250, "heldout": 450}
    declared = {
        "source": "sklearn_digits",
        "size": 8,
        "options": {},
        "num_classes": 10,
        "split_seed": 0,
        "splits": splits,
    }
    return declared | changes


def test_resolutions_are_split_alike():
    small, large = (data.prepare(**entry(size=size)) for size in (8, 16))
    for name, part in small.items():
        assert np.array_equal(part.labels, large[name].labels)
        shrunk = large[name].images.astype(float).reshape(-1, 8, 2, 8, 2, 1).mean((2, 4))
        pairs = zip(shrunk.reshape(len(part), -1), part.images.reshape(len(part), -1), strict=True)
        assert min(np.corrcoef(a, b)[0, 1] for a, b in pairs) > 0.9  # the same digits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "mnist"}, "datasets.source: mnist, expected one of: sklearn_digits"),
        ({"options": {"colour": True}}, "datasets.colour: unknown key, expected one of: size"),
        ({"num_classes": 9}, "datasets.num_classes: 9, expected 10 or more"),
        ({"splits": {"train": 5}}, "expected 1797 images"),
    ],
)
def test_bad_declarations_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        data.prepare(**entry(**changes))


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match="datasets.size: missing key"):
        cli.call(data.prepare, where="datasets", options={"source": "sklearn_digits"})
