"""The view of a run in a terminal: what runs and how far it is, what failed, what is left; redrawn in place."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pagboost.planning.watching import words
from pagboost.planning.watching.snapshot import Snapshot, Under
from pagboost.progress import duration

PER_SECOND = 2  # redrawings
BAR = 16  # columns
AROUND = 3  # lines that are no job's
FEWEST = 3  # jobs that are shown in the lowest terminal


def drawn(shot: Snapshot, height: int) -> RenderableType:
    """A run at a moment, on at most about `height` lines."""
    room = max(FEWEST, height - AROUND)
    failed = shot.failed[-max(1, room // 2) :]
    running = [one for one in shot.running if one.began][: max(1, room - len(failed))]
    more = sum(one.began for one in shot.running) - len(running)
    head = Text(words.counts(shot), style="bold")
    for text in (words.time_left(shot), f"{duration(shot.seconds)} so far"):
        head.append(f" · {text}" if text else "", style="not bold")
    lines: list[RenderableType] = [head, _table(running)] if running else [head]
    if more:
        lines.append(Text(f"… and {more} more", style="dim"))
    for one in failed:
        lines.append(Text(words.failure(one), style="red", overflow="fold"))
    return Group(*lines)


def _table(running: list[Under]) -> Table:
    table = Table.grid(padding=(0, 2))
    for options in ({"ratio": 3}, {}, {"ratio": 2}, {"justify": "right"}, {}):
        table.add_column(no_wrap=True, overflow="ellipsis", **options)
    for one in running:
        bar = ProgressBar(1.0, one.share, width=BAR) if one.share is not None else Text("")
        said = f"{one.label} {one.amount}" if one.label and one.label not in one.name else one.amount
        table.add_row(one.name, bar, Text(said, style="dim"), duration(one.seconds), words.left(one))
    return table


class Above(FileProxy):
    """A stream whose lines stand above a view; one thread at a time writes, or draws."""

    def __init__(self, console: Console, stream: TextIO, lock: threading.RLock) -> None:
        super().__init__(console, stream)
        self.lock = lock

    def write(self, text: str) -> int:
        """Show whole lines, keep the rest for the next call."""
        with self.lock:
            return super().write(text)

    def flush(self) -> None:
        """Show what there is."""
        with self.lock:
            super().flush()


class View:
    """A live view on a terminal, a context: `stream`, where `shot` says what there is to show.

    stream: what is written to it stands above the view; sys.stdout and sys.stderr go there too, if they are terminals.
    """

    def __init__(self, stream: TextIO, shot: Callable[[], Snapshot], colours: bool = True) -> None:
        self.shot = shot
        self.console = Console(file=stream, no_color=not colours or None, highlight=False)
        # rich's own thread and redirections draw while others print, and leave lines of old frames behind
        alone = {"auto_refresh": False, "redirect_stdout": False, "redirect_stderr": False}
        self.live = Live(get_renderable=self._now, console=self.console, transient=True, **alone)
        self.lock = threading.RLock()
        self.stream = Above(self.console, stream, self.lock)
        self.over = threading.Event()
        self.closing = contextlib.ExitStack()

    def __enter__(self) -> View:
        self.live.start(refresh=True)
        self.console.show_cursor(True)  # kill -9 leaves it as it is
        if sys.stdout.isatty():
            self.closing.enter_context(contextlib.redirect_stdout(self.stream))
        if sys.stderr.isatty():
            self.closing.enter_context(contextlib.redirect_stderr(self.stream))
        threading.Thread(target=self._redraw, daemon=True, name="view").start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.closing.close()
        with self.lock:
            self.live.stop()

    def say(self, text: str, style: str = "") -> None:
        """A line above the view, which stays there."""
        with self.lock:
            self.console.print(Text(text, style=style))

    def _redraw(self) -> None:
        while not self.over.wait(1 / PER_SECOND):
            with self.lock:
                if not self.over.is_set():
                    self.live.refresh()

    def _now(self) -> RenderableType:
        with contextlib.suppress(Exception):  # a view that cannot be drawn is no reason to end a run
            return drawn(self.shot(), self.console.height)
        return Text("")
