"""Fetching: what the hash promises or nothing, once, resumed, and one line where it fails."""

from __future__ import annotations

import builtins
import errno
import hashlib
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pagboost.errors import InputError
from pagboost.sources import answers, download, transfer

CONTENT = random.Random(0).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SOURCE = Path(__file__).parents[3] / "src"


@pytest.fixture
def url(site) -> str:
    """weights.pth of the server."""
    site.files["/weights.pth"] = CONTENT
    return f"{site.address}/weights.pth"


@pytest.fixture
def kept(tmp_path) -> Path:
    return tmp_path / "kept"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def in_process(url: str, kept: Path, sha256: str | None = None) -> subprocess.Popen:
    """fetch.py in a process of its own."""
    command = [sys.executable, SOURCE / "fetch.py", url, "--downloads", kept]
    command += ["--sha256", sha256] if sha256 else []
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    return subprocess.Popen(list(map(str, command)), env=environment, stdout=-1, stderr=-1, text=True)


def until(condition, seconds=60):
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds
        time.sleep(0.02)


@pytest.mark.parametrize("sha256", [SHA256, SHA256.upper(), SHA256[:8]])
def test_a_file_is_fetched_once(site, url, kept, sha256):
    for _ in range(2):
        path = download.fetch(url, sha256, kept)
        assert path == kept / "weights.pth"
        assert path.read_bytes() == CONTENT
    assert len(site.asked) == 1
    assert names(kept) == {"weights.pth", "hashes.json"}


def test_a_query_is_no_part_of_a_name_and_a_fragment_is_the_name(site, kept):
    site.files["/weights.pth?download=1"] = site.files["/get?id=7"] = CONTENT
    assert download.fetch(f"{site.address}/weights.pth?download=1", None, kept).name == "weights.pth"
    assert download.fetch(f"{site.address}/get?id=7#net.pt", None, kept).name == "net.pt"


def test_a_file_url_is_fetched_too(tmp_path):
    (tmp_path / "with space.bin").write_bytes(CONTENT)
    path = download.fetch((tmp_path / "with space.bin").as_uri(), SHA256, tmp_path / "kept")
    assert path.name == "with space.bin" and path.read_bytes() == CONTENT


# -- connections that break


def test_a_broken_connection_goes_on_where_it_broke(site, url, kept, caplog):
    """What came is not asked for again: each try begins where the last ended, of the same version."""
    site.drop = [1_000_000, 500_000]
    assert download.fetch(url, SHA256, kept).read_bytes() == CONTENT
    assert site.headers("Range") == [None, "bytes=1000000-", "bytes=1500000-"]
    assert len(set(site.headers("If-Range")[1:])) == 1 and site.headers("If-Range")[1]
    assert len(re.findall(r"weights.pth: broken off at .* again in", caplog.text)) == 2
    assert names(kept) == {"weights.pth", "hashes.json"}


def test_a_connection_that_is_reset(site, url, kept):
    site.drop, site.resets = [1_000_000, 1_000_000], True
    assert download.fetch(url, SHA256, kept).read_bytes() == CONTENT
    assert len(site.asked) == 3


def test_each_try_that_brings_something_counts_as_new(site, url, kept):
    site.drop = [400_000] * 6
    assert len(transfer.PAUSES) == 2
    assert download.fetch(url, SHA256, kept).read_bytes() == CONTENT


def test_a_killed_download_is_gone_on_with(site, url, kept):
    site.drop, site.waits = [1_000_000], threading.Event()
    part = kept / "weights.pth.part"
    running = in_process(url, kept)
    until(lambda: part.exists() and part.stat().st_size == 1_000_000)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    site.waits.set()
    assert names(kept) == {"weights.pth.part", "weights.pth.part.json"}
    assert download.fetch(url, None, kept).read_bytes() == CONTENT
    assert site.headers("Range") == [None, "bytes=1000000-"]
    assert names(kept) == {"weights.pth", "hashes.json"}


