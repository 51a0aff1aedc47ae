"""Arrays whose header promises other than the file holds are refused before anything is allocated."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.files import npz
from pagboost.metrics import image_sets

IMAGES = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4, 1)


def written(
    path: Path, shape: tuple[int, ...], content: bytes, dtype: str = "|u1", key: str = "arr_0", **arrays
) -> None:
    """An .npz whose array `key` has a made-up header."""
    np.savez(path, **arrays)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{key}.npy", header.getvalue() + content)


@pytest.mark.parametrize("read", [artifacts.load_samples, image_sets.open_images])
@pytest.mark.parametrize("shape", [(10**9, 64, 64, 3), (2**62, 64, 64, 3), (-5, 4, 4, 1), (1, 1, 2, 1)])
def test_a_header_that_does_not_fit_is_named(tmp_path, read, shape):
    written(tmp_path / "bomb.npz", shape, b"abc")
    with pytest.raises(InputError, match=r"bomb.npz: arr_0: uint8 \[.* of 3 bytes, expected .* \(truncated or forged"):
        read(tmp_path / "bomb.npz")


def test_labels_are_looked_at_too(tmp_path):
    written(tmp_path / "bomb.npz", (10**12,), b"abc", "<i8", "arr_1", arr_0=IMAGES)
    with pytest.raises(InputError, match=r"bomb.npz: arr_1: int64 \[1000000000000\] of 3 bytes"):
        artifacts.load_samples(tmp_path / "bomb.npz")


def test_more_than_memory_is_named(tmp_path, monkeypatch):
    np.savez(tmp_path / "large.npz", arr_0=IMAGES)
    monkeypatch.setattr("os.sysconf", lambda _: 5)
    with pytest.raises(InputError, match="large.npz: arr_0: .* expected less than this machine's memory"):
        artifacts.load_samples(tmp_path / "large.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("read", [artifacts.load_samples, image_sets.open_images])
def test_two_arrays_of_one_name_are_refused(tmp_path, read):
    written(tmp_path / "twice.npz", (1, 4, 4, 1), bytes(16), arr_0=IMAGES)
    with pytest.raises(InputError, match=r"twice.npz: holds arr_0.npy twice, expected each array once"):
        read(tmp_path / "twice.npz")


def test_gzip_is_named(tmp_path):
    np.savez(tmp_path / "plain.npz", arr_0=IMAGES)
    (tmp_path / "packed.npz").write_bytes(gzip.compress((tmp_path / "plain.npz").read_bytes()))
    with pytest.raises(InputError, match="packed.npz: .*compressed by gzip: gunzip it"):
        artifacts.load_samples(tmp_path / "packed.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"seeds": [-1, 0]}, "seeds holds -1, expected 0 or more"),
        ({"seeds": np.array([0, 2**64 - 1], np.uint64)}, "seeds holds 18446744073709551615, expected at most 9223"),
        ({"index": [0, -1]}, "index holds -1, expected 0 or more"),
        ({"seeds": [1, 1], "index": [3, 3]}, "2 images have seed 1 and index 3, expected each pair once"),
        ({"arr_1": np.eye(2, dtype=int)}, r"arr_1 is int64 \[2, 2\], .*one-hot"),
    ],
)
def test_columns_that_mean_nothing_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "odd.npz", arr_0=IMAGES, **arrays)
    with pytest.raises(InputError, match=f"odd.npz: {message}"):
        artifacts.load_samples(tmp_path / "odd.npz")


# -- arrays where they lie


def test_a_stored_array_is_mapped_and_a_compressed_one_is_read(tmp_path):
    samples = artifacts.SampleSet(IMAGES, np.arange(2))
    artifacts.save_samples(tmp_path / "stored.npz", samples)
    np.savez_compressed(tmp_path / "compressed.npz", arr_0=IMAGES, arr_1=np.arange(2))
    np.savez(tmp_path / "fortran.npz", arr_0=np.asfortranarray(IMAGES), arr_1=np.arange(2))
    for name, mapped in (("stored", True), ("compressed", False), ("fortran", False)):
        found = artifacts.load_samples(tmp_path / f"{name}.npz", mapped=True)
        assert isinstance(found.images, np.memmap) == mapped
        assert np.array_equal(found.images, IMAGES) and found.labels.tolist() == [0, 1]
    found = artifacts.load_samples(tmp_path / "stored.npz", mapped=True)
    found.images[:] = 7  # its own copy
    npz.release(found.images)  # which is let go of
    assert np.array_equal(found.images, IMAGES)
    assert np.array_equal(artifacts.load_samples(tmp_path / "stored.npz").images, IMAGES)


def test_a_mapped_array_that_was_changed_is_told_by_its_identity(tmp_path):
    path = tmp_path / "set.npz"
    artifacts.save_samples(path, artifacts.SampleSet(IMAGES, np.arange(2)))
    before = artifacts.identity(path)
    assert before == artifacts.identity(path) != artifacts.file_hash(path)
    content = bytearray(path.read_bytes())
    content[content.index(IMAGES.tobytes())] ^= 1
    path.write_bytes(content)
    artifacts.load_samples(path, mapped=True)
    with pytest.raises(InputError, match=r"set.npz: not readable as an .npz \(Bad CRC-32 for file 'arr_0.npy'\)"):
        artifacts.identity(path)


def test_an_array_that_comes_in_parts_is_written_as_a_whole_one(tmp_path):
    whole = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3), np.uint8)
    stream = npz.Stream(whole.dtype, whole.shape, (whole[start : start + 3] for start in (0, 3, 6)))
    artifacts.save_arrays(tmp_path / "stream.npz", {"arr_0": stream})
    artifacts.save_arrays(tmp_path / "whole.npz", {"arr_0": whole})
    assert (tmp_path / "stream.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    whole.tofile(tmp_path / "raw")
    artifacts.save_arrays(
        tmp_path / "mapped.npz", {"arr_0": np.memmap(tmp_path / "raw", np.uint8, "r", shape=whole.shape)}
    )
    assert (tmp_path / "mapped.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    with pytest.raises(InputError, match="arr_0: 6 rows came, expected 7"):
        short = npz.Stream(whole.dtype, whole.shape, [whole[:6]])
        artifacts.save_arrays(tmp_path / "short.npz", {"arr_0": short})
    assert not (tmp_path / "short.npz").exists()


@pytest.mark.parametrize("rows", [[3, 1], [0, 1, 2, 3, 4], []])
def test_rows_are_written_as_if_they_had_been_taken_out_before(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(npz, "CHUNK", 2)
    draws = np.random.default_rng(0)
    samples = artifacts.SampleSet(draws.integers(0, 256, (5, 4, 4, 3), np.uint8), np.arange(5), np.arange(5) % 2)
    rows = np.array(rows, np.int64)
    artifacts.save_samples(tmp_path / "rows.npz", samples, rows)
    artifacts.save_samples(tmp_path / "subset.npz", samples.subset(rows))
    np.savez(tmp_path / "numpy.npz", **npz_arrays(samples.subset(rows)))
    written, expected, numpys = (path.read_bytes() for path in map(tmp_path.joinpath, NAMES))
    assert written == expected and expected.startswith(numpys[:-2])  # all but the length of the comment, and it


NAMES = ("rows.npz", "subset.npz", "numpy.npz")


def npz_arrays(samples):
    return {"arr_0": samples.images, "arr_1": samples.labels, "seeds": samples.seeds, "index": samples.index}


TRAINED = """
import json, sys
import torch
from pagboost import rng, training


