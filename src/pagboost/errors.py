"""The one exception a user is meant to read, and how it names many things."""

from __future__ import annotations

from collections.abc import Iterable


class InputError(ValueError):
    """Bad input from outside: the message is one line that names the file or key, the value and what was expected."""


def listed(names: Iterable[object], limit: int = 10) -> str:
    """Names in one line, the first `limit` of them: "a, b, c, … (2,990 more)"."""
    words = [str(name) for name in names]
    more = [f"… ({len(words) - limit:,} more)"] if len(words) > limit else []
    return ", ".join(words[:limit] + more)
