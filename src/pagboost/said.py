"""What is said once: a set of images is opened, and read, several times in a run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Hashable, Iterator

Line = tuple[str, int, str, Hashable]  # whose log, level, message, about

_SAID: dict[Hashable, object] = {}
_KEPT: list[list[Line]] = []


def once(log: logging.Logger, level: int, message: str, *, about: Hashable = None) -> None:
    """Log a line unless one about the same was logged before in this process; `about` is the line itself unless given.

    Threads may call this at the same time.
    """
    mine = object()
    if _SAID.setdefault(message if about is None else about, mine) is mine:
        if _KEPT:
            _KEPT[-1].append((log.name, level, message, about))
        else:
            log.log(level, "%s", message)


@contextlib.contextmanager
def kept() -> Iterator[list[Line]]:
    """What is said within is not logged but listed: another process says it, once for all."""
    _KEPT.append([])
    try:
        yield _KEPT[-1]
    finally:
        _KEPT.pop()
