"""What a folder or archive holds, by one walk for every reader: nothing is unpacked to disk, nothing is unpickled."""

from __future__ import annotations

import contextlib
import lzma
import os
import posixpath
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from pagboost.errors import InputError
from pagboost.files import foreign

# RuntimeError: a zip with a password, or (of a kind of its own) a compression that Python lacks
UNREADABLE = (OSError, EOFError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error)
PACKED = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")  # what is meant for an archive, though broken
EXPECTED = "a folder, .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz"
# what operating systems and network storage leave beside files, in lower case
SYSTEM = frozenset((
    "@eadir", "#recycle", "@recycle", "$recycle.bin", "#snapshot", "@recently-snapshot", "lost+found", "__macosx",
    "system volume information", "network trash folder", "temporary items", "icon\r", "desktop.ini", "thumbs.db",
    "ehthumbs.db", "ehthumbs_vista.db",
))  # fmt: skip
FILE, FOLDER, LINK, SPECIAL = "file", "folder", "link", "is a pipe, socket or device"
HOPS = 40  # links to links that are followed, as Linux does
CHUNK = 1 << 20
ZIP = b"PK\x03\x04"


class Node(NamedTuple):
    """What a name stands for, links followed: kind is FILE, FOLDER or, of all else, words for an error.

    at: where it really is, which tells folders apart, of a file in an archive too; link: whether its own name is that
    of a link.
    """

    kind: str
    at: str
    link: bool = False


class LeftOut(NamedTuple):
    """How many files were left out for one reason, and a name or suffix of such."""

    count: int
    example: str


class Tree(Protocol):
    """Where `listing` walks: the root's place, and what lies in a folder, by its place."""

    root: str

    def children(self, folder: str) -> Iterator[tuple[str, Node]]: ...


@dataclass(frozen=True)
class Listing:
    """The files and folders of a folder or archive, names relative to it, with forward slashes, sorted part by part.

    files: {name: the name that an archive stores its content under}, links followed. left_out: {reason: what}.
    """

    path: Path
    files: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    left_out: dict[str, LeftOut] = field(default_factory=dict)

    def read(self, only: Container[str] | None = None) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of each file that is in `only`, or of all: a folder's in order, an archive's as stored.

        Raises InputError naming the path where it cannot be read to its end, and a file that is gone.
        """
        with _readable(self.path):
            if self.path.is_dir():
                for name in self.files:
                    if only is None or name in only:
                        yield name, self._of_folder(name)
            else:
                for member, names in self._wanted(only):
                    content = member.read()
                    yield from ((name, content) for name in names)

    def order(self, only: Container[str] | None = None) -> list[str]:
        """The names in the order in which `read` yields them, without their content."""
        with _readable(self.path):
            if self.path.is_dir():
                return [name for name in self.files if only is None or name in only]
            return [name for _, names in self._wanted(only) for name in names]

    def _of_folder(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError as error:
            raise InputError(
                f"{self.path}: {name} is gone, expected it as it was listed (was the folder changed meanwhile?)"
            ) from error

    def _wanted(self, only: Container[str] | None) -> Iterator[tuple[Member, list[str]]]:
        """(what an archive stores, the names for it that are in `only`), as stored; none without such a name."""
        linked: dict[str, list[str]] = {}
        for name, stored in self.files.items():
            if name != stored:
                linked.setdefault(stored, []).append(name)
        for member in _members(self.path):
            own = [member.name] if self.files.get(member.name) == member.name else []
            wanted = [name for name in own + linked.get(member.name, []) if only is None or name in only]
            if wanted:
                yield member, wanted


def listing(path: str | Path) -> Listing:
    """What a folder or archive holds; links are followed, in archives to what they hold themselves.

    Left out and counted, by reason: hidden files and folders (whose names begin with a dot), and those that operating
    systems leave behind (SYSTEM). Nothing is opened but folders and an archive itself.
    Raises InputError naming the path where it is missing, truncated, or neither folder nor archive, and the name of a
    link that leads nowhere, out of an archive or round in a circle, of what is no regular file (a pipe, a device), and
    of a file that an archive holds twice.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, expected {EXPECTED}")
    with _readable(path):
        found = Listing(path)
        tree = _Packed(path) if path.is_file() else _Unpacked(path)
        _visit(tree, found, "", Node(FOLDER, tree.root), ())
        return found


