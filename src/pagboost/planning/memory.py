"""Small facts that one planning of the workflow leaves to the next, in a JSON file that may be lost or damaged."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Memory:
    """Facts by key; kept in `path` too, unless that is None or cannot be written."""

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = path and Path(path)
        self._facts: dict[str, Any] = {}
        if self.path is not None:
            with contextlib.suppress(OSError, ValueError, TypeError):
                self._facts = dict(json.loads(self.path.read_text(encoding="utf-8")))

    def get(self, key: str, default: Any = None) -> Any:
        """What was noted under a key."""
        return self._facts.get(key, default)

    def note(self, key: str, value: Any) -> None:
        """Note a value that JSON can hold."""
        self._facts[key] = value
        self._write()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """What is noted within is written at the end: one file for thousands of facts, not one after the other."""
        path, self.path = self.path, None
        try:
            yield
        finally:
            self.path = path
            self._write()

    def _write(self) -> None:
        if self.path is not None:
            from pagboost import artifacts  # numpy, which planning does without unless there is something to write

            with contextlib.suppress(OSError):
                artifacts.save_json(self.path, self._facts)
