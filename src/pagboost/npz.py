"""What an .npz of others holds: its arrays by their headers, and which of them are the labels of its images."""

from __future__ import annotations

import contextlib
import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from pagboost.errors import InputError, listed

NONE = "none"  # in place of a key: a set is unlabelled, whatever else its file holds
LABEL_KEYS = ("label", "labels", "y", "target", "targets", "class", "classes")
# version of an .npy -> what reads its header: (shape, whether in Fortran's order, dtype)
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
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


def check_length(entry: zipfile.ZipInfo, start: int, dtype: np.dtype, shape: tuple[int, ...], where: str) -> None:
    """Raise InputError unless a member of an .npz holds, after its header of `start` bytes, what that promises.

    Asked before anything is allocated. Python objects are of no length; NumPy refuses them.
    """
    needed, held = math.prod(shape) * dtype.itemsize, entry.file_size - start
    if not dtype.hasobject and (min(shape, default=0) < 0 or needed != held):
        raise InputError(
            f"{where}: {dtype} {list(shape)} of {held:,} bytes, expected {needed:,} (truncated or forged?)"
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise InputError(
            f"{where}: {dtype} {list(shape)} takes {needed >> 30:,} GiB, expected less than this machine's memory of "
            f"{memory >> 30:,} GiB"
        )


def check_names(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise InputError where an .npz holds two arrays of one name: which of them is meant, nobody can tell."""
    names = archive.namelist()
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: holds {again} twice, expected each array once")
