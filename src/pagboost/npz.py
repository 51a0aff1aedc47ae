"""What an .npz of others holds: its arrays by their headers, and which of them are the labels of its images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pagboost.errors import InputError, listed

NONE = "none"  # in place of a key: a set is unlabelled, whatever else its file holds
LABEL_KEYS = ("label", "labels", "y", "target", "targets", "class", "classes")
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
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = read[np.lib.format.read_magic(stream)](stream)
        return dtype, shape
    return None