def test_a_download_that_was_killed_at_its_very_end_asks_for_nothing(site, url, kept, monkeypatch):
    monkeypatch.setattr(download.artifacts, "file_hash", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        download.fetch(url, SHA256, kept)
    monkeypatch.undo()
    assert download.fetch(url, SHA256, kept).read_bytes() == CONTENT
    assert len(site.asked) == 1


def test_a_server_without_ranges_starts_again(site, url, kept, caplog):
    caplog.set_level(logging.INFO)
    site.ranges, site.drop = False, [1_000_000]
    assert download.fetch(url, SHA256, kept).read_bytes() == CONTENT
    assert len(site.asked) == 2
    assert "weights.pth: starts again, as the server wants" in caplog.text


def test_a_server_that_always_starts_again_is_not_asked_for_ever(site, url, kept):
    site.ranges, site.drop = False, [1_000_000, 900_000, 950_000, 960_000]
    with pytest.raises(InputError, match=r"not downloaded \(the connection ended early\)"):
        download.fetch(url, SHA256, kept)
    assert len(site.asked) == 3


def test_a_changed_file_starts_again(site, url, kept):
    """Of two versions no mixture is made: If-Range asks for the first one, or all of the second."""
    site.drop = [1_000_000, 0, 0, 0]
    with pytest.raises(InputError, match="not downloaded"):
        download.fetch(url, None, kept)
    site.drop, site.files["/weights.pth"] = [], b"other" * 500_000
    assert download.fetch(url, None, kept).read_bytes() == site.files["/weights.pth"]
    assert site.headers("Range")[-1] is not None


@pytest.mark.parametrize("shorter", [b"short", b"x" * 1_000_000], ids=["shorter", "as long as what is there"])
def test_a_file_that_became_shorter(site, url, kept, shorter):
    """The server knows no versions, so a hash decides; what is left of the longer file does not stay."""
    site.tags, site.drop = False, [1_000_000, 0, 0, 0]
    sha256 = hashlib.sha256(shorter).hexdigest()
    with pytest.raises(InputError, match="not downloaded"):
        download.fetch(url, sha256, kept)
    site.drop, site.files["/weights.pth"] = [], shorter
    assert download.fetch(url, sha256, kept).read_bytes() == shorter
    assert site.headers("Range")[-2:] == ["bytes=1000000-", None]


@pytest.mark.parametrize(("sha256", "ranges"), [(None, [None, None]), (SHA256, [None, "bytes=1000000-"])])
def test_without_versions_a_hash_has_to_judge(site, url, kept, sha256, ranges):
    site.tags, site.drop = False, [1_000_000]
    assert download.fetch(url, sha256, kept).read_bytes() == CONTENT
    assert site.headers("Range") == ranges


def test_an_answer_without_length_is_read_to_its_end(site, url, kept):
    site.sized = False
    assert download.fetch(url, None, kept).read_bytes() == CONTENT


def test_an_answer_that_is_packed_is_no_file_unless_a_hash_says_so(site, url, kept):
    """Nobody asked for it; of an archive it is what some servers say of the file itself."""
    site.packed, site.files["/x.tgz"] = "gzip", CONTENT
    with pytest.raises(InputError, match=r"not downloaded \(its server packs it \(gzip\): a sha256 would say"):
        download.fetch(url, None, kept)
    assert names(kept) == set()
    assert download.fetch(url, SHA256, kept).read_bytes() == CONTENT
    assert download.fetch(f"{site.address}/x.tgz", None, kept).read_bytes() == CONTENT


def test_a_server_s_words_are_harmless():
    assert str(answers.Broken("\x1b[31m no\n status ")) == "?[31m no status"


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(site, url, kept, code):
    site.codes = [code, code]
    assert download.fetch(url, SHA256, kept).read_bytes() == CONTENT
    site.codes, (kept / "weights.pth").unlink()
    site.codes = [code] * 3
    with pytest.raises(InputError, match=rf"^{url}: not downloaded \(HTTP {code} [^\n]+\), expected network access"):
        download.fetch(url, SHA256, kept)
    assert names(kept) == {"hashes.json"}


@pytest.mark.parametrize("missing", ["nothing.pth", None])
def test_what_cannot_be_reached_is_one_line(site, kept, missing):
    url = f"{site.address}/{missing}" if missing else "http://127.0.0.1:9/weights.pth"
    reason = "HTTP 404 Not Found" if missing else r"\[Errno 111\] Connection refused"
    expected = f"expected network access, a local path, or the file at {kept}/{missing or 'weights.pth'}"
    with pytest.raises(InputError, match=rf"^{url}: not downloaded \({reason}\), {expected}$"):
        download.fetch(url, SHA256, kept)
    assert names(kept) == set()
    assert len(site.asked) == bool(missing)  # no second try


# -- what came is not what was promised


def test_another_hash_leaves_nothing_behind(url, kept):
    with pytest.raises(InputError, match=rf"^{url}: has sha256 {SHA256}, expected {'0' * 64}$"):
        download.fetch(url, "0" * 64, kept)
    assert names(kept) == set()


def test_a_page_in_place_of_a_file(site, kept):
    site.pages["/weights.pth"] = "<!DOCTYPE html><title>Log in</title>"
    url = f"{site.address}/weights.pth"
    with pytest.raises(InputError, match=rf"^{url}: it is an HTML page: was the download refused\?; expected the file"):
        download.fetch(url, None, kept)
    with pytest.raises(InputError, match=rf"has sha256 \w+, expected {SHA256} \(it is an HTML page: was the download"):
        download.fetch(url, SHA256, kept)
    assert names(kept) == set()


def test_a_page_on_disk_is_called_one(tmp_path):
    (tmp_path / "weights.pth").write_text("<!doctype html>Log in first")
    with pytest.raises(InputError, match=rf"has sha256 .*, expected {SHA256} \(it is an HTML page: was the download"):
        download.local(str(tmp_path / "weights.pth"), SHA256, tmp_path)


def test_a_copy_that_has_changed_is_not_used(url, kept):
    path = download.fetch(url, SHA256, kept)
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"weights.pth \(delete it to download it again\): has sha256"):
        download.fetch(url, SHA256, kept)


