"""The whole of shards: the bytes that one job would have written, or one line that says what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from pagboost import artifacts, merging, shards
from pagboost.artifacts import SampleSet, numbered
from pagboost.errors import InputError
from pagboost.shards import Shard

COUNT, BATCH = 37, 5
MADE_FROM = {"weights": "abc", "seeds": [4]}


def some(labels=True, seeds=True):
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 4, 3), np.uint8)
    columns = numbered([4], COUNT) if seeds else (None, None)
    return SampleSet(pixels, np.arange(COUNT) % 3 if labels else None, *columns)


def split(folder, samples, of, made_from=MADE_FROM):
    """The files of a set's shards."""
    paths = [folder / f"{k}-of-{of}.npz" for k in range(1, of + 1)]
    for k, path in enumerate(paths, start=1):
        rows = shards.rows_of(Shard(k, of), COUNT, BATCH)
        columns = (samples.labels, samples.seeds, samples.index)
        part = SampleSet(samples.images[rows], *(None if column is None else column[rows] for column in columns))
        merging.save_samples(path, part, rows, COUNT, made_from)
    return paths


@pytest.mark.parametrize("of", [1, 3, 7])
@pytest.mark.parametrize("given", [{}, {"labels": False}, {"seeds": False}])
def test_merged_shards_are_the_bytes_of_one_job(tmp_path, of, given):
    samples = some(**given)
    artifacts.save_samples(tmp_path / "one.npz", samples)
    artifacts.save_arrays(tmp_path / "merged.npz", merging.merged(split(tmp_path, samples, of)[::-1]))
    assert (tmp_path / "merged.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()


def test_a_shard_is_a_sample_file(tmp_path):
    samples = some()
    part = artifacts.load_samples(split(tmp_path, samples, 3)[1])
    assert part.same_streams(samples.subset(slice(10, 25)))
    assert np.array_equal(part.labels, samples.labels[10:25])


def test_arrays_without_rows_are_those_of_all_shards(tmp_path):
    for k, text in ((1, "a"), (2, "a"), (3, "b")):
        rows = shards.rows_of(Shard(min(k, 2), 2), COUNT, BATCH)
        arrays = {"facts": np.array(text), "x": np.arange(COUNT, dtype=np.float32)[rows]}
        merging.save_part(tmp_path / f"{k}.npz", arrays, rows, COUNT, MADE_FROM)
    whole = merging.merged([tmp_path / "1.npz", tmp_path / "2.npz"])
    assert (str(whole["facts"]), whole["x"].tolist()) == ("a", list(range(COUNT)))
    with pytest.raises(InputError, match=r"3\.npz: facts is not as in .*1\.npz, expected shards of one set"):
        merging.merged([tmp_path / "1.npz", tmp_path / "3.npz"])


def test_incomplete_and_doubled_shards_are_refused(tmp_path):
    one, two, three = split(tmp_path, some(), 3)
    for given, said in (
        ([one, three], r"3-of-3\.npz: before it images 10\.\.24 are missing, expected each shard once"),
        ([two, three], r"2-of-3\.npz: before it images 0\.\.9 are missing"),
        ([one, two], r"2-of-3\.npz: after it images 25\.\.36 are missing, expected all shards"),
        ([one, two, two, three], r"2-of-3\.npz: before it images 10\.\.24 are there twice"),
    ):
        with pytest.raises(InputError, match=said):
            merging.merged(given)


def test_shards_of_different_sets_and_splits_are_refused(tmp_path):
    one, _, three = split(tmp_path, some(), 3)
    (tmp_path / "other").mkdir()
    other = split(tmp_path / "other", some(), 3, MADE_FROM | {"weights": "abd"})
    with pytest.raises(InputError, match=r"other/2-of-3\.npz: a shard of another set than .*, expected shards of one"):
        merging.merged([one, other[1], three])
    seven = split(tmp_path, some(), 7)
    with pytest.raises(InputError, match=r"before it images 5\.\.9 are there twice"):
        merging.merged([one, *seven[1:]])
    unlabelled = split(tmp_path / "other", some(labels=False), 3)
    with pytest.raises(InputError, match=r"holds arr_0, seeds, index, expected arr_0, arr_1, seeds, index as"):
        merging.merged([one, unlabelled[1], three])


def test_what_is_no_shard_or_not_whole_is_refused(tmp_path):
    paths = split(tmp_path, some(), 3)
    artifacts.save_samples(tmp_path / "whole.npz", some())
    with pytest.raises(InputError, match=r"whole\.npz: has no part, expected a shard"):
        merging.merged([*paths[:2], tmp_path / "whole.npz"])
    with pytest.raises(InputError, match=r"gone\.npz: no such file, expected a shard"):
        merging.merged([*paths[:2], tmp_path / "gone.npz"])
    content = paths[1].read_bytes()
    paths[1].write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"2-of-3\.npz: not readable as a shard"):
        merging.merged(paths)


def test_other_rows_than_a_shard_says_are_refused(tmp_path):
    samples = some()
    merging.save_samples(tmp_path / "s.npz", samples, slice(0, 30), 30, MADE_FROM)
    with pytest.raises(InputError, match=r"s\.npz: arr_0 has 37 rows, expected 30"):
        merging.merged([tmp_path / "s.npz"])
