"""Reading folders and archives: the same files however they are packed, and one line for what cannot be read."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile

import pytest

from pagboost import archives
from pagboost.errors import InputError

FILES = {"a/one.bin": b"1", "a/two.bin": b"22", "b/three.bin": bytes(range(256)) * 40}


def write_tar(path, mode):
    with tarfile.open(path, mode) as archive:
        for name, content in {**FILES, "a/._one.bin": b"left behind"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("a/link.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)


def packed(folder, kind):
    """FILES as a folder or an archive, with a hidden file besides (and a link in a tar)."""
    path = folder / f"packed.{kind}"
    if kind == "folder":
        for name, content in {**FILES, "a/.hidden": b""}.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.mkdir("a")
            for name, content in FILES.items():
                archive.writestr(name, content)
    else:
        write_tar(path, {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[kind])
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz", "tar.xz"])
def test_every_packing_gives_the_same_files(tmp_path, kind):
    path = packed(tmp_path, kind)
    assert dict(archives.files(path)) == FILES
    assert list(archives.names(path)) == [name for name, _ in archives.files(path)]


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
def test_some_files_can_be_asked_for(tmp_path, kind):
    wanted = {"a/two.bin", "b/three.bin", "nothing.bin"}
    assert dict(archives.files(packed(tmp_path, kind), only=wanted)) == {n: FILES[n] for n in wanted & FILES.keys()}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_a_truncated_archive_is_one_line(tmp_path, kind):
    path = packed(tmp_path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 4 // 10])
    for function in (archives.files, archives.names):
        with pytest.raises(InputError, match=rf"^{path}: not readable to its end \([^\n]*\), expected a folder, .zip"):
            list(function(path))


def test_a_zip_with_a_password_is_one_line(tmp_path):
    path = packed(tmp_path, "zip")
    whole = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := whole.find(header, start + 1)) >= 0:
            whole[start + flags] |= 1  # the flag of an encrypted member
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"not readable to its end \([^\n]*password[^\n]*\), expected a folder"):
        list(archives.files(path))


def test_what_is_no_archive_or_is_not_there(tmp_path):
    (tmp_path / "text.tar").write_text("not an archive" * 100)
    with pytest.raises(InputError, match=r"text.tar: not readable to its end \("):
        list(archives.files(tmp_path / "text.tar"))
    with pytest.raises(InputError, match="nothing: no such file or folder, expected a folder, .zip"):
        list(archives.files(tmp_path / "nothing"))


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    packed(tmp_path, "tar")
    monkeypatch.setitem(os.environ, "HOME", str(tmp_path))
    assert dict(archives.files("~/packed.tar")) == FILES
