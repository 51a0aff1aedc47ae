"""Who runs where: a dead Snakemake's lock is lifted, a live one's stays, results are made from one place at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pagboost.errors import InputError
from pagboost.planning import running

HOLD = """
import sys
from pathlib import Path
from pagboost.planning import running
getattr(running, sys.argv[1])(*map(Path, sys.argv[2:]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holding():
    """holding("claim", folder): another process that holds it until it is killed."""
    started = []

    def start(name, *arguments):
        command = [sys.executable, "-c", HOLD, name, *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def locked(folder: Path) -> Path:
    lock = folder / "locks" / "0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("a\n")
    return lock


@pytest.mark.parametrize("name", ["claim", "join"])  # a Snakemake, a job of its on a cluster
def test_a_lock_that_a_killed_snakemake_left_is_lifted(name, tmp_path, holding, caplog):
    other = holding(name, tmp_path)
    lock = locked(tmp_path)
    running.claim(tmp_path)
    assert lock.exists()
    other.kill()
    other.wait()
    while running._held:  # this process has held it too since
        os.close(running._held.pop())
    running.claim(tmp_path)
    assert not lock.exists()
    assert "lifted, the Snakemake that held it was killed" in caplog.text


def test_results_are_made_from_one_working_folder_at_a_time(tmp_path, holding):
    other = holding("claim_results", tmp_path, "/somewhere/else")
    with pytest.raises(
        InputError, match="is being made by a Snakemake in /somewhere/else, expected one that has ended"
    ):
        running.claim_results(tmp_path, Path("/here"))
    running.claim_results(tmp_path, Path("/somewhere/else"))
    other.kill()
    other.wait()


def test_a_folder_that_cannot_be_written_is_no_matter(tmp_path):
    (tmp_path / "file").touch()
    running.claim(tmp_path / "file")
    running.claim_results(tmp_path / "file" / "below", tmp_path)
