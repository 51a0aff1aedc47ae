"""The default limit on starting jobs goes, a user's and a cluster's stay; SIGTERM waits for no lock of its own run."""

from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from pagboost.planning.scheduling import free_sigterm, lift_default_rate_limit


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


class Scheduler:
    """What Snakemake's is to SIGTERM."""

    def __init__(self):
        self.lock, self.ending = threading.Lock(), threading.Event()
        signal.signal(signal.SIGTERM, self.exit_gracefully)

    def exit_gracefully(self, *_):
        with self.lock:
            self.ending.set()


@pytest.fixture
def handler():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_sigterm_ends_a_run_whose_scheduler_holds_its_lock(handler):
    """Else it would wait for itself, for ever."""
    scheduler = Scheduler()
    assert free_sigterm(SimpleNamespace(scheduler=scheduler))
    with scheduler.lock:
        os.kill(os.getpid(), signal.SIGTERM)
        assert not scheduler.ending.wait(0.2)
    assert scheduler.ending.wait(60)


def test_another_s_handler_of_sigterm_stays(handler):
    scheduler, mine = Scheduler(), signal.default_int_handler
    signal.signal(signal.SIGTERM, mine)
    assert not free_sigterm(SimpleNamespace(scheduler=scheduler)) and not free_sigterm(SimpleNamespace())
    assert signal.getsignal(signal.SIGTERM) is mine


def test_snakemake_s_handler_is_the_one_that_is_changed():
    from snakemake.scheduling.job_scheduler import JobScheduler

    assert callable(JobScheduler.exit_gracefully)