def is_packed(path: Path) -> bool:
    """Whether a file is an archive of files: a .tar, packed or not, or a .zip; an .npz is none, whatever its name."""
    if path.suffix == ".npz" or not path.is_file():
        return False
    if zipfile.is_zipfile(path):
        with _readable(path), zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return not names or not all(name.endswith(".npy") for name in names)
    return path.suffix in PACKED or tarfile.is_tarfile(path)


def described(left_out: Mapping[str, LeftOut]) -> str:
    """The end of a line: "; left out: 20 hidden (.ipynb_checkpoints/…), 1 other file (.txt)"; nothing where none is."""
    parts = [f"{count:,} {reason} ({example})" for reason, (count, example) in left_out.items()]
    return f"; left out: {', '.join(parts)}" if parts else ""


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn the ways a folder or archive can be broken into one line."""
    try:
        yield
    except UNREADABLE as error:
        raise InputError(f"{path}: not readable to its end ({_reason(path, error)}), expected {EXPECTED}") from error


def _reason(path: Path, error: Exception) -> str:
    """Why an archive cannot be read, in one line."""
    if found := foreign.at(path):
        return found
    text = str(error) or type(error).__name__
    if not text.startswith("file could not be opened"):  # tarfile's, with a line for each way to pack that it tried
        return text.splitlines()[0]
    with contextlib.suppress(OSError), open(path, "rb") as file:
        if file.read(len(ZIP)) == ZIP:
            return "a .zip without its directory, which stands at its end: cut short"
    return "it is no such archive, or its start is damaged"


def _visit(tree: Tree, found: Listing, name: str, node: Node, above: tuple[str, ...]) -> None:
    """Enter a node and what lies below it; `above` are the places of the folders on the way to it."""
    if node.kind == FILE:
        found.files[name] = name if node.at in ("", name) else node.at
    elif node.kind != FOLDER or node.at in above:
        reason = "is a link to a folder that it lies in" if node.kind == FOLDER else node.kind
        raise InputError(f"{found.path}: {name} {reason}, expected files, folders and links to such")
    else:
        if name:
            found.folders.append(name)
        for own, child in sorted(tree.children(node.at)):
            below = f"{name}/{own}" if name else own
            if reason := skipped(own):
                _leave_out(found.left_out, reason, _count(tree, child), below + "/…" * (child.kind == FOLDER))
            else:
                _visit(tree, found, below, child, (*above, node.at))


def skipped(own: str) -> str | None:
    """Why a file or folder of this name is left out."""
    if own.startswith("."):
        return "hidden"
    return "of the system" if own.casefold() in SYSTEM else None


def _leave_out(left_out: dict[str, LeftOut], reason: str, count: int, example: str) -> None:
    if count:
        before = left_out.get(reason, LeftOut(0, example))
        left_out[reason] = before._replace(count=before.count + count)


def _count(tree: Tree, node: Node) -> int:
    """How many files lie below a node that is left out; links and folders that may not be read are not followed."""
    if node.kind != FOLDER or node.link:
        return 1
    try:
        return sum(_count(tree, child) for _, child in tree.children(node.at))
    except OSError:
        return 1


class _Unpacked:
    """A folder on disk; places are real paths, of folders alone."""

    def __init__(self, path: Path) -> None:
        self.root = os.path.realpath(path)

    def children(self, folder: str) -> Iterator[tuple[str, Node]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield entry.name, self._node(entry)

    def _node(self, entry: os.DirEntry[str]) -> Node:
        link = entry.is_symlink()
        at = os.path.realpath(entry.path) if link else entry.path
        if os.path.isdir(at) if link else entry.is_dir():
            return Node(FOLDER, at, link)
        if os.path.isfile(at) if link else entry.is_file():
            return Node(FILE, "", link)
        if link and not os.path.exists(at):
            return Node(f"is a link to {os.readlink(entry.path)}, which is not there", at, link)
        return Node(SPECIAL, at, link)


class Member(NamedTuple):
    """What an archive stores under a name: kind is FILE, FOLDER, LINK (to `target`, from its own folder) or SPECIAL."""

    name: str
    kind: str
    target: str
    read: Callable[[], bytes]


class _Packed:
    """The names in an archive as a tree; places are names."""

    root = ""

    def __init__(self, path: Path) -> None:
        self.folders: dict[str, dict[str, str]] = {"": {}}  # place -> {own name: kind}
        self.links: dict[str, str] = {}
        for member in _members(path):
            if member.name:
                self._add(member, path)

    def _add(self, member: Member, path: Path) -> None:
        folder, _, own = member.name.rpartition("/")
        self._add_folder(folder, path)
        if member.kind == FOLDER:
            self._add_folder(member.name, path)
            return
        if own in self.folders[folder] and not any(map(skipped, member.name.split("/"))):
            raise InputError(f"{path}: holds {member.name} twice, expected each file once")
        self.folders[folder][own] = member.kind
        if member.kind == LINK:
            self.links[member.name] = member.target

    def _add_folder(self, name: str, path: Path) -> None:
        if name in self.folders:
            return
        above, _, own = name.rpartition("/")
        self._add_folder(above, path)
        if self.folders[above].setdefault(own, FOLDER) != FOLDER:
            raise InputError(f"{path}: holds {name} as a file and as a folder, expected one of them")
        self.folders[name] = {}

    def children(self, folder: str) -> Iterator[tuple[str, Node]]:
        for own in self.folders[folder]:
            name = f"{folder}/{own}" if folder else own
            node = self._node(name)
            if name in self.links:
                kind, target = node.kind, self.links[name]
                words = kind if kind in (FILE, FOLDER) else f"is a link to {target}, which {kind}"
                node = node._replace(kind=words, link=True)
            yield own, node

    def _node(self, name: str) -> Node:
        """What a name stands for, links on the way to it followed."""
        place, left, hops = "", name.split("/")[::-1], 0
        while left:
            own = left.pop()
            here = f"{place}/{own}" if place else own
            if own == "..":
                if not place:
                    return Node("leads out of the archive", "")
                place = place.rpartition("/")[0]
            elif here in self.links:
                hops += 1
                if hops > HOPS:
                    return Node("leads round in a circle", "")
                if self.links[here].startswith("/"):
                    return Node("leads out of the archive", "")
                left += self.links[here].split("/")[::-1]
            elif own not in ("", "."):
                kind = self.folders.get(place, {}).get(own, "is not in the archive")
                if kind != FOLDER:
                    return Node(kind if not left or kind != FILE else "is not in the archive", here)
                place = here
        return Node(FOLDER, place)


def _members(path: Path) -> Iterator[Member]:
    """What an archive stores, in its order; to be read before the next is asked for."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                yield _of_zip(archive, entry)
    else:
        with tarfile.open(path, tarinfo=_Header) as archive:
            for member in archive:
                yield _of_tar(archive, member)
            while rest := archive.fileobj.read(CHUNK):  # behind the end that the archive says
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("goes on after its end: several .tar in one, or damaged")


