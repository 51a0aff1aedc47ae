"""How far a job is: a line in its log about every minute, and what such a line says to its reader. Imports no torch."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
SOON, EVERY = 5.0, 60.0  # seconds before the first line, and between lines in the long run
TIME = r"(?:\d\d:\d\d:\d\d )?"  # in front of every line of a log
COUNT = re.compile(TIME + r"(?P<label>.+?): (?:iteration )?(?P<done>[\d,]+) of (?P<total>[\d,]+)\b(?P<rest>.*)")
SHARE = re.compile(TIME + r"(?P<label>.+?): (?P<amount>.+), (?P<share>\d+) %(?P<rest>.*)")
LEFT = re.compile(r"about (?:(?P<h>\d+) h ?)?(?:(?P<min>\d+) min ?)?(?:(?P<s>\d+) s ?)?left")


@dataclass(frozen=True)
class Told:
    """What a line says: of what, how much for people ("1,200 of 5,000"), the share in [0, 1], seconds left if said."""

    label: str
    amount: str
    share: float
    left: float | None


def told(items: Iterable[T], label: str, total: int | None, first: int = 0) -> Iterator[T]:
    """The items; while they are asked for, how many are done is logged: after seconds at first, then every minute.

    total: how many there are in the end, with the `first` ones that were done before; None: not known.
    """
    start = time.monotonic()
    wait = SOON
    due = start + wait
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now >= due and first + done != total:
            log.info("%s", line(label, first + done, total, (now - start) / done))
            wait = min(2 * wait, EVERY)
            due = now + wait


def line(label: str, done: int, total: int | None, seconds_each: float) -> str:
    """What a log says of so many that are done."""
    if total is None:
        return f"{label}: {done:,} so far"
    return f"{label}: {done:,} of {total:,}, about {duration(max(0, total - done) * seconds_each)} left"


def read(text: str) -> Told | None:
    """What a line of a log says of progress: of counts, a training's iterations, a download's bytes; else None."""
    if found := COUNT.match(text):
        done, total = (int(found[key].replace(",", "")) for key in ("done", "total"))
        if not 0 < done <= total:
            return None
        return Told(found["label"], f"{done:,} of {total:,}", done / total, _left(found["rest"]))
    if found := SHARE.match(text):
        return Told(found["label"], found["amount"], min(int(found["share"]), 100) / 100, _left(found["rest"]))
    return None


def _left(text: str) -> float | None:
    found = LEFT.search(text)
    return found and sum(int(found[unit] or 0) * size for unit, size in (("h", 3600), ("min", 60), ("s", 1)))


def duration(seconds: float) -> str:
    """Seconds for people: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
