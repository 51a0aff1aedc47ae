"""Installed packages that not everybody has: libraries, and files that packages bring along.

package://NAME/PATH is such a file, NAME as Python imports it; nothing is imported for it.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

from pagboost.errors import InputError

SCHEME = "package://"


def is_in_package(source: str) -> bool:
    """Whether a source is a file of a package, rather than a path or a URL."""
    return source.startswith(SCHEME)


def path_of(source: str) -> Path:
    """Where a package's file lies.

    Raises InputError for a package that is not installed, and for a file that it does not have.
    """
    name, _, inside = source.removeprefix(SCHEME).partition("/")
    if not name.isidentifier() or not inside or ".." in Path(inside).parts:
        raise InputError(f"{source}: names no file of a package, expected {SCHEME}NAME/PATH")
    spec = importlib.util.find_spec(name)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        wheel = name.replace("_", "-")
        raise InputError(f"{source}: no package {name} here, expected it installed (pip install {wheel})")
    path = Path(folders[0]) / inside
    if not path.is_file():
        raise InputError(f"{source}: no {path}, expected another version of {name}")
    return path


def optional(module: str, extra: str) -> ModuleType:
    """A module of a library that not everybody needs; InputError names the extra of this project that brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        needed = f"expected it installed (pip install 'pagboost[{extra}]')"
        raise InputError(f"no package {error.name} here, {needed}") from None
