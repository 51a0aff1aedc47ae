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
    """End this process, as SIGTERM does, once what started it is gone (`ends`); nowhere but on Linux."""
    if (waited := ends()) is not None:
        threading.Thread(target=_outlive, args=(waited,), daemon=True, name="parent").start()


def ends() -> list[int] | None:
    """What is ready (for select) once what started this job is gone: the announced process, or the shell between it
    and this one. None: nobody is announced. Raises nothing; one that is gone already is ready at once.
    """
    pid, _, when = os.environ.get(VARIABLE, "").partition("/")
    if not (pid.isdecimal() and when and hasattr(os, "pidfd_open")):
        return None
    announced = handle(int(pid))
    if announced is None or started(int(pid)) not in (when, None):
        return [_ready()]
    shell = handle(os.getppid()) if os.getppid() > 1 else None
    return [announced] if shell is None else [announced, shell]


def handle(pid: int) -> int | None:
    """What is ready (for select) once a process has ended; None: there is no such process."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _ready() -> int:
    reader, writer = os.pipe()
    os.close(writer)
    return reader


def _outlive(waited: list[int]) -> None:
    select.select(waited, [], [])
    log.error("what started this job is gone: this ends too")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(128 + signal.SIGTERM)


def works_for(pid: int) -> None:
    """Name the process whose work this one does (machine.warm): no file appears once it is gone.

    Snakemake has cleared up behind it by then, and would take the file for another run's.
    """
    from pagboost.files import whole

    asker = handle(pid)
    asker = _ready() if asker is None else asker

    def check() -> None:
        if select.select([asker], [], [], 0)[0]:
            raise KeyboardInterrupt

    whole.ask_first(check)


def started(pid: int) -> str | None:
    """When a process started, in the system's ticks: with its number it names a process once and for all."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[19]
    return None