@pytest.mark.parametrize("there", [True, False], ids=["of a copy", "of a download"])
def test_a_prefix_of_a_hash_has_to_say_something(tmp_path, url, kept, there):
    (tmp_path / "weights.pth").write_bytes(CONTENT)
    with pytest.raises(InputError, match=r"weights.pth: sha256 '', expected at least 8 hexadecimal digits"):
        download.local(str(tmp_path / "weights.pth") if there else url, "", kept)


# -- hashes that nobody promised


def test_the_first_download_is_what_later_ones_must_be(site, url, kept, caplog):
    path = download.fetch(url, None, kept)
    assert json.loads((kept / "hashes.json").read_text()) == {"weights.pth": {"url": url, "sha256": SHA256}}
    assert f"{path}: no sha256 was promised, {SHA256} is what it must have from now on" in caplog.text
    assert download.local(url, None, kept) == path
    path.unlink()
    assert download.fetch(url, None, kept).read_bytes() == CONTENT  # the same again

    path.unlink()
    site.files["/weights.pth"] = b"new"
    other = hashlib.sha256(b"new").hexdigest()
    expected = rf"^{url}: has sha256 {other}, expected {SHA256}: that of its first download, {kept}/hashes.json; take"
    with pytest.raises(InputError, match=expected):
        download.fetch(url, None, kept)
    assert names(kept) == {"hashes.json"}
    assert download.fetch(url, other, kept).read_bytes() == b"new"  # the scale says so
    path.unlink()
    assert download.fetch(url, None, kept).read_bytes() == b"new"

    path.write_bytes(b"edited")
    with pytest.raises(
        InputError, match=rf"^{path} \(delete it .*\): has sha256 \w+, expected {other}: that of its fi"
    ):
        download.fetch(url, None, kept)


def test_a_copy_put_there_by_hand_is_pinned_too(site, url, kept, caplog):
    kept.mkdir()
    (kept / "weights.pth").write_bytes(b"by hand")
    assert download.fetch(url, None, kept).read_bytes() == b"by hand"
    assert site.asked == [] and "is what it must have from now on" in caplog.text
    (kept / "weights.pth").write_bytes(b"another")
    with pytest.raises(InputError, match="expected .*: that of its first download"):
        download.fetch(url, None, kept)


def test_pins_that_cannot_be_written_are_said(url, kept, caplog, monkeypatch):
    kept.mkdir()
    (kept / "weights.pth").write_bytes(b"by hand")

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(download.pins, "pin", refuse)
    assert download.fetch(url, None, kept).read_bytes() == b"by hand"
    assert "not pinned (Read-only file system)" in caplog.text


def test_two_urls_of_one_name(site, url, kept):
    site.files["/other/weights.pth"] = b"other"
    download.fetch(url, None, kept)
    other = f"{site.address}/other/weights.pth"
    with pytest.raises(
        InputError, match=rf"^{other}: {kept}/weights.pth is the copy of {url}, expected another folder"
    ):
        download.fetch(other, None, kept)
    assert download.fetch(f"{other}#other.pth", None, kept).read_bytes() == b"other"


