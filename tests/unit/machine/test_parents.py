"""A job ends with the process that started it, and cleans up as it does at any other end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from pagboost.machine import parents

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="of Linux")
JOB = """
import sys, time
from pathlib import Path
from pagboost import cli
def main():
    Path("begun").touch()
    try:
        time.sleep(600)
    finally:
        Path("cleaned").touch()
cli.run(main)
"""
PARENT = """
import subprocess, sys, time
from pagboost.machine import parents
parents.announce()
job = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(job.pid, flush=True)
time.sleep(600)
"""


def until(condition):
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < 300
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_job_ends_with_its_parent(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, JOB], cwd=tmp_path, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    job = int(parent.stdout.readline())
    until((tmp_path / "begun").exists)
    time.sleep(0.5)
    assert alive(job)
    parent.kill()
    parent.wait()
    until(lambda: not alive(job))
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize("named", ["", "junk", "999999999/1", f"{os.getpid()}/1"], ids=["none", "no", "gone", "other"])
def test_a_parent_that_is_gone_already_or_is_another_process_now(tmp_path, named):
    """Names nobody: nothing is waited for. A number that another process has by now is not the parent's."""
    job = subprocess.Popen(
        [sys.executable, "-c", JOB], cwd=tmp_path, env=os.environ | {parents.VARIABLE: named}, stderr=subprocess.DEVNULL
    )
    if named.partition("/")[2]:
        until(lambda: job.poll() is not None)
        assert job.returncode != 0
    else:
        until((tmp_path / "begun").exists)
        time.sleep(0.3)
        assert job.poll() is None
        job.send_signal(signal.SIGTERM)
        job.wait()
        assert (tmp_path / "cleaned").exists()
