"""Which source files a script's results depend on, and a digest of them: an edit of one remakes what it made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from pagboost.options import plugins

SOURCE = Path(__file__).parents[2]  # the folder of the scripts and of the package
PACKAGE = "pagboost"
# Classes of options name all kinds. Whoever uses one says which, and its defaults (kinds_used): a kind that is added,
# or an option's line for users, changes no result.
OPTIONS = SOURCE / PACKAGE / "options"

_FROM = re.compile(r"^\s*from ([\w.]+) import (\([^)]*\)|[^\n#]*)", re.MULTILINE)
_IMPORT = re.compile(r"^\s*import ([\w.]+)", re.MULTILINE)
_NAMED = re.compile(r"\"([\w.]+):\w+\"")
_TEMPLATE = re.compile(r"\"([\w.]+\.j2)\"")


@cache  # hundreds of results are made by a dozen scripts
def digest(*entries: str) -> str:
    """sha256 of the source files that scripts ("boost.py") and modules ("pagboost.vae") are made of, hexadecimal.

    Of their bytes: a changed comment counts as a change, on every version of Python alike.
    """
    hashed = hashlib.sha256()
    for file in files(*entries):
        place = file.relative_to(SOURCE).as_posix() if file.is_relative_to(SOURCE) else file.name  # of a plug-in
        hashed.update(f"{place}\0{_content_hash(file)}\n".encode())
    return hashed.hexdigest()


def files(*entries: str) -> list[Path]:
    """The files of these scripts and modules, and all of this project and its plug-ins that they import; sorted."""
    found: set[Path] = set()
    waiting = [file for entry in entries for file in _entry(entry)]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _used_by(file)
    return sorted(file for file in found if not file.is_relative_to(OPTIONS))


def _entry(name: str) -> Iterable[Path]:
    return [SOURCE / name] if name.endswith(".py") else _module(name)


@cache
def _used_by(file: Path) -> tuple[Path, ...]:
    """The files of this project that a source file imports, names as "module:name", or renders as a template."""
    if file.suffix != ".py" or file.is_relative_to(OPTIONS):
        return ()
    text = file.read_text(encoding="utf-8")
    names = [*_IMPORT.findall(text), *_NAMED.findall(text)]
    for module, imported in _FROM.findall(text):
        names += [module, *(f"{module}.{name}" for name in re.findall(r"\w+(?= as)|(?<!as )\b\w+", imported))]
    templates = (file.with_name(name) for name in _TEMPLATE.findall(text))
    return (*(path for name in names for path in _module(name)), *(path for path in templates if path.is_file()))


@cache
def _module(name: str) -> tuple[Path, ...]:
    return tuple(_files_of(name))


def _files_of(name: str) -> Iterator[Path]:
    """The files of a module and of the packages it lies in; of what is no module (a function's name) none."""
    if name.partition(".")[0] != PACKAGE:
        file = plugins.file_of(name)
        if file is not None:
            yield file
        return
    path = SOURCE.joinpath(*name.split("."))
    for package in (parent for parent in [path, *path.parents] if parent.is_relative_to(SOURCE / PACKAGE)):
        if (package / "__init__.py").is_file():
            yield package / "__init__.py"
    if path.with_suffix(".py").is_file():
        yield path.with_suffix(".py")


@cache
def _content_hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
