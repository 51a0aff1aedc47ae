"""What is said once: a set of images is opened, and read, several times in a run."""

from __future__ import annotations

import logging
from collections.abc import Hashable

_SAID: dict[Hashable, object] = {}


def once(log: logging.Logger, level: int, message: str, *, about: Hashable = None) -> None:
    """Log a line unless one about the same was logged before in this process; `about` is the line itself unless given.

    Threads may call this at the same time.
    """
    mine = object()
    if _SAID.setdefault(message if about is None else about, mine) is mine:
        log.log(level, "%s", message)
