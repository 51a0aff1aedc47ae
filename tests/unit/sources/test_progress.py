"""How far a download is, for people."""

from __future__ import annotations

import logging

import pytest

from pagboost.sources import progress
from pagboost.sources.progress import Progress


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.50 kB"),
        (12_340_000, "12.3 MB"),
        (1.656e9, "1.66 GB"),
        (3e12, "3,000.0 GB"),
    ],
)
def test_amounts(count, text):
    assert progress.amount(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (12_000, "3 h 20 min")]
)
def test_durations(seconds, text):
    assert progress.duration(seconds) == text


def test_a_line_tells_the_rate_of_this_run_and_what_is_left():
    shown = Progress("net.pt", 1_000_000_000, 3_000_000_000)
    shown.there += 500_000_000
    assert shown.line(100) == "net.pt: 1.50 GB of 3.00 GB, 5.00 MB/s, 50 %, about 5 min left"
    unknown = Progress("net.pt", 0, None)
    unknown.there = 2000
    assert unknown.line(2) == "net.pt: 2.00 kB, 1.00 kB/s"


def test_a_log_gets_a_line_about_every_minute(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress("net.pt", 0, 400) as shown:
        for _ in range(400):
            now[0] += 0.5
            shown.add(1)
    assert [record.message for record in caplog.records] == [
        "net.pt: 120 B of 400 B, 2 B/s, 30 %, about 2 min left",
        "net.pt: 240 B of 400 B, 2 B/s, 60 %, about 80 s left",
        "net.pt: 360 B of 400 B, 2 B/s, 90 %, about 20 s left",
    ]


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    with Progress("net.pt", 500, 1000) as shown:
        shown.bar.mininterval = 0
        shown.add(250)
        shown.bar.refresh()
    said = capsys.readouterr().err
    assert "net.pt" in said and "75%" in said
