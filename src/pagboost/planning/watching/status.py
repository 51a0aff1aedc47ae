"""The status of a scale's runs from their journals: of those under way, else of the last one."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.planning.watching import journal, words
from pagboost.planning.watching.snapshot import Snapshot, snapshot
from pagboost.planning.watching.state import Run

TALL = 1000  # lines: what is printed once is not cut
WIDE = 120  # columns, where no terminal says how many there are


@dataclass(frozen=True)
class Seen:
    """A run and how it stands: who makes it, since when (seconds of the epoch)."""

    who: str
    folder: str
    begun: float
    shot: Snapshot

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"process": self.who, "folder": self.folder, "begun": round(self.begun, 2), **self.shot.as_json()}


def look(results: Path, now: float | None = None) -> list[Seen]:
    """The runs on a results folder that are under way at `now` (seconds of the epoch); where none is, the last one.

    Raises InputError where no run has left a journal.
    """
    now = time.time() if now is None else now
    found = []
    for path in journal.journals(results):
        run = Run(journal.read(path))
        if not run.plan:  # begun this moment, or on a full disk
            continue
        alive = journal.alive(path, run.plan, now)
        found.append((run, alive))
    if not found:
        raise InputError(f"{results}: no run has left a journal there, expected the results of a scale that was run")
    chosen = [(run, alive) for run, alive in found if alive and run.ended is None] or found[-1:]
    return [_seen(run, alive, now) for run, alive in chosen]


def _seen(run: Run, alive: bool, now: float) -> Seen:
    who = f"process {run.plan.get('pid')} on {run.plan.get('host')}"
    return Seen(who, run.plan.get("folder", ""), run.begun, snapshot(run, now, alive))


def show(runs: Sequence[Seen]) -> None:
    """Print how runs stand."""
    from rich.console import Console
    from rich.text import Text

    from pagboost.planning.watching.view import drawn

    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    for one in runs:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.begun))
        console.print(Text(f"Snakemake in {one.folder}, {one.who}, since {since}", style="dim"))
        console.print(drawn(one.shot, TALL))
        for job in one.shot.running:
            if one.shot.state == "killed" and job.growing:
                console.print(Text(f"{job.name}: its log still grows ({job.log})", style="yellow"))
        console.print(Text(words.files(one.shot)))
