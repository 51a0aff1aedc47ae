"""What an .npz holds: its arrays by their headers, where they lie in it, and which are the labels of its images."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import mmap
import os
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from pagboost.errors import InputError, listed
from pagboost.files.reading import changed, file_hash, readable

COMMENT = b"pagboost sha256 "  # begins the comment of an .npz of artifacts.save_arrays
NONE = "none"  # in place of a key: a set is unlabelled, whatever else its file holds
LABEL_KEYS = ("label", "labels", "y", "target", "targets", "class", "classes")
# version of an .npy -> what reads its header: (shape, whether in Fortran's order, dtype)
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
CHUNK = 256  # rows that are gathered at a time
PIECE = 16  # rows of a mapped array that are looked at before it is let go of: around each, systems map a megabyte
LISTED = 10  # arrays that a message names


def label_key(archive: Mapping[str, np.ndarray], count: int, given: str | None, path: Path) -> str:
    """Under which key an opened sample file of `count` images holds its labels; one that is not there: it has none.

    Raises InputError for a given key that is not there, and where none is given and one array looks like labels.
    """
    if given == NONE:
        return ""
    if given is not None:
        if given not in archive:
            held = described(archive, archive)
            raise InputError(f"{path}: has no {given}, expected labels under it (--labels); it holds {held}")
        return given
    if "arr_1" not in archive:
        others = {key: header(archive, key) for key in archive if key not in ("arr_0", "seeds", "index")}
        found = [key for key, said in others.items() if said and _looks_like_labels(key, *said, count)]
        if found:
            raise InputError(
                f"{path}: has no arr_1 but {described(archive, found)}, expected labels in arr_1, "
                f"or --labels {found[0]} (--labels {NONE}: they are no labels)"
            )
    return "arr_1"


def _looks_like_labels(key: str, dtype: np.dtype, shape: tuple[int, ...], count: int) -> bool:
    return key.lower() in LABEL_KEYS or (np.issubdtype(dtype, np.integer) and shape in ((count,), (count, 1)))


def described(archive: Mapping[str, np.ndarray], keys: Iterable[str]) -> str:
    """Arrays of an .npz in words: "x uint8 [100, 3, 16, 16], y int64 [100]"; nothing but headers is read."""
    names = list(keys)
    for place, key in enumerate(names[:LISTED]):  # of many, no more headers are read than are said
        said = header(archive, key)
        names[place] = f"{key} {said[0]} {list(said[1])}" if said else key
    return listed(names, LISTED) or "nothing"


def header(archive: Mapping[str, np.ndarray], key: str) -> tuple[np.dtype, tuple[int, ...]] | None:
    """(dtype, shape) of an array of an .npz, without its content; None where there is no telling."""
    with contextlib.suppress(KeyError, ValueError), archive.zip.open(f"{key}.npy") as stream:
        return _read_header(stream)
    return None


def _read_header(stream: IO[bytes]) -> tuple[np.dtype, tuple[int, ...]]:
    shape, _, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    return dtype, shape


def check_member(archive: Mapping[str, np.ndarray], key: str, path: Path) -> None:
    """Raise InputError for an array of an .npz that `check_length` refuses; nothing but its header is read."""
    said = None
    with contextlib.suppress(KeyError, ValueError), archive.zip.open(f"{key}.npy") as stream:
        said = _read_header(stream), stream.tell()
    if said:
        check_length(archive.zip.getinfo(f"{key}.npy"), said[1], *said[0], f"{path}: {key}")


def check_length(
    entry: zipfile.ZipInfo, start: int, dtype: np.dtype, shape: tuple[int, ...], where: str, *, held: bool = True
) -> None:
    """Raise InputError unless a member of an .npz holds, after its header of `start` bytes, what that promises.

    Asked before anything is allocated. Python objects are of no length; NumPy refuses them.
    held: whether it is to be held in memory, which then has to be as large.
    """
    needed, there = math.prod(shape) * dtype.itemsize, entry.file_size - start
    if not dtype.hasobject and (min(shape, default=0) < 0 or needed != there):
        raise InputError(
            f"{where}: {dtype} {list(shape)} of {there:,} bytes, expected {needed:,} (truncated or forged?)"
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if held and needed > memory:
        raise InputError(
            f"{where}: {dtype} {list(shape)} takes {needed >> 30:,} GiB, expected less than this machine's memory of "
            f"{memory >> 30:,} GiB"
        )


def mapped(archive: Mapping[str, np.ndarray], key: str, path: Path) -> np.ndarray | None:
    """An array of an .npz where it lies in the file, of which nothing is read but what is looked at.

    None where it is compressed, or not laid out as numpy.savez does it. Its checksum is not compared (`check_content`).
    Processes that map one file share what they read of it; whoever writes to the array changes a copy of its own.
    """
    entry = archive.zip.getinfo(f"{key}.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        return None
    with open(path, "rb") as file:
        file.seek(entry.header_offset)
        names, extra = struct.unpack("<26x2H", file.read(30))  # lengths, in a zip's header of a member
        start = file.seek(names + extra, os.SEEK_CUR)
        try:
            shape, fortran, dtype = HEADERS[np.lib.format.read_magic(file)](file)
        except (KeyError, ValueError):  # no array
            return None
        check_length(entry, file.tell() - start, dtype, shape, f"{path}: {key}", held=False)
        if dtype.hasobject or fortran or not math.prod(shape):
            return None
        return np.memmap(file, dtype, "c", file.tell(), shape)


def release(array: np.ndarray) -> None:
    """Let go of what a mapped array holds of its file: it stays the system's, to be read again or thrown out."""
    if isinstance(array, np.memmap):
        array._mmap.madvise(mmap.MADV_DONTNEED)