@pytest.mark.parametrize("content", ['["x"]', '{"weights.pth": "x"}', "{"])
def test_pins_that_are_none(url, kept, content):
    kept.mkdir()
    (kept / "hashes.json").write_text(content)
    with pytest.raises(InputError, match=r"^[^\n]*hashes.json: (holds no hashes|not readable as JSON)[^\n]*$"):
        download.fetch(url, None, kept)


# -- disks


class Full:
    """A file whose disk takes no more after so many bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        self.file.write(content[: self.room])
        self.room -= len(content)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up(site, url, kept, monkeypatch):
    """One line; what came stays, and is gone on from when there is room."""

    def full(path, mode="r", *rest, **named):
        file = builtins.open(path, mode, *rest, **named)  # noqa: SIM115
        return Full(file, 1_500_000) if mode == "ab" else file

    monkeypatch.setattr(transfer, "open", full, raising=False)
    part = kept / "weights.pth.part"
    expected = rf"^{part}: the disk is full at 1.50 MB of 3.00 MB, expected room: the same command then goes on$"
    with pytest.raises(InputError, match=expected):
        download.fetch(url, SHA256, kept)
    assert names(kept) == {"weights.pth.part", "weights.pth.part.json"}
    monkeypatch.undo()
    assert download.fetch(url, SHA256, kept).read_bytes() == CONTENT
    assert site.headers("Range") == [None, "bytes=1500000-"]


def test_a_disk_without_room_takes_nothing(url, kept, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: transfer.shutil._ntuple_diskusage(9, 9, 1_000_000))
    with pytest.raises(InputError, match=r"weights.pth.part: 1.00 MB free on its disk, expected 3.00 MB for the downl"):
        download.fetch(url, SHA256, kept)
    assert names(kept) == set()


# -- two processes


def test_of_two_processes_one_waits(site, url, kept):
    site.drop, site.waits = [1_000_000], threading.Event()
    first = in_process(url, kept)
    part = kept / "weights.pth.part"
    until(lambda: part.exists() and part.stat().st_size == 1_000_000)
    second = in_process(url, kept)
    said = second.stderr.readline()
    assert "weights.pth: another process downloads it, waiting" in said
    site.waits.set()
    for running in (first, second):
        _, errors = running.communicate(timeout=60)
        assert running.returncode == 0, errors
    assert (kept / "weights.pth").read_bytes() == CONTENT
    assert site.headers("Range") == [None, "bytes=1000000-"]  # the first one's two, and no other
    assert names(kept) == {"weights.pth", "hashes.json"}


def test_who_waited_goes_on_where_the_other_was_killed(site, url, kept):
    site.drop, site.waits = [1_000_000], threading.Event()
    first = in_process(url, kept)
    part = kept / "weights.pth.part"
    until(lambda: part.exists() and part.stat().st_size == 1_000_000)
    second = in_process(url, kept)
    assert "waiting" in second.stderr.readline()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    _, errors = second.communicate(timeout=60)
    site.waits.set()
    assert second.returncode == 0, errors
    assert (kept / "weights.pth").read_bytes() == CONTENT
    assert site.headers("Range") == [None, "bytes=1000000-"]


# -- paths


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://[example/x.npz", "no URL .*, expected one that names a file"),
        ("https://example.org", "names no file, expected a URL that ends in a file's name"),
        ("https://example.org/x/..", "names no file"),
    ],
)
def test_an_address_of_no_file(tmp_path, url, message):
    with pytest.raises(InputError, match=rf"^{re.escape(url)}: {message}"):
        download.local(url, SHA256, tmp_path)


def test_a_local_path_is_used_where_it_lies(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(CONTENT)
    assert download.local(str(path), None, tmp_path / "kept") == path
    assert download.local(str(path), SHA256, tmp_path / "kept") == path
    with pytest.raises(InputError, match=f"{path}: has sha256 {SHA256}, expected {'1' * 64}"):
        download.local(str(path), "1" * 64, tmp_path / "kept")
    with pytest.raises(InputError, match="elsewhere.pth: no such file, expected a path or a URL"):
        download.local("elsewhere.pth", None, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_folder_has_no_hash(tmp_path):
    assert download.local(str(tmp_path), None, "kept") == tmp_path
    with pytest.raises(InputError, match=f"{tmp_path}: a folder, which has no sha256; expected null for it"):
        download.local(str(tmp_path), SHA256, "kept")
