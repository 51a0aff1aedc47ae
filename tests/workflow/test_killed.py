"""kill -9 of Snakemake: its jobs end too, and the same command goes on; a live Snakemake keeps what it holds."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import ROOT, snakemake

pytestmark = pytest.mark.workflow
TARGET = "results/digits/weights/cnn_a.safetensors"
HANG = 600.0  # seconds: nothing takes as long, however busy the machine


def until(condition: Callable[[], object]) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < HANG
        time.sleep(0.1)


def jobs_in(folder: Path) -> list[int]:
    """Processes that run a script of this project in a folder."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdecimal() and os.readlink(process / "cwd") == str(folder):
                command = (process / "cmdline").read_bytes()
                found += [int(process.name)] if b"/src/train.py" in command else []
    return found


def tell(folder: Path, what: signal.Signals) -> None:
    """Send its trainings a signal."""
    for process in jobs_in(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, what)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A working folder whose one training takes an hour, or a moment with --configfile short.yaml."""
    for name, iterations in (("long", 1_000_000), ("short", 5)):
        content = {"models": {"cnn_a": {"training": {"iterations": iterations}}}}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


@contextlib.contextmanager
def training(folder: Path, asleep: bool = False, **environment: str) -> Iterator[subprocess.Popen]:
    """A Snakemake in whose run a training is under way, or would be if it were not stopped."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "1"]
    command += ["--configfile", "long.yaml", "--", TARGET]
    with (folder / "output").open("w") as output:
        started = subprocess.Popen(
            list(map(str, command)), cwd=folder, env=os.environ | environment, stdout=output, stderr=output
        )
    try:
        until(lambda: jobs_in(folder) or started.poll() is not None)
        assert started.poll() is None, (folder / "output").read_text()
        if asleep:
            tell(folder, signal.SIGSTOP)
        yield started
    finally:
        started.kill()
        started.wait()
        tell(folder, signal.SIGCONT)
        until(lambda: not jobs_in(folder))


def kill(folder: Path, running: subprocess.Popen) -> None:
    """Its jobs end with it."""
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    until(lambda: not jobs_in(folder))


def go_on(folder: Path) -> subprocess.CompletedProcess[str]:
    """The same command, of a shorter training."""
    done = snakemake("--configfile", "short.yaml", "--", TARGET, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / TARGET).exists()
    assert not list(folder.glob("results/**/.*tmp*"))
    return done


def test_a_killed_snakemake_leaves_no_orphan_and_no_lock(folder):
    with training(folder) as running:
        kill(folder, running)
        assert list(folder.glob(".snakemake/locks/*.lock"))
    assert "lifted, the Snakemake that held it was killed" in go_on(folder).stderr


def test_a_running_snakemake_keeps_its_lock_and_its_results_until_it_is_killed(folder, tmp_path_factory):
    """Without a warm process."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    target = folder / "results" / "digits" / "data" / "digits64" / "train.npz"
    with training(folder, asleep=True, PAGBOOST_WARM="off") as running:  # what is asked for meanwhile has the cores
        locked = snakemake("--configfile", "short.yaml", "--", TARGET, cwd=folder)
        assert locked.returncode == 1
        assert "lock" in locked.stderr.lower()
        other = snakemake("--config", f"results={folder / 'results'}", "--", target, cwd=elsewhere)
        assert other.returncode == 1
        assert f"is being made by a Snakemake in {folder}, expected one that has ended" in other.stderr + other.stdout
        assert not target.exists()
        beside = snakemake(
            "--", "results/digits/data/digits64/train.npz", cwd=folder
        )  # of the same folder: Snakemake's to say
        assert beside.returncode == 0, beside.stdout + beside.stderr
        tell(folder, signal.SIGCONT)
        kill(folder, running)
    go_on(folder)
    done = snakemake("--config", f"results={folder / 'results'}", "--", target, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
