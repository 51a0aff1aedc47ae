"""The classes of images: an .npz's labels, class folders, EDM's dataset.json, WebDataset's .cls or .json files.

Folders are numbered in the order of their names as text, as torchvision does, and keep their names: of two sets that
have names, classes are matched by these.
"""

from __future__ import annotations

import json
import logging
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pagboost import artifacts, said
from pagboost.errors import InputError, listed
from pagboost.files import npz
from pagboost.sources.archives import Listing

log = logging.getLogger(__name__)

EDM = "dataset.json"
BESIDE = (".cls", ".json")  # WebDataset's, beside each picture
KEYS = ("cls", "class_id", "class_index", *npz.LABEL_KEYS)  # in its .json files
SAMPLES = "a sample file (.npz with labels)"


@dataclass(frozen=True)
class Labels:
    """numbers: int64 [N], 0 or more, of each image; names: of class folders, by number; where: for errors."""

    numbers: np.ndarray
    names: tuple[str, ...]
    where: str

    def name(self, number: int) -> str:
        """A class's name, "" where it has none."""
        return self.names[number] if number < len(self.names) else ""

    def subset(self, rows: np.ndarray) -> Labels:
        """Those of the given rows."""
        return Labels(self.numbers[rows], self.names, self.where)

    def numbered_as(self, other: Labels) -> Labels:
        """The same with the numbers that the classes of these names have in another set, where both have names.

        Raises InputError for a class that is not there.
        """
        if not (self.names and other.names) or self.names == other.names:
            return self
        numbers = {name: number for number, name in enumerate(other.names)}
        for name in self.names:
            if name not in numbers:
                raise InputError(f"{self.where}: class folder {name}, expected one of {other.where}: {listed(numbers)}")
        return Labels(np.array([numbers[name] for name in self.names])[self.numbers], other.names, self.where)


def of_file(path: Path, count: int, key: str | None) -> Labels | None:
    """The labels of an .npz of `count` images: arr_1, or those under the given key; None where it has none."""
    with artifacts.readable(path, SAMPLES), np.load(path) as archive:
        key = npz.label_key(archive, count, key, path)
        if not key or key not in archive:
            return None
        npz.check_member(archive, key, path)
        column = archive[key]
    if column.shape == (count, 1):
        column = column[:, 0]
    if column.shape != (count,) or not np.issubdtype(column.dtype, np.integer):
        raise InputError(
            f"{path}: {key} is {column.dtype} {list(column.shape)}, expected {count} integers, one per image"
        )
    return checked(column, (), f"{path}: {key}")


def checked(numbers: Sequence[int] | np.ndarray, names: Sequence[str], where: str) -> Labels:
    """Labels of these numbers; InputError for one below 0."""
    numbers = np.asarray(numbers, np.int64)
    if len(numbers) and numbers.min() < 0:
        raise InputError(f"{where}: holds label {numbers.min()}, expected 0 or more")
    return Labels(numbers, tuple(names), where)


def of_pictures(listing: Listing, pictures: Sequence[str]) -> Labels | None:
    """The labels of pictures of a folder or archive, in their order; None where nothing says any.

    From dataset.json at the top (EDM's), else the .cls or .json beside each picture (WebDataset's) if any of these says
    a class, else the folders right below the top.
    Raises InputError naming the first picture without a label, and for labels that are no integers.
    """
    top = _common(pictures)
    for file in listing.files:
        folder, own = posixpath.split(file)
        if own == EDM and _within(top, folder):
            return _of_edm(listing, file, pictures)
    beside = {_key(name): name for name in listing.files if name.endswith(BESIDE)}
    if (found := _of_web(listing, beside, pictures)) is not None:
        return found
    kinds = [name.removeprefix(top).partition("/")[0] if "/" in name.removeprefix(top) else "" for name in pictures]
    if not any(kinds):
        return None
    if not all(kinds):
        lost = pictures[kinds.index("")]
        raise InputError(f"{listing.path}: {lost} lies in no class folder, as others do, expected CLASS/{lost}")
    names = sorted(set(kinds))
    said.once(log, logging.INFO, f"{listing.path}: classes 0..{len(names) - 1} are the folders {listed(names)}")
    numbers = {name: number for number, name in enumerate(names)}
    odd = next((name for name in names if name.isdecimal() and int(name) != numbers[name]), None)
    if odd and all(name.isdecimal() for name in names):
        line = (
            f"{listing.path}: folder {odd} is class {numbers[odd]}: folders are numbered in the order of their names "
            "as text, as in torchvision, for a judge and beside labels without names; leading zeros keep their value"
        )
        said.once(log, logging.WARNING, line)
    return checked([numbers[kind] for kind in kinds], names, str(listing.path))


def _common(pictures: Sequence[str]) -> str:
    """The folders that all pictures lie in, with a slash at the end.

    A set that was packed with its folder, or with several above it, is labelled as the folder itself is.
    """
    common = posixpath.commonpath({posixpath.dirname(name) for name in pictures})
    return f"{common}/" if common else ""


def _within(top: str, folder: str) -> bool:
    """Whether `top`, with a slash at its end, is a folder or lies below it."""
    return not folder or top.startswith(f"{folder}/")


def _of_edm(listing: Listing, file: str, pictures: Sequence[str]) -> Labels | None:
    """EDM's: {"labels": [[picture, class], ...]}, null where there are none; pictures are named from its own folder."""
    where, folder = f"{listing.path}: {file}", posixpath.dirname(file)
    content = _json(dict(listing.read(only={file}))[file], where)
    found = content.get("labels") if isinstance(content, Mapping) else None
    if found is None:
        return None
    try:
        pairs = [(posixpath.join(folder, name), number) for name, number in found]
    except (TypeError, ValueError):
        raise InputError(f"{where}: labels are {_short(found)}, expected pairs of a picture and its class") from None
    of_name: dict[str, object] = {}
    for name, number in pairs:
        if of_name.setdefault(name, number) != number:
            raise InputError(f"{where}: labels {_short(of_name[name])} and {_short(number)} of {name}, expected one")
    return checked([_integer(of_name.get(name), name, where) for name in pictures], (), where)


def _of_web(listing: Listing, beside: Mapping[str, str], pictures: Sequence[str]) -> Labels | None:
    """WebDataset's: the file that has a picture's name up to its first dot; None where no such file says a class."""
    used = {beside[_key(name)] for name in pictures if _key(name) in beside}
    said = {}
    for file, content in listing.read(only=used) if used else ():
        value = _json(content, f"{listing.path}: {file}")  # a .cls holds an integer as text
        if isinstance(value, Mapping):
            value = next((value[key] for key in KEYS if key in value), None)
        said[file] = value
    if all(value is None for value in said.values()):  # captions, sizes, addresses: img2dataset's
        return None
    numbers = {_key(file): _integer(value, file, str(listing.path)) for file, value in said.items()}
    return checked(
        [_integer(numbers.get(_key(name)), name, str(listing.path)) for name in pictures], (), str(listing.path)
    )


def _key(name: str) -> str:
    """What WebDataset's files of one sample have in common."""
    folder, own = posixpath.split(name)
    return posixpath.join(folder, own.partition(".")[0])


def _json(content: bytes, where: str) -> object:
    try:
        return json.loads(content)
    except ValueError as error:
        raise InputError(f"{where}: holds {_short(content)}, expected a class as an integer, or JSON") from error


def _integer(value: object, name: str, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        found = "no label" if value is None else f"label {_short(value)}"
        raise InputError(f"{where}: {found} of {name}, expected an integer")
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
