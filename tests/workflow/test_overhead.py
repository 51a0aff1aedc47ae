"""Snakemake's own time grows with the number of jobs, not with its square."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import ROOT, snakemake

pytestmark = pytest.mark.workflow
TOY = """
import sys, time
sys.path.insert(0, {source!r})
from pagboost.planning.scheduling import lift_default_rate_limit

rule all:
    input: expand("{{i}}.done", i=range(config["jobs"]))

rule job:
    output: "{{i}}.done"
    shell: "sleep 0.05; touch {{output}}"

onstart:
    lift_default_rate_limit(workflow)
    open("before", "w").write(str(time.process_time()))

onsuccess:
    open("after", "w").write(str(time.process_time()))
"""


def cpu_of(folder: Path, jobs: int) -> float:
    """CPU seconds that Snakemake itself uses while it runs some jobs, two at a time."""
    folder.mkdir()
    (folder / "Snakefile").write_text(TOY.format(source=str(ROOT / "src")))
    done = snakemake("--scheduler", "greedy", "--config", f"jobs={jobs}", root=folder)
    assert done.returncode == 0, done.stderr
    before, after = (float((folder / name).read_text()) for name in ("before", "after"))
    return after - before


def test_four_times_the_jobs_take_about_four_times_the_time(tmp_path):
    few, many = cpu_of(tmp_path / "few", 100), cpu_of(tmp_path / "many", 400)
    assert many < 7 * few, (few, many)  # with the default limit 16 times and more
