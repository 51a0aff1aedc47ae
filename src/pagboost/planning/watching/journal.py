"""A run's journal: what was planned, and what became of each job, line by line; any process may read it meanwhile.

One file for each run lies in the results' own folder, so that another terminal, or a cluster's login node, finds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pagboost.machine import parents

FOLDER = ".runs"
KEPT = 10  # journals of earlier runs
BEAT = 30.0  # seconds between signs of life
SILENCE = 4 * BEAT  # without one for so long, a run on another machine is taken for dead

Event = Mapping[str, Any]


class Journal:
    """The journal of the run that this process is, in the results folder `results`.

    A folder that takes no file, or a disk that is full, ends the journal and not the run.
    """

    def __init__(self, results: Path) -> None:
        self.file: int | None = None
        folder = results / FOLDER
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            for old in journals(results)[:-KEPT]:
                old.unlink(missing_ok=True)
            name = f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.jsonl"
            self.file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def write(self, event: Event) -> None:
        """Add an event."""
        self._do(lambda file: os.write(file, json.dumps(event).encode() + b"\n"))

    def beat(self) -> None:
        """A sign of life: the file's time."""
        self._do(os.utime)

    def close(self) -> None:
        """Nothing more is written."""
        self._do(os.close)
        self.file = None

    def _do(self, what: Callable[[int], object]) -> None:
        if self.file is not None:
            try:
                what(self.file)
            except OSError:
                self.file = None


def here() -> dict[str, Any]:
    """This process, so that others can tell whether it lives."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "born": parents.started(os.getpid())}


def journals(results: Path) -> list[Path]:
    """The journals in a results folder, the oldest first."""
    return sorted((results / FOLDER).glob("*.jsonl"))


def read(path: Path) -> list[Event]:
    """The events of a journal. A line that is no event, as of a disk that was full, is left out."""
    events = []
    for line in path.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and "event" in event:
                events.append(event)
    return events


def alive(path: Path, plan: Event, now: float) -> bool:
    """Whether the process that keeps a journal still runs: by its number here, by its signs of life elsewhere."""
    if plan.get("host") == socket.gethostname() and plan.get("born") is not None:
        return parents.started(int(plan["pid"])) == plan["born"]
    return now - path.stat().st_mtime < SILENCE
