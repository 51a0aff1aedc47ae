"""Arrays whose header promises other than the file holds are refused before anything is allocated."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pagboost import artifacts
from pagboost.errors import InputError
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
