"""Lines about progress: when they are written, and that what is written can be read."""

from __future__ import annotations

import logging

import pytest

from pagboost import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when it is told to: clock.now += 10."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def lines(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_lines_come_soon_then_every_minute(clock, caplog):
    caplog.set_level(logging.INFO)
    said = []
    for _ in progress.told(range(1000), "sampling", 1000):
        clock.now += 1
        if len(lines(caplog)) > len(said):
            said.append(clock.now - 1 - 1000)
    assert said[:6] == [5, 15, 35, 75, 135, 195]
    assert lines(caplog)[0] == "sampling: 5 of 1,000, about 17 min left"


def test_a_job_of_seconds_says_nothing(clock, caplog):
    caplog.set_level(logging.INFO)
    for _ in progress.told(range(4), "sampling", 4):
        clock.now += 1.2
    assert lines(caplog) == []


def test_what_was_done_before_counts_as_done_and_not_as_fast(clock, caplog):
    caplog.set_level(logging.INFO)
    for _ in progress.told(range(800, 1000), "edm", 1000, first=800):
        clock.now += 6
    assert lines(caplog)[0] == "edm: 801 of 1,000, about 20 min left"


def test_an_end_that_is_not_known_is_not_made_up(clock, caplog):
    caplog.set_level(logging.INFO)
    for _ in progress.told(iter("abc"), "reading", None):
        clock.now += 6
    assert lines(caplog)[0] == "reading: 1 so far"


def test_items_are_passed_on_one_by_one(clock):
    seen = []
    for item in progress.told((seen.append(i) or i for i in range(3)), "", None):
        assert seen[-1] == item


@pytest.mark.parametrize("seconds", [0, 40, 89, 120, 720, 5340, 12_000, 100 * 3600])
def test_what_is_said_of_the_time_left_is_read_again(seconds):
    told = progress.read(f"12:34:56 {progress.line('sampling, ddpm', 250, 1000, seconds / 750)}")
    assert (told.label, told.amount, told.share) == ("sampling, ddpm", "250 of 1,000", 0.25)
    assert told.left == pytest.approx(seconds, abs=30)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("12:00:00 edm: iteration 300 of 600, loss 0.1234", ("edm", "300 of 600", 0.5, None)),
        (
            "12:00:00 net.pt: 1.50 GB of 3.00 GB, 5.00 MB/s, 50 %, about 5 min left",
            ("net.pt", "1.50 GB of 3.00 GB, 5.00 MB/s", 0.5, 300),
        ),
        ("12:00:00 data/x.tar: 2000 of 8000 images", ("data/x.tar", "2,000 of 8,000", 0.25, None)),
        ("sampling: 9 of 3, about 1 s left", None),
        ("12:00:00 leased GPU-1", None),
        ("error: loss nan", None),
        ("", None),
    ],
)
def test_lines_of_others_are_read_too(text, told):
    found = progress.read(text)
    assert (found and (found.label, found.amount, found.share, found.left)) == told
