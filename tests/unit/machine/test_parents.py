"""A job ends with the process that started it, and cleans up as it does at any other end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from pagboost.files import whole
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
SHELL = """
import subprocess, sys
job = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(job.pid, flush=True)
job.wait()
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


def test_a_job_ends_with_the_shell_between(tmp_path):
    """Snakemake takes the shell's end for the job's, and clears up behind it."""
    mine = f"{os.getpid()}/{parents.started(os.getpid())}"
    between = subprocess.Popen(
        [sys.executable, "-c", SHELL, JOB], cwd=tmp_path, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL,
        env=os.environ | {parents.VARIABLE: mine},
    )  # fmt: skip
    job = int(between.stdout.readline())
    until((tmp_path / "begun").exists)
    between.kill()
    between.wait()
    until(lambda: not alive(job))
    assert (tmp_path / "cleaned").exists()


def test_nothing_appears_once_whoever_answers_for_it_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(whole, "_check", bool)
    script = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    parents.works_for(script.pid)
    with whole.atomic(tmp_path / "early") as path:
        path.write_text("whole")
    script.kill()
    script.wait()
    with pytest.raises(KeyboardInterrupt), whole.atomic(tmp_path / "late") as path:
        path.write_text("whole")
    folder = tmp_path / "folder"
    with pytest.raises(KeyboardInterrupt), whole.atomic_folder(folder) as path:
        (path / "file").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["early"]
    parents.works_for(script.pid)  # gone before it was named
    with pytest.raises(KeyboardInterrupt), whole.atomic(tmp_path / "later"):
        pass


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
