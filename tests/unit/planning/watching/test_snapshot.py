"""A run at a moment, from fake logs and benchmarks."""

from __future__ import annotations

import json

import pytest

from pagboost.planning.watching import words
from pagboost.planning.watching.snapshot import snapshot
from pagboost.planning.watching.state import Run

from .conftest import BEGUN, event, job, plan


def at(after: float, *events: dict, **how):
    return snapshot(Run(events), BEGUN + after, **how)


def only(shot):
    (one,) = shot.running
    return one


START = (plan(job("a"), job("b", needs=["a"])), event("started", "a", 10))


def test_a_job_is_as_far_as_its_log_says_and_time_has_passed_since(write):
    write("a.log", "12:00:00 sampling, ddpm: 250 of 1,000, about 12 min left\n", after=70)
    one = only(at(100, *START))
    assert (one.name, one.seconds, one.label, one.amount, one.share) == (
        "Making a", 90, "sampling, ddpm", "250 of 1,000", 0.25)  # fmt: skip
    assert one.left == 690 and not one.usual
    assert words.how_far(one) == "sampling, ddpm 250 of 1,000, 90 s, about 12 min left".replace("90 s", "2 min")


def test_a_log_without_a_time_is_carried_on(write):
    write("a.log", "12:00:00 edm: iteration 300 of 600, loss 0.1\n", after=70)
    assert only(at(100, *START)).left == pytest.approx(30)  # 60 s for the first half


def test_without_a_line_a_job_takes_what_it_usually_takes(write):
    write("a.log", "", after=11)
    one = only(at(25, plan(job("a"), times={"train": [60.0]}), event("started", "a", 10)))
    assert (one.left, one.usual, one.share) == (45, True, 0.25)
    late = only(at(500, plan(job("a"), times={"train": [60.0]}), event("started", "a", 10)))
    assert (late.left, late.share) == (0, 0.99) and words.left(late) == ""
    assert only(at(25, *START)).left is None


def test_a_job_of_several_loops_takes_as_long_as_it_did_before(write):
    write("a.log", "12:00:00 batches: 9 of 10, about 2 s left\n", after=20)
    again = only(at(20, plan(job("a", earlier=100.0)), event("started", "a", 10)))
    assert (again.left, again.usual) == (90, True)
    first = only(at(20, plan(job("a"), times={"train": [100.0]}), event("started", "a", 10)))
    assert (first.left, first.usual) == (2, False)


def test_a_log_of_an_earlier_run_is_none(write):
    write("a.log", "12:00:00 edm: 5 of 9\n", after=0)
    one = only(at(100, *START))
    assert (one.began, one.amount) == (False, "")
    assert words.left(one) == "has not begun"


def test_counts_and_states(write):
    jobs = [job("a"), job("b", needs=["a"]), job("c"), job("d"), job("e")]
    events = [
        plan(*jobs),
        event("started", "a", 1),
        event("started", "c", 1),
        event("failed", "a", 5, reason="error: x"),
    ]
    write("c.log", "hello\n", after=2)
    shot = at(10, *events)
    assert (shot.state, shot.total, shot.done, shot.waiting, shot.blocked) == ("running", 5, 0, 2, 1)
    assert words.counts(shot) == ("0 of 5 jobs done, 1 running, 2 waiting, 1 failed, 1 that cannot run for that")
    assert words.failure(shot.failed[0]) == "Making a failed: error: x (a.log)"
    ended = at(
        99, *events, event("finished", "c", 11, seconds=10.0), {"event": "end", "time": BEGUN + 12, "success": False}
    )
    assert (ended.state, ended.seconds, ended.left) == ("failed", 12, None)
    assert words.line(ended).startswith("failed: 1 of 5 jobs done, 2 not run, 1 failed")


def test_a_run_whose_process_is_gone(write):
    write("a.log", "12:00:00 edm: 5 of 9\n", after=20)
    gone = at(1000, *START, alive=False)
    assert (gone.state, gone.left, only(gone).growing) == ("killed", None, False)
    assert words.counts(gone) == "its Snakemake is gone: 0 of 2 jobs done, 1 under way at the end, 1 not run"
    assert only(at(100, *START, alive=False)).growing  # an orphan, as on a cluster


def test_which_files_of_the_targets_are_there(write):
    write("a.out", "")
    write("old.out", "")
    shot = at(5, plan(job("a"), job("b"), kept=["old.out"]))
    assert (shot.there, shot.files, shot.missing) == (2, 3, ["b.out"])
    elsewhere = at(5, plan(job("a"), folder="/nowhere"))
    assert elsewhere.missing == ["a.out"]
    assert at(5, plan(job("a")), files=False).files == 0


def test_a_line_says_it_all(write):
    write("a.log", "12:00:00 sampling: 5 of 10, about 20 s left\n", after=20)
    shot = at(20, plan(job("a"), job("b", rule="table"), cores=1), event("started", "a", 10))
    assert words.line(shot) == (
        "0 of 2 jobs done, 1 running, 1 waiting, about 20 s left and 1 job of a kind not timed yet: "
        "Making a (sampling 5 of 10, 10 s, about 20 s left)"
    )


def test_json_holds_all_of_it(write):
    shot = at(20, *START)
    content = json.loads(json.dumps(shot.as_json()))
    assert content["running"][0]["name"] == "Making a" and content["total"] == 2
