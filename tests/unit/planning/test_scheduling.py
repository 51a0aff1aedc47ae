"""The default limit on starting jobs goes, a user's and a cluster's stay; SIGTERM never waits for itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pagboost.planning.scheduling import lift_default_rate_limit, terminate_apart


def workflow(max_jobs=100, timespan=1, local_exec=True):
    limit = SimpleNamespace(max_jobs=max_jobs, timespan=timespan)
    return SimpleNamespace(
        scheduler=SimpleNamespace(job_rate_limiter="limiter"),
        scheduling_settings=SimpleNamespace(max_jobs_per_timespan=limit),
        local_exec=local_exec,
    )


@pytest.mark.parametrize(
    ("given", "lifted"),
    [
        (workflow(), True),
        (workflow(max_jobs=10), False),
        (workflow(timespan=60), False),
        (workflow(local_exec=False), False),
        (SimpleNamespace(), False),
    ],
)
def test_only_the_default_of_a_local_run_is_lifted(given, lifted):
    assert lift_default_rate_limit(given) is lifted
    if hasattr(given, "scheduler"):
        assert given.scheduler.job_rate_limiter == (None if lifted else "limiter")


def test_snakemake_s_default_is_the_one_that_is_lifted():
    """Parsed by Snakemake's own command line, into its own settings."""
    from snakemake.cli import get_argument_parser
    from snakemake.settings.types import SchedulingSettings

    args = get_argument_parser().parse_args([])
    given = workflow()
    given.scheduling_settings = SchedulingSettings(max_jobs_per_timespan=args.max_jobs_per_timespan)
    assert lift_default_rate_limit(given)


@pytest.fixture
def handled() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.timeout(60)  # without the thread it waits for ever
def test_sigterm_ends_a_scheduler_that_holds_its_lock(handled):
    """Snakemake's own, as far as its handler needs it."""
    from snakemake.workflow import JobScheduler

    scheduler = JobScheduler.__new__(JobScheduler)
    scheduler._lock, scheduler._open_jobs, scheduler._user_kill = threading.Lock(), threading.Semaphore(0), None
    signal.signal(signal.SIGTERM, scheduler.exit_gracefully)
    assert terminate_apart(SimpleNamespace(scheduler=scheduler))
    with scheduler._lock:
        signal.raise_signal(signal.SIGTERM)
        assert not scheduler._open_jobs.acquire(timeout=0.2)
    assert scheduler._open_jobs.acquire(timeout=30)
    assert scheduler._user_kill == "graceful"


@pytest.mark.parametrize("scheduler", ["another", None])
def test_a_handler_that_is_not_the_scheduler_s_stays(scheduler, handled):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert not terminate_apart(SimpleNamespace(scheduler=scheduler))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
