"""What has become of a run's jobs: its journal's events, taken in one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pagboost.planning.watching.journal import Event


class Status(Enum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Job:
    """A job of the plan: its rule's name and message, its files, the jobs before it, what it takes of the run's room.

    earlier: seconds it took in an earlier run. started, seconds: of this run. Times are of the epoch.
    """

    id: str
    rule: str
    name: str
    files: Sequence[str] = ()
    log: str | None = None
    benchmark: str | None = None
    needs: Sequence[str] = ()
    takes: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    earlier: float | None = None
    status: Status = Status.WAITING
    started: float | None = None
    seconds: float | None = None
    reason: str = ""

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Job:
        """One as the journal describes it."""
        return cls(**{key: value for key, value in described.items() if key in DESCRIBED})


DESCRIBED = ("id", "rule", "name", "files", "log", "benchmark", "needs", "takes", "priority", "earlier")


class Run:
    """A run, as far as its events tell: "plan" first, then "started", "finished", "failed" of jobs, and "end"."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.plan: Event = {}
        self.jobs: dict[str, Job] = {}
        self.times: dict[str, list[float]] = {}  # by rule: seconds that jobs took
        self.ended: float | None = None
        self.success = False
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        """Take in what happened next. Of jobs that are not in the plan only what events say is known."""
        kind, when = event["event"], event["time"]
        if kind == "plan":
            self.plan = {key: value for key, value in event.items() if key != "jobs"}
            self.jobs = {job["id"]: Job.of(job) for job in event.get("jobs", [])}
            self.times = {rule: list(times) for rule, times in event.get("times", {}).items()}
        elif kind == "counted":  # where Snakemake tells no more of the plan
            self.plan = {**self.plan, "total": event["total"]}
        elif kind == "end":
            self.ended, self.success = when, event["success"]
        else:
            job = self._known(event)
            if kind == "started":
                job.status, job.started, job.seconds, job.reason = Status.RUNNING, when, None, ""
            elif kind == "finished":
                job.status, job.seconds = Status.DONE, event.get("seconds")
                if job.seconds is not None:
                    self.times.setdefault(job.rule, []).append(job.seconds)
            elif kind == "failed":
                job.status, job.reason = Status.FAILED, event.get("reason", "")
            elif kind == "put back":  # its group failed before it began, or the whole run was interrupted
                job.status, job.started, job.reason = Status.WAITING, None, ""

    def _known(self, event: Event) -> Job:
        name = event["id"]
        if name not in self.jobs:
            self.jobs[name] = Job.of({"id": name, "rule": "", "name": f"job {name}", **event.get("job", {})})
        return self.jobs[name]

    @property
    def begun(self) -> float:
        """When the run began (seconds of the epoch)."""
        return self.plan.get("time", 0.0)

    def of(self, status: Status) -> list[Job]:
        """The jobs that are there, in the plan's order."""
        return [job for job in self.jobs.values() if job.status is status]

    def blocked(self) -> set[str]:
        """Waiting jobs that cannot run any more: a job that they need, however far upstream, has failed."""
        failed = {job.id for job in self.of(Status.FAILED)}
        found: set[str] = set()
        waiting = self.of(Status.WAITING)
        while failed:
            failed = {job.id for job in waiting if job.id not in found and not failed.isdisjoint(job.needs)}
            found |= failed
        return found
