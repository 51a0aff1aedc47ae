"""Whether a machine can do something: found by trying, with one line in the log where it cannot."""

from __future__ import annotations

import logging
from collections.abc import Callable

LONGEST = 200  # of an error in a line of a log
log = logging.getLogger(__name__)


def works(attempt: Callable[[], bool], otherwise: str) -> bool:
    """What an attempt says of itself; False, and a line that begins with `otherwise`, where it fails."""
    try:
        return attempt()
    except Exception as error:  # no compiler, no such module or function, an architecture unknown
        log.warning("%s: %s", otherwise, first_line(error))
        return False


def first_line(error: Exception) -> str:
    """As much of an error as fits into a line."""
    return str(error).partition("\n")[0][:LONGEST]
