"""Results that go on elsewhere: nothing but the data stays behind, in files of a limited size, in their order."""

from __future__ import annotations

import io
import os
import tarfile

import pytest
import torch

from pagboost import artifacts, carrying
from pagboost.errors import InputError

KB = 1000


@pytest.fixture
def results(tmp_path):
    """Weights, made before metrics; data, a state of a training and what is hidden lie there too."""
    folder = tmp_path / "results"
    weights = {"a": torch.tensor([1.0, 1.001]), "steps": torch.tensor([3])}
    artifacts.save_weights(folder / "weights" / "net.safetensors", weights, {"kind": "classifier"})
    artifacts.save_json(folder / "metrics" / "ct" / "boost=none.json", {"fid": 1.5})
    for name in ("data/d/train.npz", "weights/other.state", ".runs/1", "weights/.net.tmp"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    os.utime(folder / "weights" / "net.safetensors", (1, 1))
    return folder


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_packed_and_unpacked(results, tmp_path):
    parts = carrying.pack(results, tmp_path / "out", 64)
    assert files(tmp_path / "out") == [parts[0].name] == ["part-01.tar"]
    there = tmp_path / "there"
    assert carrying.unpack(tmp_path / "out", there) == 2
    assert files(there) == ["metrics/ct/boost=none.json", "weights/net.safetensors"]
    assert artifacts.load_json(there / "metrics" / "ct" / "boost=none.json") == {"fid": 1.5}
    tensors, description = artifacts.load_weights(there / "weights" / "net.safetensors")
    assert tensors["a"].dtype == torch.bfloat16 and tensors["a"].tolist() == [1.0, 1.0]
    assert tensors["steps"].tolist() == [3] and description == {"kind": "classifier"}


def test_what_was_made_before_is_older_afterwards(results, tmp_path):
    carrying.pack(results, tmp_path / "out", 64)
    there = tmp_path / "there"
    (there / "data").mkdir(parents=True)
    (there / "data" / "train.npz").touch()
    carrying.unpack(tmp_path / "out", there)
    order = ["data/train.npz", "weights/net.safetensors", "metrics/ct/boost=none.json"]
    assert sorted(order, key=lambda name: (there / name).stat().st_mtime_ns) == order


def test_parts_are_of_a_limited_size(tmp_path, monkeypatch):
    monkeypatch.setattr(carrying, "MB", KB)
    for number in range(7):
        (tmp_path / "r").mkdir(exist_ok=True)
        (tmp_path / "r" / f"{number}.npz").write_bytes(bytes([number]) * 20 * KB)
    parts = carrying.pack(tmp_path / "r", tmp_path / "out", 64)
    assert len(parts) == 4 and all(part.stat().st_size <= 64 * KB for part in parts)
    assert carrying.unpack(tmp_path / "out", tmp_path / "there") == 7
    assert (tmp_path / "there" / "6.npz").read_bytes() == bytes([6]) * 20 * KB
    with pytest.raises(InputError, match=r"0.npz: 23 MB to carry, expected at most 24 a file"):
        carrying.pack(tmp_path / "r", tmp_path / "again", 24)


@pytest.mark.parametrize("name", ["../outside", "/outside", "link"])
def test_parts_write_nothing_but_files_inside(tmp_path, name):
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in" / "part-01.tar", "w") as archive:
        entry = tarfile.TarInfo(name)
        if name == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry, io.BytesIO(b""))
    with pytest.raises(InputError, match="is no file inside it"):
        carrying.unpack(tmp_path / "in", tmp_path / "there")
    assert not (tmp_path / "outside").exists()


def test_folders_that_hold_nothing(tmp_path):
    (tmp_path / "empty" / "data").mkdir(parents=True)
    with pytest.raises(InputError, match="empty: holds nothing to carry"):
        carrying.pack(tmp_path / "empty", tmp_path / "out", 64)
    with pytest.raises(InputError, match=r"empty: holds no part-01.tar"):
        carrying.unpack(tmp_path / "empty", tmp_path / "there")
