"""Reading folders and archives: the same files however they are packed, and one line for what cannot be read."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile

import pytest

from pagboost.errors import InputError
from pagboost.sources import archives

FILES = {"a/one.bin": b"1", "a/two.bin": b"22", "b/three.bin": bytes(range(256)) * 40}
LEFT_BEHIND = ("a/._one.bin", ".cache/deep/x.bin", "a/@eaDir/one.bin", "__MACOSX/a/._one.bin", "Thumbs.db")


def files(path, only=None):
    """(name, content) of what is listed."""
    return archives.listing(path).read(only)


def add_to_tar(archive, name, content=b"", kind=tarfile.REGTYPE, target=""):
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.linkname = len(content), kind, target
    archive.addfile(entry, io.BytesIO(content))


def add_to_zip(archive, name, content=b"", mode=0):
    entry = zipfile.ZipInfo("placeholder")
    entry.filename = name  # as it is: ZipInfo itself would put it right
    entry.external_attr = mode << 16
    archive.writestr(entry, content)


def packed(folder, kind, links=()):
    """FILES as a folder or an archive, with what systems leave behind; links: (name, target), symbolic."""
    path = folder / f"packed.{kind}"
    everything = FILES | dict.fromkeys(LEFT_BEHIND, b"left behind")
    if kind == "folder":
        for name, content in everything.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        for name, target in links:
            (path / name).symlink_to(target)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.mkdir("a")
            for name, content in everything.items():
                archive.writestr(name, content)
            for name, target in links:
                add_to_zip(archive, name, target.encode(), stat.S_IFLNK | 0o777)
    else:
        with tarfile.open(path, {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[kind]) as archive:
            for name, content in everything.items():
                add_to_tar(archive, f"./{name}", content)
            for name, target in links:
                add_to_tar(archive, name, kind=tarfile.SYMTYPE, target=target)
    return path


KINDS = ["folder", "zip", "tar", "tar.gz", "tar.xz"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_packing_gives_the_same_files(tmp_path, kind):
    found = archives.listing(packed(tmp_path, kind))
    assert dict(found.read()) == FILES
    assert list(found.files) == list(FILES) and found.folders == ["a", "b"]
    described = archives.described(found.left_out)
    assert described == "; left out: 2 hidden (.cache/…), 3 of the system (Thumbs.db)" and not archives.described({})


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
def test_some_files_can_be_asked_for(tmp_path, kind):
    wanted = {"a/two.bin", "b/three.bin", "nothing.bin"}
    assert dict(files(packed(tmp_path, kind), only=wanted)) == {n: FILES[n] for n in wanted & FILES.keys()}


@pytest.mark.parametrize("kind", KINDS)
def test_links_within_are_followed(tmp_path, kind):
    """To a file, to a file by another link, and to a folder, with what lies below it."""
    links = [("a/link.bin", "../b/three.bin"), ("b/again.bin", "../a/link.bin"), ("c", "./a"), ("d.bin", "c/two.bin")]
    found = archives.listing(packed(tmp_path, kind, links))
    below = {f"c/{name}": FILES[f"a/{name}"] for name in ("one.bin", "two.bin")}
    three = dict.fromkeys(("a/link.bin", "b/again.bin", "c/link.bin"), FILES["b/three.bin"])
    assert dict(found.read()) == FILES | below | three | {"d.bin": FILES["a/two.bin"]}
    assert found.folders == ["a", "b", "c"]
    assert dict(found.read(only={"c/one.bin"})) == {"c/one.bin": b"1"}


def test_hard_links_of_a_tar_are_followed(tmp_path):
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        add_to_tar(archive, "top/a/one.bin", b"1")
        add_to_tar(archive, "top/b/same.bin", kind=tarfile.LNKTYPE, target="top/a/one.bin")
    assert dict(files(tmp_path / "t.tar")) == {"top/a/one.bin": b"1", "top/b/same.bin": b"1"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "target", "on_disk", "packed_up"),
    [
        ("a/x.bin", "nowhere.bin", "which is not there", "which is not in the archive"),
        ("a/x.bin", "../../outside.bin", "which is not there", "which leads out of the archive"),
        ("a/x.bin", "/no/where.bin", "which is not there", "which leads out of the archive"),
        ("a/x.bin", "x.bin", "which is not there", "which leads round in a circle"),
        ("a/loop", "..", "to a folder that it lies in", "to a folder that it lies in"),
    ],
)
def test_links_that_cannot_be_followed_are_named(tmp_path, kind, name, target, on_disk, packed_up):
    path = packed(tmp_path, kind, [(name, target)])
    reason = on_disk if kind == "folder" else packed_up
    with pytest.raises(InputError, match=rf"^{path}: {name} is a link [^\n]*{reason}, expected files, folders"):
        archives.listing(path)


def test_a_link_out_of_a_folder_is_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x.bin").write_bytes(b"x")
    links = [("c", "../elsewhere"), ("a/x.bin", tmp_path / "elsewhere/x.bin")]
    found = archives.listing(packed(tmp_path, "folder", links))
    assert dict(found.read()) == FILES | {"a/x.bin": b"x", "c/x.bin": b"x"}


def test_a_folder_is_no_cycle_because_two_links_lead_there(tmp_path):
    path = packed(tmp_path, "folder", [("c", "a"), ("d", "a")])
    assert {"c/one.bin", "d/one.bin"} <= archives.listing(path).files.keys()
    (path / "a" / "back").symlink_to("../c")
    with pytest.raises(InputError, match="a/back is a link to a folder that it lies in"):
        archives.listing(path)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_what_is_no_regular_file_is_named_and_never_opened(tmp_path, kind):
    path = packed(tmp_path, kind)
    if kind == "folder":
        os.mkfifo(path / "a/pipe.png")
    elif kind == "zip":
        with zipfile.ZipFile(path, "a") as archive:
            add_to_zip(archive, "a/pipe.png", mode=stat.S_IFIFO | 0o666)
    else:
        with tarfile.open(path, "a") as archive:
            add_to_tar(archive, "a/pipe.png", kind=tarfile.FIFOTYPE)
    with pytest.raises(InputError, match="a/pipe.png is a pipe, socket or device, expected files, folders"):
        archives.listing(path)


def test_a_hidden_root_and_odd_suffixes_of_folders_are_no_matter(tmp_path):
    (tmp_path / ".mine/old.png/x").mkdir(parents=True)
    (tmp_path / ".mine/old.png/x/1.png").write_bytes(b"1")
    os.mkfifo(tmp_path / ".mine/.pipe")  # left out as any hidden file
    found = archives.listing(tmp_path / ".mine")
    assert list(found.files) == ["old.png/x/1.png"] and found.folders == ["old.png", "old.png/x"]


def test_a_zip_made_on_windows(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        add_to_zip(archive, "a\\")
        for name in ("a\\b\\1.bin", "a\\desktop.ini", "a\\.x\\2.bin"):
            add_to_zip(archive, name, b"1")
    found = archives.listing(tmp_path / "w.zip")
    assert dict(found.read()) == {"a/b/1.bin": b"1"} and found.folders == ["a", "a/b"]
    assert {why: left.count for why, left in found.left_out.items()} == {"hidden": 1, "of the system": 1}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_file_that_is_stored_twice_is_refused_unless_it_is_left_out(tmp_path, kind):
    path = packed(tmp_path, kind)
    for name, refused in (("a/._one.bin", False), ("a/two.bin", True)):
        if kind == "zip":
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(name, b"other")
        else:
            with tarfile.open(path, "a") as archive:
                add_to_tar(archive, name, b"other")
        if refused:
            with pytest.raises(InputError, match="holds a/two.bin twice, expected each file once"):
                archives.listing(path)
        else:
            assert dict(files(path)) == FILES


def test_a_name_of_a_file_and_of_a_folder_is_refused(tmp_path):
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        add_to_tar(archive, "a", b"1")
        add_to_tar(archive, "a/b", b"1")
    with pytest.raises(InputError, match="t.tar: holds a as a file and as a folder"):
        archives.listing(tmp_path / "t.tar")


def test_names_of_any_bytes(tmp_path):
    name = os.fsdecode(b"caf\xe9.bin")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_bytes(b"1")
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        archive.add(tmp_path / "set" / name, name)
    assert dict(files(tmp_path / "set")) == dict(files(tmp_path / "t.tar")) == {name: b"1"}


def test_a_file_that_is_gone_is_named(tmp_path):
    path = packed(tmp_path, "folder")
    found = archives.listing(path)
    (path / "a/two.bin").unlink()
    with pytest.raises(InputError, match=r"packed.folder: a/two.bin is gone, .* \(was the folder changed meanwhile"):
        dict(found.read())


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_a_truncated_archive_is_one_line(tmp_path, kind):
    path = packed(tmp_path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 4 // 10])
    for function in (files, archives.listing):
        with pytest.raises(InputError, match=rf"^{path}: not readable to its end \([^\n]*\), expected a folder, .zip"):
            list(function(path))


def tar_of_three():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in "abc":
            add_to_tar(archive, name, b"1")
    return stream.getvalue()  # a header and a block each, then zeros


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda whole: whole[:2048], "its end is missing: cut short, or damaged"),  # between two members
        (lambda whole: whole[:2100], "its end is missing: cut short, or damaged"),  # within a header
        (lambda whole: whole[:2048] + b"x" + whole[2049:], "its end is missing: cut short, or damaged"),
        (lambda whole: whole + whole, "goes on after its end: several .tar in one, or damaged"),
    ],
)
def test_a_tar_is_never_read_in_part(tmp_path, change, said, suffix):
    """Python takes what comes before such a place for the whole."""
    assert dict(files(written(tmp_path / f"whole{suffix}", tar_of_three()))).keys() == {*"abc"}
    with pytest.raises(InputError, match=rf"t{suffix}: not readable to its end \({said}\)"):
        archives.listing(written(tmp_path / f"t{suffix}", change(tar_of_three())))


def written(path, content):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def test_a_zip_with_a_password_is_one_line(tmp_path):
    path = packed(tmp_path, "zip")
    whole = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := whole.find(header, start + 1)) >= 0:
            whole[start + flags] |= 1  # the flag of an encrypted member
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"not readable to its end \([^\n]*password[^\n]*\), expected a folder"):
        list(files(path))


def test_what_is_no_archive_or_is_not_there(tmp_path):
    (tmp_path / "text.tar").write_text("not an archive" * 100)
    with pytest.raises(InputError, match=r"text.tar: not readable to its end \(it is no such archive, or its start"):
        list(files(tmp_path / "text.tar"))
    cut = packed(tmp_path, "zip")
    cut.write_bytes(cut.read_bytes()[:90])
    with pytest.raises(InputError, match=r"not readable to its end \(a .zip without its directory, .*: cut short\)"):
        list(files(cut))
    with pytest.raises(InputError, match="nothing: no such file or folder, expected a folder, .zip"):
        list(files(tmp_path / "nothing"))


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    packed(tmp_path, "tar")
    monkeypatch.setitem(os.environ, "HOME", str(tmp_path))
    assert dict(files("~/packed.tar")) == FILES
