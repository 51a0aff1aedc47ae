"""Two habits of Snakemake's scheduler that runs do without: a limit on starting jobs, a lock that SIGTERM waits for."""

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


def free_sigterm(workflow: Any) -> bool:
    """Let SIGTERM end a run whenever it comes; whether there was anything to change.

    Snakemake's handler (9.3 to 9.27) takes a lock that the interrupted code may hold, as it does whenever it looks at
    jobs that have finished: then both wait for ever. Here a thread of its own takes it, once it is free. A handler that
    is not Snakemake's stays.
    """
    ends = getattr(getattr(workflow, "scheduler", None), "exit_gracefully", None)
    if ends is None or signal.getsignal(signal.SIGTERM) != ends:
        return False
    signal.signal(signal.SIGTERM, lambda *_: _thread.start_new_thread(ends, ()))
    return True
