"""What events make of a run."""

from __future__ import annotations

from pagboost.planning.watching.state import Run, Status

from .conftest import event, job, plan


def statuses(run: Run) -> dict[str, str]:
    return {name: one.status.value for name, one in run.jobs.items()}


def test_jobs_go_from_waiting_to_done_or_failed():
    run = Run([plan(job("a"), job("b"), job("c"), job("d"))])
    for happened in (event("started", "a", 1), event("started", "b", 1), event("started", "c", 2)):
        run.take(happened)
    run.take(event("finished", "a", 11, seconds=9.5))
    run.take(event("failed", "b", 12, reason="error: x"))
    assert statuses(run) == {"a": "done", "b": "failed", "c": "running", "d": "waiting"}
    assert run.times == {"train": [9.5]} and run.jobs["b"].reason == "error: x"
    assert run.ended is None
    run.take({"event": "end", "time": 1_000_020.0, "success": False})
    assert run.ended == 1_000_020 and not run.success


def test_a_job_that_is_tried_again_has_not_failed():
    run = Run([plan(job("a")), event("started", "a", 1), event("failed", "a", 2, reason="error: x")])
    run.take(event("started", "a", 3))
    assert (run.jobs["a"].status, run.jobs["a"].reason) == (Status.RUNNING, "")


def test_what_a_failed_job_was_for_cannot_run():
    jobs = [job("a"), job("b", needs=["a"]), job("c", needs=["b"]), job("d"), job("e", needs=["d"])]
    run = Run([plan(*jobs), event("started", "a", 1)])
    assert run.blocked() == set()
    run.take(event("failed", "a", 2))
    assert run.blocked() == {"b", "c"}
    run.take(event("started", "a", 3))
    assert run.blocked() == set()


def test_without_a_plan_only_what_happens_is_known():
    run = Run(
        [plan(known=False), event("started", "7", 1, job={"rule": "train", "name": "Training edm", "log": "a.log"})]
    )
    run.take({"event": "counted", "time": 0, "total": 40})
    assert (run.jobs["7"].name, run.jobs["7"].log, run.plan["total"]) == ("Training edm", "a.log", 40)
    run.take(event("finished", "8", 2))
    assert run.jobs["8"].status is Status.DONE


def test_a_job_of_a_group_that_did_not_begin_waits_again():
    run = Run([plan(job("a")), event("started", "a", 1), event("put back", "a", 2)])
    assert run.jobs["a"].status is Status.WAITING
