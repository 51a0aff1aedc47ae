"""What a terminal shows."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from pagboost.planning.watching.snapshot import Failure, Snapshot, Under
from pagboost.planning.watching.view import View, drawn

LONG = Failure("Training wrn", "results/wrn.log", "error: " + "very " * 30 + "long")


def shot(running: int = 2, failed: tuple[Failure, ...] = ()) -> Snapshot:
    jobs = [Under(f"Training edm{i}", "train", None, 75.0, "edm", "1 of 4", 0.25, 225.0) for i in range(running)]
    return Snapshot("running", 90, 40, 12, 26, 0, jobs, list(failed), 600.0, 0, 0, 0, [])


def text(shown, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(shown)
    return console.file.getvalue().splitlines()


def test_a_frame_says_what_runs_and_what_is_left():
    lines = text(drawn(shot(), 30))
    assert lines[0].startswith("12 of 40 jobs done, 2 running, 26 waiting · about 10 min left · 2 min so far")
    assert lines[1].startswith("Training edm0  ━━") and lines[1].rstrip().endswith("1 of 4  75 s  about 4 min left")


@pytest.mark.parametrize("height", [5, 10, 24])
def test_a_frame_fits_the_terminal(height):
    lines = text(drawn(shot(200, (Failure("Training a", "a.log", "error: x"),) * 50), height))
    assert len(lines) <= max(height, 6)
    assert any("more" in line for line in lines) and any("failed" in line for line in lines)


@pytest.mark.parametrize("width", [20, 60, 300])
def test_names_give_way_and_reasons_do_not(width):
    lines = text(drawn(shot(1, (LONG,)), 30), width)
    assert max(map(len, lines)) <= width
    assert "".join(line.strip() for line in lines).replace(" ", "").endswith("long(results/wrn.log)")


def test_what_is_written_meanwhile_stands_above():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with View(stream, shot) as view:
        view.stream.write("Job stats\n")
        view.say("Training cnn: done in 3 s")
        time.sleep(0.7)
    written = stream.getvalue()
    assert written.index("Job stats") < written.index("Training cnn: done") < written.rindex("Training edm0")
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # the cursor is there again


def test_a_view_that_cannot_be_drawn_ends_nothing():
    def broken() -> Snapshot:
        raise ValueError

    with View(io.StringIO(), broken) as view:
        view.say("still here")