def taken(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """array[rows], in memory; of an array that is mapped nothing else is held."""
    found = np.empty((len(rows), *array.shape[1:]), array.dtype)
    for start in range(0, len(rows), PIECE):
        piece = slice(start, start + PIECE)
        found[piece] = array[rows[piece]]
        release(array)
    return found


def check_content(archive: zipfile.ZipFile) -> None:
    """Raise BadZipFile unless all members agree with their checksums; of none more than a few MB is held."""
    for entry in archive.infolist():
        with archive.open(entry) as member:
            while member.read(1 << 22):
                pass


@dataclass(frozen=True)
class Rows:
    """Rows of an array, in an order of their own: gathered as they are written, never all at once."""

    array: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Stream:
    """An array [N, ...] that comes in parts, one after the other, and is never whole in memory."""

    dtype: np.dtype
    shape: tuple[int, ...]
    parts: Iterable[np.ndarray]


def write(file: IO[bytes], arrays: Mapping[str, np.ndarray | Rows | Stream]) -> None:
    """What numpy.savez writes, to the byte; of an array that is mapped from a disk, no more than some rows are held.

    Raises InputError for a stream that ends early, or is longer than it says.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for key, value in arrays.items():
            value = Rows(value, np.arange(len(value))) if isinstance(value, np.memmap) else value
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                if isinstance(value, (Rows, Stream)):
                    _write_stream(member, _gathered(value) if isinstance(value, Rows) else value, key)
                else:
                    np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)


def _gathered(chosen: Rows) -> Stream:
    array, rows = chosen.array, chosen.rows
    parts = (taken(array, rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK))
    return Stream(array.dtype, (len(rows), *array.shape[1:]), parts)


def _write_stream(member: IO[bytes], stream: Stream, key: str) -> None:
    descr = np.lib.format.dtype_to_descr(stream.dtype)
    header = {"descr": descr, "fortran_order": False, "shape": stream.shape}
    np.lib.format.write_array_header_1_0(member, header)
    written = 0
    for part in stream.parts:
        member.write(np.ascontiguousarray(part).data)
        written += len(part)
    if written != stream.shape[0]:
        raise InputError(f"{key}: {written} rows came, expected {stream.shape[0]}")


def check_names(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise InputError where an .npz holds two arrays of one name: which of them is meant, nobody can tell."""
    names = archive.namelist()
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: holds {again} twice, expected each array once")


def identity(path: str | Path) -> str:
    """What a file holds, as a hash: of an .npz that save_arrays wrote, its directory's, which has all its checksums.

    These are compared with its content: InputError where it was changed, or damaged, since it was written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        return file_hash(path)
    with readable(path, "an .npz"), zipfile.ZipFile(path) as archive:
        check_directory(archive, path)
        if not archive.comment.startswith(COMMENT):
            return file_hash(path)
        check_content(archive)
        return archive.comment.decode()


def check_directory(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise InputError where an .npz of save_arrays lost an array, or calls one by another name, since it was written.

    What an array holds is checked by its own checksum, as it is read.
    """
    check_names(archive, path)
    if archive.comment.startswith(COMMENT) and archive.comment != directory_hash(archive):
        raise InputError(changed(path))


def directory_hash(archive: zipfile.ZipFile) -> bytes:
    """The comment of an .npz that says what its members are called and hold, by their checksums."""
    members = [(entry.filename, entry.CRC, entry.file_size) for entry in archive.infolist()]
    return COMMENT + hashlib.sha256(json.dumps(members).encode()).hexdigest().encode()