def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) >> 10


data = training.Data(torch.rand(600, 3, 32, 32), torch.arange(600), 10)  # what any training needs
batches = training.Batches(data, 250, rng.generator("order"), torch.device("cpu"))
next(batches), next(batches)
before = peak()
data = training.load_data(sys.argv[1], 10)
batches = training.Batches(data, 250, rng.generator("order"), torch.device("cpu"))
total = 0
for _ in range(len(data.x) // 250):
    x, y = next(batches)
    total += int(x[:, 0, 0, 0].mul(255).round().sum())
print(json.dumps([peak() - before, total]))
"""


def test_a_training_holds_no_more_of_a_set_than_its_batches(tmp_path):
    """All of 400 MB are read, in an order of their own."""
    count = 130_000
    images = np.zeros((count, 32, 32, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(count) % 251
    samples = artifacts.SampleSet(images, np.arange(count) % 10, None, np.arange(count))
    artifacts.save_samples(tmp_path / "large.npz", samples)
    total = int(images[:, 0, 0, 0].sum(dtype=np.int64))
    del images, samples
    source = Path(artifacts.__file__).parents[1]
    known = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TRAINED, str(tmp_path / "large.npz")]
    done = subprocess.run(command, env=known, capture_output=True, text=True, check=True)
    grown, seen = json.loads(done.stdout)
    assert seen == total
    assert grown < 150, f"{grown} MiB of 381"