class _Header(tarfile.TarInfo):
    """A header of a .tar. Where there is none, and no end either, Python would take what came before for the whole."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # a block of zeros
            raise
        except tarfile.HeaderError as error:
            if archive.offset == 0:  # no .tar at all, which tarfile says itself
                raise
            raise tarfile.ReadError("its end is missing: cut short, or damaged") from error


def _of_zip(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Member:
    stored = entry.filename.replace("\\", "/")  # as some tools on Windows write them
    mode = entry.external_attr >> 16  # Unix's, 0 where the archive is of another system
    read = partial(archive.read, entry)
    if stored.endswith("/") or stat.S_ISDIR(mode):
        return Member(_normal(stored), FOLDER, "", read)
    if stat.S_ISLNK(mode):
        return Member(_normal(stored), LINK, read().decode("utf-8", "surrogateescape"), read)
    return Member(_normal(stored), FILE if stat.S_IFMT(mode) in (0, stat.S_IFREG) else SPECIAL, "", read)


def _of_tar(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Member:
    name, target = _normal(member.name), member.linkname
    read = partial(_read, archive, member)
    if member.islnk():  # its target is named from the top
        return Member(name, LINK, "../" * name.count("/") + _normal(target), read)
    if member.issym():
        return Member(name, LINK, target, read)
    kind = FILE if member.isfile() else FOLDER if member.isdir() else SPECIAL
    return Member(name, kind, "", read)


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return archive.extractfile(member).read()


def _normal(name: str) -> str:
    """A stored name without what means nothing inside an archive: a leading slash, "." and ".."."""
    return posixpath.normpath(f"/{name}").lstrip("/")
