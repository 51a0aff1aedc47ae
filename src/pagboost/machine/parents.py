"""A job ends with the Snakemake that started it, however that ended: else a rerun would compute beside its orphans."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
import time

VARIABLE = "PAGBOOST_PARENT"  # the process that jobs are started by: "pid/start"
PATIENCE = 20.0  # seconds between asking this process to end and ending it

log = logging.getLogger(__name__)


def announce() -> None:
    """Name this process to all that is started from here."""
    if (when := started(os.getpid())) is not None:
        os.environ[VARIABLE] = f"{os.getpid()}/{when}"


def watch() -> None:
    """End this process, as SIGTERM does, once the announced one is gone; nowhere but on Linux."""
    pid, _, when = os.environ.get(VARIABLE, "").partition("/")
    if not (pid.isdecimal() and when and hasattr(os, "pidfd_open")):
        return
    try:
        parent = os.pidfd_open(int(pid))
    except OSError:
        parent = None
    if parent is not None and started(int(pid)) not in (when, None):
        os.close(parent)
        parent = None
    threading.Thread(target=_outlive, args=(parent, pid), daemon=True, name="parent").start()


def _outlive(parent: int | None, pid: str) -> None:
    if parent is not None:
        select.select([parent], [], [])
    log.error("what started this job (process %s) is gone: this ends too", pid)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(128 + signal.SIGTERM)


def started(pid: int) -> str | None:
    """When a process started, in the system's ticks: with its number it names a process once and for all."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[19]
    return None
