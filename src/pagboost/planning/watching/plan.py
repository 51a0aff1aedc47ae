"""What a run is to do, as Snakemake has planned it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

from pagboost.planning.watching.estimates import seconds_of
from pagboost.planning.watching.journal import Event, here

GIGANTIC = sys.maxsize // 2  # Snakemake's "no limit"


def plan_of(workflow: Any) -> Event:
    """What a run is to do, as its journal's first event: its jobs, what they took before, what limits them.

    What another Snakemake calls otherwise is left out: these attributes are no interface.
    """
    plan: dict[str, Any] = {"event": "plan", "time": time.time(), "folder": os.getcwd(), **here()}
    with contextlib.suppress(Exception):
        plan["room"] = _limits(workflow.global_resources)
    with contextlib.suppress(Exception):
        dag = workflow.dag
        wanted = list(dag.needrun_jobs())
        plan["jobs"] = [_job(dag, job, plan.get("room", {})) for job in wanted]
        plan["known"] = True
        plan["kept"] = [file for job in set(dag.jobs) - set(wanted) for file in lasting(job.output)]
        plan["times"] = {}
        for job in dag.jobs:
            if (seconds := seconds_of(job.benchmark)) is not None:
                plan["times"].setdefault(job.rule.name, []).append(round(seconds, 3))
    return plan


def _job(dag: Any, job: Any, room: dict[str, int]) -> dict[str, Any]:
    described = {
        "id": str(dag.jobid(job)),
        "rule": job.rule.name,
        "name": job.message or job.rule.name,
        "files": lasting(job.output),
        "log": next(iter(texts(job.log)), None),
        "benchmark": job.benchmark and str(job.benchmark),
        "needs": [str(dag.jobid(other)) for other in dag.dependencies[job]],
        "earlier": seconds_of(job.benchmark) if job.output or job.log else 0.0,  # a target only names files
    }
    with contextlib.suppress(Exception):
        takes = _limits(job.scheduler_resources)
        described |= {"takes": {name: takes[name] for name in room if name in takes}, "priority": int(job.priority)}
    return described


def _limits(resources: Any) -> dict[str, int]:
    """The countable ones of Snakemake's resources; "no limit" is none."""
    values = {name: getattr(value, "value", value) for name, value in resources.items()}
    return {name: value for name, value in values.items() if isinstance(value, int) and value < GIGANTIC}


def texts(files: Iterable[Any]) -> list[str]:
    """Snakemake's files as texts."""
    return [str(file) for file in files]


def lasting(files: Iterable[Any]) -> list[str]:
    """The same without those that Snakemake deletes once they were used."""
    return texts(file for file in files if "temp" not in getattr(file, "flags", ()))
