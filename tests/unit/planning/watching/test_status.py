"""What journals say of a scale's runs, from another process."""

from __future__ import annotations

import json
import time

import pytest

from pagboost.errors import InputError
from pagboost.planning.watching import journal, status
from pagboost.planning.watching.journal import Journal

from .conftest import event, job, plan


def run(results, name: str, *events: dict) -> None:
    folder = results / journal.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))


DEAD = {"host": "gone", "pid": 1, "born": "1"}


def test_no_run_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"results/none: no run has left a journal there, expected the results of a"):
        status.look(tmp_path / "results" / "none")


def test_the_last_run_is_shown_where_none_is_under_way(tmp_path):
    run(tmp_path, "20260101T000000-1", plan(job("a"), **DEAD), {"event": "end", "time": 1_000_009.0, "success": False})
    run(
        tmp_path,
        "20260102T000000-1",
        plan(job("a"), job("b"), **DEAD),
        {"event": "end", "time": 1_000_009.0, "success": True},
    )
    (seen,) = status.look(tmp_path)
    assert (seen.shot.state, seen.shot.total) == ("done", 2)


def test_all_that_are_under_way_are_shown(tmp_path):
    for name in ("20260101T000000-1", "20260102T000000-2"):
        run(tmp_path, name, plan(job("a"), **journal.here()), event("started", "a", 1))
    run(tmp_path, "20260103T000000-3", plan(job("a"), **DEAD), {"event": "end", "time": 1_000_009.0, "success": True})
    assert [one.shot.state for one in status.look(tmp_path)] == ["running", "running"]


def test_a_killed_run_is_told_from_one_under_way(tmp_path):
    run(tmp_path, "20260101T000000-1", plan(job("a"), **DEAD), event("started", "a", 1))
    (seen,) = status.look(tmp_path, time.time() + 2 * journal.SILENCE)
    assert seen.shot.state == "killed"


def test_a_journal_without_a_plan_is_passed_over(tmp_path):
    run(tmp_path, "20260101T000000-1", plan(job("a"), **DEAD), {"event": "end", "time": 1_000_009.0, "success": True})
    Journal(tmp_path)
    (seen,) = status.look(tmp_path)
    assert seen.shot.state == "done"


def test_what_is_printed(tmp_path, write, capsys):
    write("a.log", "12:00:00 edm: 5 of 10, about 20 s left\n")
    run(tmp_path, "20260101T000000-1", plan(job("a"), job("b"), folder="/work", **DEAD), event("started", "a", -10),
        event("failed", "b", 3, reason="error: x"))  # fmt: skip
    status.show(status.look(tmp_path, time.time() + 2 * journal.SILENCE))
    printed = capsys.readouterr().out
    assert printed.startswith("Snakemake in /work, process 1 on gone, since ")
    assert "its Snakemake is gone: 0 of 2 jobs done" in printed
    assert "Making b failed: error: x (b.log)" in printed
    assert "0 of 2 files of its targets are there; missing: a.out, b.out" in printed
