"""What there is to say of a run at a moment, from its events and its jobs' files; how it is said is others' matter."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pagboost.planning.watching import logs
from pagboost.planning.watching.estimates import estimate, remaining
from pagboost.planning.watching.state import Job, Run, Status

GROWING = 150.0  # seconds: a job's log that was written within so many belongs to one that runs (a line a minute)


@dataclass(frozen=True)
class Under:
    """A job under way: for how many seconds, what its log says last of progress, the seconds it has left if known.

    share: in [0, 1]; began: whether its log is there (a cluster's job may wait for its turn). usual: whether the time
    left is what such jobs take, and not what its log says. growing: whether its log was written lately.
    """

    name: str
    rule: str
    log: str | None
    seconds: float
    label: str = ""
    amount: str = ""
    share: float | None = None
    left: float | None = None
    usual: bool = False
    began: bool = True
    growing: bool = True


@dataclass(frozen=True)
class Failure:
    """A job that failed, its log and the reason in one line."""

    name: str
    log: str | None
    reason: str


@dataclass(frozen=True)
class Snapshot:
    """A run at a moment. state: running, done, failed, stopped, killed; left: seconds; untimed: jobs that are no part
    of `left`, as no such job was timed yet; there, files: how many of the targets' files there are, of how many."""

    state: str
    seconds: float
    total: int
    done: int
    waiting: int
    blocked: int
    running: Sequence[Under]
    failed: Sequence[Failure]
    left: float | None
    untimed: int
    there: int
    files: int
    missing: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """For programs; seconds are rounded."""
        return _rounded(dataclasses.asdict(self))


def snapshot(run: Run, now: float, alive: bool = True, files: bool = True) -> Snapshot:
    """The run at `now` (seconds of the epoch). alive: whether its process is; files: whether to look which there are.

    Paths of the journal are from the folder that the run works in.
    """
    working = run.ended is None and alive
    moment = now if working else (run.ended or now)
    under = {job.id: _under(run, job, moment) for job in run.of(Status.RUNNING)}
    left, untimed = remaining(run, {name: one.left for name, one in under.items()}) if working else (None, 0)
    done, failed, blocked = len(run.of(Status.DONE)), run.of(Status.FAILED), len(run.blocked())
    total = max(len(run.jobs), run.plan.get("total", 0))
    wanted = [*run.plan.get("kept", []), *(file for job in run.jobs.values() for file in job.files)] if files else []
    missing = [file for file in wanted if not os.path.exists(_place(run, file))]
    return Snapshot(
        state=_state(run, alive),
        seconds=moment - run.begun,
        total=total,
        done=done,
        waiting=total - done - len(under) - len(failed) - blocked,
        blocked=blocked,
        running=sorted(under.values(), key=lambda one: -one.seconds),
        failed=[Failure(job.name, job.log, job.reason) for job in failed],
        left=left,
        untimed=untimed,
        there=len(wanted) - len(missing),
        files=len(wanted),
        missing=missing,
    )


def _state(run: Run, alive: bool) -> str:
    if run.ended is None:
        return "running" if alive else "killed"
    if run.success:
        return "done"
    return "failed" if run.of(Status.FAILED) else "stopped"


def _under(run: Run, job: Job, now: float) -> Under:
    started = job.started or now
    seconds = max(0.0, now - started)
    path = job.log and _place(run, job.log)
    at = logs.written(path) if path else None
    own = {"name": job.name, "rule": job.rule, "log": job.log, "seconds": seconds}
    own |= {"began": at is not None and at >= started - 1, "growing": at is not None and now - at < GROWING}
    line = logs.last_progress(path) if own["began"] else None
    usual = estimate(run, job)
    by_usual = None if usual is None else max(0.0, usual - seconds)
    if line is None:
        return Under(**own, left=by_usual, usual=True, share=usual and min(seconds / usual, 0.99))
    told = line.told
    whole = told.left if told.left is not None else (line.at - started) * (1 - told.share) / max(told.share, 1e-9)
    by_log = max(0.0, whole - (now - line.at))
    if job.earlier is not None and by_usual > by_log:  # a log tells of one loop, and a job may have several
        return Under(**own, label=told.label, amount=told.amount, share=told.share, left=by_usual, usual=True)
    return Under(**own, label=told.label, amount=told.amount, share=told.share, left=by_log)


def _place(run: Run, file: str) -> str:
    return os.path.join(run.plan.get("folder", ""), file)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return round(value, 2) if isinstance(value, float) else value
