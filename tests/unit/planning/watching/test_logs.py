"""Logs as jobs leave them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pagboost.planning.watching import logs

KILLED = "CalledProcessError in line 3:\nCommand 'python a.py > a.log' returned non-zero exit status 137."


def test_the_last_line_about_progress_counts(write):
    path = write("a.log", "12:00:00 edm: 1 of 9, about 8 s left\n12:00:09 edm: 5 of 9, about 4 s left\nwarning\n", 9)
    line = logs.last_progress(path)
    assert (line.told.amount, line.told.left, line.at) == ("5 of 9", 4, 1_000_009)


def test_of_a_long_log_only_the_end_is_read(write):
    path = write("a.log", "x" * 100_000 + "\nedm: 5 of 9\n" + "y\n")
    assert logs.last_progress(path).told.amount == "5 of 9"
    assert len("\n".join(logs.tail(path))) <= logs.LAST


def test_a_log_that_says_nothing(write):
    assert logs.last_progress(write("a.log", "")) is None
    assert logs.last_progress("missing.log") is None
    assert logs.tail("missing.log") == []


@pytest.mark.parametrize(
    ("log", "said", "reason"),
    [
        ("12:00:00 edm: 1 of 9\n" + "line\n" * 300 + "error: a.npz: 3\n\n", "exit status 1.", "error: a.npz: 3"),
        ("12:00:00 edm: 1 of 9\n", KILLED, "killed by signal 9: out of memory?"),
        ("", "Command died with <Signals.SIGKILL: 9>.", "killed by signal 9: out of memory?"),
        ("error: not enough memory (x)\n", KILLED, "error: not enough memory (x)"),
        ("interrupted\n", "exit status 143.", "killed by signal 15"),
        ("interrupted\n", "exit status 1.", "interrupted"),
        ("at it\n", "exit status 130.", "interrupted"),
        ("Traceback\nKeyError: 'x'\n", "exit status 1.", "KeyError: 'x'"),
        ("", "exit status 3.", "exit status 3"),
        ("", "", "its log is empty"),
        ("at it\n", "SLURM status is: 'OUT_OF_MEMORY'. For", "the cluster ended it: out of memory"),
        ("at it\n", "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'.", "the cluster ended it: out of time"),
        ("at it\n", "SLURM status is: 'FAILED'", "at it"),
        ("12:00:00 edm: 1 of 9\n", "SLURM status is: 'FAILED'", "ended without a word at edm: 1 of 9"),
        # what a command says of an exit status is not how it ended
        ("", "Command 'echo exit status 137' returned non-zero exit status 2.", "exit status 2"),
    ],
)  # fmt: skip
def test_why_a_job_failed_is_one_line(write, log, said, reason):
    assert logs.reason(write("a.log", log), said) == reason


def test_a_job_without_a_log():
    assert logs.reason("missing.log") == "its log is missing"
    assert logs.reason(None, "exit status 1") == "exit status 1"


@pytest.mark.parametrize(
    ("log", "said", "reason"),
    [
        ("", "", "its log is empty; the disk of its log is full"),
        ("", "exit status 1.", "exit status 1; the disk of its log is full"),
        ("edm: 1 of 9\n", "exit status 1.", "exit status 1 at edm: 1 of 9; the disk of its log is full"),
        ("error: a.npz: 3\n", "exit status 1.", "error: a.npz: 3"),
        ("", KILLED, "killed by signal 9: out of memory?"),
    ],
)
def test_a_full_disk_is_said_where_nothing_else_tells(write, monkeypatch, log, said, reason):
    monkeypatch.setattr(logs.os, "statvfs", lambda folder: SimpleNamespace(f_bavail=15, f_frsize=4096))
    assert logs.reason(write("a.log", log), said) == reason
    monkeypatch.setattr(logs.os, "statvfs", lambda folder: SimpleNamespace(f_bavail=16, f_frsize=4096))
    assert logs.reason(write("a.log", log), said) == reason.removesuffix("; the disk of its log is full")
