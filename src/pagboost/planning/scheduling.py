"""Two habits of Snakemake's scheduler that runs are better off without: a limit on starts, a deadlock on SIGTERM."""

from __future__ import annotations

import _thread
import signal
from typing import Any

DEFAULT = (100, 1)  # jobs, seconds: what Snakemake sets unless a user does


def lift_default_rate_limit(workflow: Any) -> bool:
    """Take the default limit off a workflow whose jobs run here; whether it was there to be taken off.

    With a limit, the scheduler starts a thread after every round that asks for another round a second later, and every
    job that finishes adds one such chain (Snakemake 9.3 to 9.27; its pull request 3744): its own time grows with the
    square of the number of jobs, and on a slow machine threads run out. A limit that a user chose stays, and so does
    any on a cluster, which it protects. These attributes are no interface: where one is gone, nothing is done.
    """
    scheduler = getattr(workflow, "scheduler", None)
    settings = getattr(workflow, "scheduling_settings", None)
    limit = getattr(settings, "max_jobs_per_timespan", None)
    if getattr(scheduler, "job_rate_limiter", None) is None or not getattr(workflow, "local_exec", False):
        return False
    if (getattr(limit, "max_jobs", None), getattr(limit, "timespan", None)) != DEFAULT:
        return False
    scheduler.job_rate_limiter = None
    return True


def terminate_apart(workflow: Any) -> bool:
    """Have SIGTERM handled in a thread of its own; whether it is Snakemake's scheduler that handles it.

    The scheduler's handler (Snakemake 9.27) takes a lock that the thread which it interrupts may hold: always while
    files of a job that has finished are awaited, on a cluster for as long as latency-wait. It would then wait for
    itself for ever.
    """
    before = signal.getsignal(signal.SIGTERM)
    scheduler = getattr(workflow, "scheduler", None)
    if scheduler is None or getattr(before, "__self__", None) is not scheduler:
        return False
    # threading's own start takes locks too, which the interrupted thread may hold as well
    signal.signal(signal.SIGTERM, lambda *about: _thread.start_new_thread(before, about))
    return True
