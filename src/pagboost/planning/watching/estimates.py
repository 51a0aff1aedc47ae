"""How long the rest of a run takes: from what the same jobs, and jobs of the same rules, took before."""

from __future__ import annotations

import heapq
import os
import statistics
from collections.abc import Mapping
from pathlib import Path

from pagboost.planning.watching.state import Job, Run, Status

Takes = tuple[tuple[str, int], ...]  # how much of each limited resource a job takes
TAKEN_BY_ALL = ("_cores", "_nodes")  # of which every job takes some, where they are limited


def seconds_of(benchmark: str | Path | None, since: float = 0.0) -> float | None:
    """What a benchmark file of Snakemake says a job took; None where it is missing, older than `since` or no such."""
    if not benchmark:
        return None
    try:
        if os.stat(benchmark).st_mtime < since:
            return None
        header, *rows = Path(benchmark).read_text().splitlines()
        column = header.split("\t").index("s")
        return statistics.fmean(float(row.split("\t")[column]) for row in rows)
    except (OSError, ValueError, IndexError):
        return None


def estimate(run: Run, job: Job) -> float | None:
    """Seconds a job will take: as it did before, else the median of its rule's jobs; None: not known yet."""
    return _usual(run, job.rule) if job.earlier is None else job.earlier


def _usual(run: Run, rule: str) -> float | None:
    times = run.times.get(rule)
    return statistics.median(times) if times else None


def remaining(run: Run, left: Mapping[str, float | None]) -> tuple[float | None, int]:
    """(seconds until all is done that can be, how many jobs of it are of unknown length and count as nothing).

    left: seconds, by job, of those that run. None: no job's length is known. The jobs are dealt out as Snakemake's
    greedy scheduler would: by priority, as they become ready, as long as the run's room (cores, GPUs) allows.
    """
    blocked = run.blocked()
    waiting = [job for job in run.of(Status.WAITING) if job.id not in blocked]
    usual = {rule: _usual(run, rule) for rule in {job.rule for job in waiting}}  # once for thousands of jobs
    lengths = {job.id: usual[job.rule] if job.earlier is None else job.earlier for job in waiting}
    lengths |= {job.id: left.get(job.id) for job in _running(run)}
    unknown = sum(length is None for length in lengths.values())
    if unknown and not any(lengths.values()):
        return None, unknown
    return _simulated(run, waiting, {name: length or 0.0 for name, length in lengths.items()}), unknown


def _running(run: Run) -> list[Job]:
    return run.of(Status.RUNNING)


def _simulated(run: Run, waiting: list[Job], lengths: Mapping[str, float]) -> float:
    room = {name: amount for name, amount in run.plan.get("room", {}).items() if amount > 0}
    free = dict(room)
    order = {name: place for place, name in enumerate(run.jobs)}
    unmet = {job.id: sum(need in lengths for need in job.needs) for job in waiting}
    after: dict[str, list[Job]] = {}
    for job in waiting:
        for need in job.needs:
            after.setdefault(need, []).append(job)
    jobs = list(run.jobs.values())
    # ready jobs by what they take, of which there are few kinds: who is next is seen without going through all of them
    ready: dict[Takes, list[tuple[int, int]]] = {}
    now, active = 0.0, []

    def takes(job: Job) -> Takes:
        return tuple((name, min(job.takes.get(name, 0), amount)) for name, amount in room.items())

    def offer(job: Job) -> None:
        heapq.heappush(ready.setdefault(takes(job), []), (-job.priority, order[job.id]))

    def begin(job: Job) -> None:
        for name, amount in takes(job):
            free[name] -= amount
        heapq.heappush(active, (now + lengths[job.id], order[job.id]))

    def following() -> Job | None:
        """The first of the ready jobs that there is room for."""
        if any(free.get(name, 1) <= 0 for name in TAKEN_BY_ALL):
            return None
        fitting = [heap for taken, heap in ready.items() if heap and all(free[name] >= n for name, n in taken)]
        return jobs[heapq.heappop(min(fitting))[1]] if fitting else None

    for job in waiting:
        if not unmet[job.id]:
            offer(job)
    for job in _running(run):
        begin(job)
    while active or any(ready.values()):
        while (job := following()) is not None:
            begin(job)
        now, place = heapq.heappop(active)
        for name, amount in takes(jobs[place]):
            free[name] += amount
        for job in after.get(jobs[place].id, []):
            unmet[job.id] -= 1
            if not unmet[job.id]:
                offer(job)
    return now
