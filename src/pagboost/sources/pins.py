"""Hashes of what was downloaded, kept beside it: what no scale promises is what came the first time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.sources import locks

FILE = "hashes.json"


class Pin(NamedTuple):
    """What a copy's content was when it came, and from which URL."""

    url: str
    sha256: str


def pinned(folder: Path, name: str) -> Pin | None:
    """The pin of a copy, by its path below the folder of downloads; None where there is none.

    Raises InputError for a file of pins that is none.
    """
    return _load(folder).get(name)


def pin(folder: Path, name: str, made: Pin) -> None:
    """Note a pin in place of whatever was noted of that copy."""
    path = folder / FILE
    with locks.held(path, f"{path}: another process writes it, waiting"):
        pins = {**_load(folder), name: made}
        with artifacts.atomic(path) as temporary:  # no save_json: people may take lines out
            content = {key: value._asdict() for key, value in sorted(pins.items())}
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _load(folder: Path) -> Mapping[str, Pin]:
    path = folder / FILE
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size:  # empty: another process is about to write it
            content = artifacts.load_json(path)
            try:
                return {name: Pin(entry["url"], entry["sha256"].lower()) for name, entry in content.items()}
            except (AttributeError, KeyError, TypeError):
                raise InputError(f"{path}: holds no hashes, expected {{name: {{url, sha256}}}}") from None
    return {}
