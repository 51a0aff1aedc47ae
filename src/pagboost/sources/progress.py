"""How far a download is: a bar with an ETA on a terminal, a line about every minute in a log."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType

from tqdm import tqdm

from pagboost.progress import EVERY, duration

log = logging.getLogger(__name__)


def amount(count: float) -> str:
    """Bytes for people, three digits or so: 999 B, 12.3 MB, 1.66 GB (decimal units)."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {unit}" if count < 10 * size else f"{count / size:,.1f} {unit}"
    return f"{count:.0f} B"


def amounts(there: int, total: int | None) -> str:
    """How much is there, and of how much where that is known."""
    return amount(there) if total is None else f"{amount(there)} of {amount(total)}"


class Progress:
    """A download's progress, a context: `name`, what is `there` at the start, and the `total` or None (bytes)."""

    def __init__(self, name: str, there: int, total: int | None) -> None:
        self.name, self.there, self.total = name, there, total
        self.first, self.start = there, time.monotonic()
        self.said = self.start
        shown = sys.stderr is not None and sys.stderr.isatty()
        self.bar = tqdm(
            desc=name, initial=there, total=total, unit="B", unit_scale=True, leave=False, disable=not shown
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.close()

    def add(self, count: int) -> None:
        """So many bytes more are there."""
        self.there += count
        self.bar.update(count)
        now = time.monotonic()
        if self.bar.disable and now - self.said >= EVERY:
            self.said = now
            log.info("%s", self.line(now - self.start))

    def line(self, seconds: float) -> str:
        """What a log says after so many seconds."""
        rate = (self.there - self.first) / max(seconds, 1e-9)
        text = f"{self.name}: {amounts(self.there, self.total)}, {amount(rate)}/s"
        if not self.total or not rate:
            return text
        left = max(0, self.total - self.there) / rate
        return f"{text}, {100 * self.there / self.total:.0f} %, about {duration(left)} left"
