"""Results that go on elsewhere: nothing but the data stays behind, in files of a limited size, in their order."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
import torch

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.planning import carrying, runs
from pagboost.planning.remembered import record_of, remembered

KB = 1000
MEMORY = Path("nowhere", ".snakemake")


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
    parts = carrying.pack(results, tmp_path / "out", 64, MEMORY)
    assert files(tmp_path / "out") == [parts[0].name] == ["part-01.tar"]
    there = tmp_path / "there"
    assert carrying.unpack(tmp_path / "out", there, MEMORY) == 2
    assert files(there) == ["metrics/ct/boost=none.json", "weights/net.safetensors"]
    assert artifacts.load_json(there / "metrics" / "ct" / "boost=none.json") == {"fid": 1.5}
    tensors, description = artifacts.load_weights(there / "weights" / "net.safetensors")
    assert tensors["a"].dtype == torch.bfloat16 and tensors["a"].tolist() == [1.0, 1.0]
    assert tensors["steps"].tolist() == [3] and description == {"kind": "classifier"}


def test_what_was_made_before_is_older_afterwards(results, tmp_path):
    carrying.pack(results, tmp_path / "out", 64, MEMORY)
    there = tmp_path / "there"
    (there / "data").mkdir(parents=True)
    (there / "data" / "train.npz").touch()
    carrying.unpack(tmp_path / "out", there, MEMORY)
    order = ["data/train.npz", "weights/net.safetensors", "metrics/ct/boost=none.json"]
    assert sorted(order, key=lambda name: (there / name).stat().st_mtime_ns) == order


def test_parts_are_of_a_limited_size(tmp_path, monkeypatch):
    monkeypatch.setattr(carrying, "MB", KB)
    for number in range(7):
        (tmp_path / "r").mkdir(exist_ok=True)
        (tmp_path / "r" / f"{number}.npz").write_bytes(bytes([number]) * 20 * KB)
    parts = carrying.pack(tmp_path / "r", tmp_path / "out", 64, MEMORY)
    assert len(parts) == 4 and all(part.stat().st_size <= 64 * KB for part in parts)
    assert carrying.unpack(tmp_path / "out", tmp_path / "there", MEMORY) == 7
    assert (tmp_path / "there" / "6.npz").read_bytes() == bytes([6]) * 20 * KB
    with pytest.raises(InputError, match=r"0.npz: 23 MB to carry, expected at most 24 a file"):
        carrying.pack(tmp_path / "r", tmp_path / "again", 24, MEMORY)


def test_what_snakemake_noted_goes_along(results, tmp_path):
    made_from, there, memory = "0" * 32, tmp_path / "there", tmp_path / "there" / ".snakemake"
    record = {"rule": "train", "params": [f"'{made_from}'"], "starttime": 3.0, "endtime": 4.5, "log": ["a.log"]}
    weights, here = f"{'long/' * 60}net.safetensors", tmp_path / ".snakemake"  # longer than a name may be
    (results / weights).parent.mkdir(parents=True)
    (results / "weights" / "net.safetensors").rename(results / weights)
    place = record_of(here, str(results / weights))
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(record), encoding="utf-8")
    carrying.pack(results, tmp_path / "out", 64, here)
    assert carrying.unpack(tmp_path / "out", there / "elsewhere", memory) == 2
    found = remembered(memory, str(there / "elsewhere" / weights))
    assert (found.rule, found.made_from, found.started, found.ended) == ("train", made_from, 3.0, 4.5)
    assert remembered(memory, str(there / "elsewhere" / "metrics" / "ct" / "boost=none.json")) is None
    assert files(there / "elsewhere") == sorted(["metrics/ct/boost=none.json", weights])


def test_runs_of_both_machines_are_known(results, tmp_path):
    there = tmp_path / "there"
    for folder, started in ((results, 1.0), (results, 5.0), (there, 7.0), (there, 3.0)):
        runs.file_of(folder).parent.mkdir(parents=True, exist_ok=True)
        with open(runs.file_of(folder), "a", encoding="utf-8") as lines:
            lines.write(json.dumps({"started": started}) + "\n")
    carrying.pack(results, tmp_path / "out", 64, MEMORY)
    for _ in range(2):
        carrying.unpack(tmp_path / "out", there, MEMORY)
        lines = runs.file_of(there).read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["started"] for line in lines] == [1.0, 3.0, 5.0, 7.0]


@pytest.mark.parametrize("name", [".records/../../outside", ".records/a"])
def test_notes_are_files_of_snakemake_s_folder(tmp_path, name):
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in" / "part-01.tar", "w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"[1] "))
    with pytest.raises(InputError, match=r"is no file inside it|is no note of Snakemake's"):
        carrying.unpack(tmp_path / "in", tmp_path / "there", tmp_path / "memory")
    assert not (tmp_path / "outside").exists() and not (tmp_path / "memory").exists()


@pytest.mark.parametrize("name", ["../outside", "/outside", "link"])
def test_parts_write_nothing_but_files_inside(tmp_path, name):
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in" / "part-01.tar", "w") as archive:
        entry = tarfile.TarInfo(name)
        if name == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry, io.BytesIO(b""))
    with pytest.raises(InputError, match="is no file inside it"):
        carrying.unpack(tmp_path / "in", tmp_path / "there", tmp_path / "memory")
    assert not (tmp_path / "outside").exists()


def test_folders_that_hold_nothing(tmp_path):
    (tmp_path / "empty" / "data").mkdir(parents=True)
    with pytest.raises(InputError, match="empty: holds nothing to carry"):
        carrying.pack(tmp_path / "empty", tmp_path / "out", 64, MEMORY)
    with pytest.raises(InputError, match=r"empty: holds no part-01.tar"):
        carrying.unpack(tmp_path / "empty", tmp_path / "there", MEMORY)
