"""What a job's log says: how far the job is, and why it failed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pagboost import progress

LAST = 8192  # bytes of a log's end that are looked at
SIGNALLED = 128  # a shell's exit status for a command that a signal ended is this and the signal's number
# what an exception of Snakemake says of how a shell command ended
STATUS = re.compile(r"exit status (?P<status>\d+)|died with <Signals\.\w+: (?P<signal>\d+)>")
CLUSTER = re.compile(r"status is: '?(?P<state>[A-Z_]+)")
CLUSTER_STATES = {
    "OUT_OF_MEMORY": "the cluster ended it: out of memory",
    "TIMEOUT": "the cluster ended it: out of time",
    "CANCELLED": "the cluster ended it: cancelled",
}
INTERRUPT, KILL = 2, 9
ROOM = 1 << 16  # bytes: a disk that has less is full
INTERRUPTED = "interrupted"  # as scripts say it too


@dataclass(frozen=True)
class Line:
    """Progress as a log tells it, and when it was written (seconds of the epoch)."""

    told: progress.Told
    at: float


def tail(path: str | Path) -> list[str]:
    """The last lines of a file that are not blank; none where it is missing or empty."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LAST))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.replace("\r", "\n").splitlines() if line.strip()]


def written(path: str | Path) -> float | None:
    """When a file was last written (seconds of the epoch); None where it is missing."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def last_progress(path: str | Path) -> Line | None:
    """The last line about progress in a log, if there is one."""
    for text in reversed(tail(path)):
        if told := progress.read(text):
            return Line(told, written(path) or 0.0)
    return None


def reason(path: str | Path | None, said: str = "") -> str:
    """Why a job failed, in one line: its own error, else how it ended, as Snakemake `said`, else its last line."""
    lines = tail(path) if path else []
    last = lines[-1] if lines else ""
    if last.startswith("error: "):
        return last
    ended = how_it_ended(said)
    if ended and not ended.startswith("exit status"):
        return ended
    if CLUSTER_STATES.get(state := _cluster_state(said)):
        return CLUSTER_STATES[state]
    if told := progress.read(last):  # that it came so far is no reason
        last = f"{ended or 'ended without a word'} at {told.label}: {told.amount}"
    why = last or ended or (f"its log is {'empty' if path and written(path) is not None else 'missing'}")
    return f"{why}; the disk of its log is full" if path and full(path) else why


def full(path: str | Path) -> bool:
    """Whether the disk of a file is full: what a log on it says, if anything, is not why its job failed."""
    try:
        disk = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM


def how_it_ended(said: str) -> str | None:
    """What an exception of Snakemake says of a command's end: by which signal, or with which exit status."""
    found = None
    for found in STATUS.finditer(said):  # noqa: B007  the last one: a command's own text comes before
        pass
    if found is None:
        return None
    signal = int(found["signal"]) if found["signal"] else int(found["status"]) - SIGNALLED
    if signal <= 0:
        return f"exit status {found['status']}"
    if signal == INTERRUPT:
        return INTERRUPTED
    return f"killed by signal {signal}{': out of memory?' if signal == KILL else ''}"


def _cluster_state(said: str) -> str:
    found = CLUSTER.search(said)
    return found["state"] if found else ""
