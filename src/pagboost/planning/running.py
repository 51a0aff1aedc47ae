"""Who runs in a working folder and on a results folder: a killed Snakemake leaves its lock, and a live one keeps it.

Held by flock, which the system lets go of with the process that holds it, however that ends. Where a file system has no
such locks, Snakemake's own are all there is, as ever.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from pathlib import Path

from pagboost.errors import InputError

log = logging.getLogger(__name__)

_held: list[int] = []  # open files, as long as this process runs


def claim(folder: Path) -> None:
    """Note that a Snakemake runs in the working folder whose .snakemake is `folder`, and lift a dead one's lock.

    Every run holds the note from before it takes Snakemake's lock: if nobody holds it, whoever locked is gone.
    """
    file = _opened(folder / "pagboost" / "running")
    if file is None:
        return
    if _alone(file):
        for stale in sorted(folder.glob("locks/*.lock")):
            with contextlib.suppress(FileNotFoundError):
                stale.unlink()
                log.warning("%s: lifted, the Snakemake that held it was killed", stale)
    _share(file)


def join(folder: Path) -> None:
    """Hold the note too, in a job of a cluster: while jobs of a killed Snakemake are at work, its lock stays.

    Where the nodes' file system has locks between nodes; else a rerun would submit such jobs once more.
    """
    file = _opened(folder / "pagboost" / "running")
    if file is not None:
        _share(file)


def claim_results(folder: Path, here: Path) -> None:
    """Note that results in `folder` are made from the working folder `here`.

    Snakemake's lock is of one working folder: two, or two checkouts, would each make and remake the other's files.
    Raises InputError while a run from another working folder is under way.
    """
    file = _opened(folder / ".running")
    if file is None:
        return
    if _alone(file):
        os.truncate(file, 0)
        os.pwrite(file, f"{here}\n".encode(), 0)
    elif (other := os.pread(file, 4096, 0).decode(errors="replace").strip()) != str(here):
        os.close(file)
        raise InputError(f"results: {folder} is being made by a Snakemake in {other}, expected one that has ended")
    _share(file)


def _opened(path: Path) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # a read-only folder: Snakemake says so where it matters
        return None


def _alone(file: int) -> bool:
    """Whether no other process holds the file's lock; if so, this one does."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks on this file system
        return False
    return True


def _share(file: int) -> None:
    """Hold the file's lock beside others from now on."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH)
    _held.append(file)
