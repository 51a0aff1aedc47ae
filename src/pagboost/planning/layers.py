"""Which of the files that lie over each other says a key: the one that an error should name. No torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.files import yaml_files

SETTINGS = "config"  # what no file says: --config, or the settings that another workflow gives

# (name of a file, its content), what lies over others later
Layers = Sequence[tuple[str, Mapping[str, Any]]]


@contextlib.contextmanager
def placed(files: Sequence[Path], settings: Mapping[str, Any], own: str) -> Iterator[None]:
    """Errors that begin with a key name the file that says it too; files: those below first. As `said_by`."""
    try:
        yield
    except InputError as error:
        found = [(path.name, yaml_files.read(path)) for path in files if path.is_file()]
        key = str(error).partition(":")[0]
        raise InputError(f"{said_by(key, found, settings, own)}: {error}") from error


def said_by(key: str, layers: Layers, settings: Mapping[str, Any], own: str) -> str:
    """The name of the file that says `key` ("boosts.mine.alpha"), the topmost of those that say all of it.

    settings: what lies over all files, those among them included that were merged into it already. own: the file to
    name where none is nearer to the key than others, for what is missing from all of them.
    """
    path = key.split(".")
    depths = [len(_found(content, path)) for _, content in layers]
    top = max(range(len(layers)), key=lambda i: (depths[i], i)) if layers else None
    values = _found(settings, path)
    if len(values) == len(path) and (top is None or depths[top] < len(path) or _differs(values, layers[top][1], path)):
        return SETTINGS
    if top is None or (depths[top] < len(path) and depths.count(depths[top]) > 1):
        return own
    return layers[top][0]


def _found(content: Any, path: Sequence[str]) -> list[Any]:
    """The values along a path, as far as it leads."""
    values: list[Any] = []
    for part in path:
        if isinstance(content, Mapping) and part in content:
            content = content[part]
        elif isinstance(content, list) and part.isdecimal() and int(part) < len(content):
            content = content[int(part)]
        else:
            break
        values.append(content)
    return values


def _differs(values: Sequence[Any], content: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Whether settings say another value than the topmost file; mappings are merged, so that they may well differ."""
    return not isinstance(values[-1], Mapping) and _found(content, path)[-1] != values[-1]
