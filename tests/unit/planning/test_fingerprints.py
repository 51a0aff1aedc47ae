"""What lies outside is known by its content: changed, replaced or gone, it has another fingerprint."""

from __future__ import annotations

import os
import shutil

import pytest

from pagboost.planning import fingerprints
from pagboost.planning.fingerprints import fingerprint
from pagboost.planning.memory import Memory


@pytest.fixture
def folder(tmp_path):
    for name in ("train/a/1.png", "train/b/2.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(name.encode())
    return tmp_path / "set"


@pytest.fixture(params=["remembered", "anew"])
def memory(request, tmp_path):
    return Memory(tmp_path / "memory" / "fingerprints.json") if request.param == "remembered" else None


def test_a_file_is_known_by_its_content(tmp_path, memory):
    """Also where a file of the same size and time takes its place, as an older one that is copied with its times."""
    path, other = tmp_path / "x.pth", tmp_path / "y.pth"
    path.write_bytes(b"one")
    before = fingerprint(path, memory)
    assert before == fingerprint(path, memory) == fingerprint(str(path), memory)
    other.write_bytes(b"two")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    shutil.copy2(other, path)
    assert fingerprint(path, memory) == fingerprint(other, memory) != before
    path.write_bytes(b"one")
    assert fingerprint(path, memory) == before
    path.unlink()
    assert fingerprint(path, memory) == fingerprints.MISSING


def test_a_folder_is_known_by_its_names_and_contents(folder, memory, tmp_path):
    before = fingerprint(folder, memory)
    times = (folder / "train/a/1.png").stat()
    (folder / "train/a/1.png").write_bytes(b"train/a/2.png")
    os.utime(folder / "train/a/1.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    replaced = fingerprint(folder, memory)
    (folder / "train/a/1.png").rename(folder / "train/a/0.png")
    assert len({before, replaced, fingerprint(folder, memory)}) == 3
    (folder / "train/a/0.png").unlink()
    (folder / "train/a/1.png").write_bytes(b"train/a/1.png")
    (folder / "train/.DS_Store").write_text("what no reader looks at")
    assert fingerprint(folder, memory) == before
    shutil.copytree(folder, tmp_path / "copy")
    assert fingerprint(tmp_path / "copy", memory) == before


def test_a_large_folder_is_known_by_sizes_and_times(folder, monkeypatch):
    monkeypatch.setattr(fingerprints, "READ_AT_MOST", 5)
    monkeypatch.setattr(fingerprints, "file_hash", lambda path: pytest.fail(f"{path} was read"))
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    os.utime(folder / "train/a/1.png", (1, 1))
    assert fingerprint(folder) != before


def test_what_has_not_changed_is_not_read_again(folder, tmp_path, monkeypatch):
    memory = tmp_path / "memory.json"
    first = [fingerprint(path, Memory(memory)) for path in (folder, folder / "train/a/1.png")]
    monkeypatch.setattr(fingerprints, "file_hash", lambda path: pytest.fail(f"{path} was read"))
    assert [fingerprint(path, Memory(memory)) for path in (folder, folder / "train/a/1.png")] == first


def test_links_are_followed_and_neither_circles_nor_pipes_hold_it_up(folder, tmp_path):
    before = fingerprint(folder)
    (tmp_path / "link").symlink_to(folder)
    assert fingerprint(tmp_path / "link") == before
    (folder / "round").symlink_to(folder)
    (folder / "nowhere").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe")
    assert fingerprint(folder) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_damaged_memory_is_an_empty_one(tmp_path, content):
    path = tmp_path / "memory.json"
    path.write_bytes(content)
    memory = Memory(path)
    assert memory.get("a", 3) == 3
    memory.note("a", 4)
    assert Memory(path).get("a") == 4


def test_a_memory_that_cannot_be_written_lasts_as_long_as_its_process(tmp_path):
    (tmp_path / "file").write_text("")
    memory = Memory(tmp_path / "file" / "memory.json")
    memory.note("a", 4)
    assert memory.get("a") == 4
