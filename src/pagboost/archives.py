"""The files of a folder or an archive, one after another: nothing is unpacked to disk, nothing is unpickled."""

from __future__ import annotations

import contextlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from functools import partial
from pathlib import Path

from pagboost.errors import InputError

# RuntimeError: a zip with a password; NotImplementedError, a kind of it: a compression that Python lacks
UNREADABLE = (OSError, EOFError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error)
EXPECTED = "a folder, .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz"


def files(path: str | Path, only: Container[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of each regular file of a folder or archive, names with forward slashes.

    A folder's files come in the order of their names, an archive's as they are stored. An archive's links, and names
    that begin with a dot (what operating systems leave behind), are left out; so is what is not in `only`, unread.
    Raises InputError naming the path where it is missing, truncated, or neither folder nor archive.
    """
    with _readable(path):
        for name, read in _visible(path):
            if only is None or name in only:
                yield name, read()


def names(path: str | Path) -> Iterator[str]:
    """The names that `files` yields, in its order; raises InputError as it does."""
    with _readable(path):
        for name, _ in _visible(path):
            yield name


@contextlib.contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    """Turn the ways a folder or archive can be broken into one line."""
    try:
        yield
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not readable to its end ({reason}), expected {EXPECTED}") from error


def _visible(path: str | Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(name, what reads it) of each file that is no hidden one."""
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, expected {EXPECTED}")
    return ((name, read) for name, read in _members(path) if not name.rpartition("/")[2].startswith("."))


def _members(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(name, what reads it) of each regular file; to be read before the next is asked for."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield file.relative_to(path).as_posix(), file.read_bytes
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield entry.filename, partial(archive.read, entry)
    else:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile():
                    yield member.name, partial(_read, archive, member)


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return archive.extractfile(member).read()
