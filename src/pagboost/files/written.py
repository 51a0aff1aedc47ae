"""What a script writes: in a place that takes it, and never over what it reads. Imports nothing heavy."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost.errors import InputError

LONGEST_NAME = 200  # bytes; a file system takes 255, and the temporary file's name is longer


def check_place(where: str, path: Path, folder: bool) -> None:
    """Raise InputError naming `where` if a path is of the other kind, or in a place that takes no file."""
    if folder and os.path.isfile(path):
        raise InputError(f"{where}: is a file, expected a folder")
    if not folder and os.path.isdir(path):
        raise InputError(f"{where}: is a folder, expected a file")
    if not folder and os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{where}: is a device or the like, expected a file that may be replaced")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        raise InputError(f"{where}: a name of more than {LONGEST_NAME} bytes, expected a shorter one")
    place = path if folder else path.parent
    while not os.path.lexists(place):
        place = place.parent
    if not os.path.isdir(place):
        raise InputError(f"{where}: {place} is a file, expected a folder")
    try:
        tempfile.TemporaryFile(dir=place).close()  # has no name; permissions do not say all (a read-only disk, root)
    except OSError as error:
        raise InputError(f"{where}: {place} takes no file ({error.strerror}), expected a folder that does") from error


def check_new_folder(where: str, path: Path, source: Path) -> None:
    """Raise InputError naming `where` unless a folder to write is new (or empty), and no part of what is read."""
    if os.path.isdir(path) and os.listdir(path):
        raise InputError(f"{where}: holds files already, expected a folder that is not there yet, or is empty")
    new, read = (Path(os.path.realpath(one)) for one in (path, source))
    if new == read or read in new.parents or new in read.parents:
        raise InputError(f"{where}: lies in {source} or around it, expected a folder beside it")


def check_apart(files: Sequence[tuple[str, Path]], inputs: Iterable[Any]) -> None:
    """Raise InputError where two of the written `files`, (flag, path) each, are one file, or one is an input.

    inputs: what files_in takes.
    """
    for (first, path), (second, other) in itertools.combinations(files, 2):
        if same_file(path, other):
            raise InputError(f"{second} {other}: is the output {first} {path} too, expected another file")
    existing = [(flag, path) for flag, path in files if os.path.exists(path)]
    for file in files_in(list(inputs)) if existing else ():
        for flag, path in existing:
            if same_file(path, file):
                raise InputError(f"{flag} {path}: is the input {file}, expected another file")


def same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to one file: links and other spellings of its name included."""
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def files_in(value: Any) -> Iterator[str]:
    """The files that exist of all that an argument may name: a path, LABEL=PATH, FILE.yaml:key, FILE.npz:INDEX, a spec.

    A spec's own file and whatever text inside it is a file's path count too, file:// addresses included.
    """
    if isinstance(value, Mapping):
        yield from files_in([getattr(value, "file", None), *value.values()])
    elif isinstance(value, (list, tuple)):
        yield from itertools.chain.from_iterable(map(files_in, value))
    elif isinstance(value, (str, Path)):
        text = str(value)
        unlabelled = text.partition("=")[2]
        forms = [text, unlabelled, text.partition(":")[0], text.rpartition(":")[0], unlabelled.partition(":")[0]]
        with contextlib.suppress(ValueError):
            forms += [urllib.parse.unquote(urllib.parse.urlsplit(text).path)] if text.startswith("file:") else []
        yield from filter(os.path.isfile, map(os.path.expanduser, dict.fromkeys(forms)))
