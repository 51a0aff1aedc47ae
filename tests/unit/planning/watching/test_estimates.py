"""How long the rest takes."""

from __future__ import annotations

import time

import pytest

from pagboost.planning.watching.estimates import estimate, remaining, seconds_of
from pagboost.planning.watching.state import Run

from .conftest import BEGUN, event, job, plan

HEADER = "s\th:m:s\tmax_rss\n"


def test_seconds_of_a_benchmark(write):
    path = write("a.tsv", HEADER + "12.5\t0:00:12\t-\n", after=100)
    assert seconds_of(path) == 12.5
    assert seconds_of(path, since=BEGUN + 99) == 12.5
    assert seconds_of(path, since=BEGUN + 101) is None
    assert seconds_of(write("b.tsv", HEADER + "1\t-\t-\n3\t-\t-\n")) == 2  # repeated
    assert seconds_of(write("c.tsv", "h:m:s\ts\n0:00:07\t7\n")) == 7


@pytest.mark.parametrize("text", ["", "s\n", "h:m:s\n0:01\n", HEADER + "soon\n"])
def test_what_is_no_benchmark_says_nothing(write, text):
    assert seconds_of(write("a.tsv", text)) is None
    assert seconds_of("missing.tsv") is None
    assert seconds_of(None) is None


def test_a_job_takes_what_it_took_or_what_its_rules_jobs_take():
    run = Run([plan(job("a", earlier=3.0), job("b"), job("c", rule="table"), times={"train": [10, 20, 60]})])
    assert [estimate(run, one) for one in run.jobs.values()] == [3, 20, None]
    run.take(event("started", "b", 1))
    run.take(event("finished", "b", 2, seconds=15.0))
    run.jobs["a"].earlier = None
    assert estimate(run, run.jobs["a"]) == 17.5


def left(*jobs: dict, cores: int = 2, done: float = 0.0, **other) -> tuple[float | None, int]:
    return remaining(Run([plan(*jobs, cores=cores, **other)]), {})


def test_at_first_nothing_is_known():
    assert left(job("a"), job("b"), job("all", rule="all", earlier=0.0)) == (None, 2)


def test_what_is_not_known_is_counted():
    assert left(job("a", earlier=5.0), job("b", rule="table")) == (5, 1)


def test_jobs_share_the_cores():
    jobs = [job(str(i), earlier=10.0) for i in range(5)]
    assert [left(*jobs, cores=cores)[0] for cores in (1, 2, 5, 9)] == [50, 30, 10, 10]
    wide = [job(str(i), earlier=10.0, takes={"_cores": 4}) for i in range(2)]
    assert [left(*wide, cores=cores)[0] for cores in (2, 4, 8)] == [20, 20, 10]  # of 2 cores it gets 2


def test_jobs_share_what_else_is_limited():
    jobs = [job(str(i), earlier=10.0, takes={"_cores": 1, "gpu": 1}) for i in range(4)]
    assert remaining(Run([plan(*jobs, cores=8) | {"room": {"_cores": 8, "gpu": 2}}]), {}) == (20, 0)
    assert remaining(Run([plan(*jobs) | {"room": {}}]), {}) == (10, 0)  # a cluster without a limit


def test_jobs_wait_for_those_before():
    jobs = [
        job("a", earlier=10.0),
        job("b", earlier=7.0, needs=["a"]),
        job("c", earlier=12.0),
        job("d", needs=["gone"]),
    ]
    assert left(*jobs, times={"train": [1.0]}) == (17, 0)


@pytest.mark.parametrize(("priority", "seconds"), [(0, 50), (20, 40)])
def test_what_others_wait_for_goes_first_by_priority(priority, seconds):
    jobs = [job("a", earlier=10.0), job("d", earlier=10.0), job("b", earlier=10.0, priority=priority)]
    assert left(*jobs, job("c", earlier=30.0, needs=["b"], priority=priority)) == (seconds, 0)


def test_what_runs_has_its_own_time_left():
    run = Run([plan(job("a"), job("b", earlier=5.0, needs=["a"])), event("started", "a", 0)])
    assert remaining(run, {"a": 20.0}) == (25, 0)
    assert remaining(run, {"a": None}) == (5, 1)


def test_what_cannot_run_any_more_takes_no_time():
    run = Run([plan(job("a"), job("b", earlier=5.0, needs=["a"]), job("c", earlier=2.0)), event("failed", "a", 0)])
    assert remaining(run, {}) == (2, 0)


def test_thousands_of_jobs_take_no_time_to_estimate():
    jobs = [job(str(i), earlier=1.0, needs=[str(i - 500)] if i >= 500 else []) for i in range(3000)]
    start = time.process_time()
    assert left(*jobs, cores=64)[0] == pytest.approx(3000 / 64, rel=0.1)
    assert time.process_time() - start < 5


def test_thousands_that_are_ready_at_once_take_no_time_either():
    """The live view asks twice a second."""
    jobs = [job(str(i), takes={"_cores": 1, "gpu": i % 2}) for i in range(10_000)]
    run = Run([plan(*jobs, times={"train": [1.0, 2.0, 3.0]}) | {"room": {"_cores": 4, "gpu": 1}}])
    start = time.process_time()
    assert remaining(run, {}) == (10_000, 0)  # the half that need the GPU run one after the other
    assert time.process_time() - start < 1


def test_what_there_is_no_room_for_is_passed_by():
    on_gpu = [job(name, earlier=10.0, takes={"_cores": 1, "gpu": 1}) for name in "ab"]
    jobs = [*on_gpu, job("c", earlier=10.0, takes={"_cores": 1, "gpu": 0})]
    assert remaining(Run([plan(*jobs) | {"room": {"_cores": 2, "gpu": 1}}]), {}) == (20, 0)
