"""The default limit on starting jobs goes, a user's and a cluster's stay."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pagboost.planning.scheduling import lift_default_rate_limit


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
