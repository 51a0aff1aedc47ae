"""Listening to Snakemake: the records that it logs of each job become the journal's events and the view.

A handler on Snakemake's own logger, added when a run starts, gets what logger plugins get (their interface's LogEvent
names the records), but needs no package to be installed and leaves --logger to the user.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pagboost.planning.watching import logs, words
from pagboost.planning.watching.estimates import seconds_of
from pagboost.planning.watching.journal import BEAT, Event, Journal
from pagboost.planning.watching.plan import plan_of, texts
from pagboost.planning.watching.snapshot import Failure, Snapshot, snapshot
from pagboost.planning.watching.state import Run, Status
from pagboost.progress import EVERY, duration

NAME = "snakemake.logging"  # of Snakemake's logger
STREAM = "DefaultStreamHandler"  # the name of its handler for the terminal: another's is left alone
TALKING = {"fetch"}  # rules whose jobs write to the terminal themselves
# what the view says better, on a terminal (the file in .snakemake/log has all of it)
REPLACED = {"job_info", "job_started", "job_finished", "progress", "group_info"}
REPLACED_TEXTS = {"Select jobs to execute...", "Waiting for more resources.", "Waiting for running jobs to complete."}
BY_USER = "Terminating processes on user request"
ERRORS_KEPT = 20  # texts of Snakemake's last exceptions

_watchers: list[Watcher] = []


def start(workflow: Any, results: Path) -> None:
    """Watch a run that starts, once: keep its journal in the folder `results`, and show it as its user wants it."""
    quiet = {str(getattr(one, "name", one)).lower() for one in getattr(workflow.output_settings, "quiet", None) or ()}
    if _watchers or not workflow.is_main_process or getattr(workflow, "touch", False):
        return
    watcher = Watcher(plan_of(workflow), Journal(results))
    _watchers.append(watcher)
    logging.getLogger(NAME).addHandler(watcher)
    atexit.register(stop)
    watcher.begin(silent=bool(quiet & {"all", "progress", "rules"}))


def stop(success: bool | None = None) -> None:
    """End watching; of a run that failed, say last why: each job that failed in one line. None: it broke off."""
    while _watchers:
        watcher = _watchers.pop()
        logging.getLogger(NAME).removeHandler(watcher)
        watcher.end(bool(success))
        if success is False:
            for failure in watcher.shot().failed:
                logging.getLogger(NAME).error(words.failure(failure))


class Watcher(logging.Handler):
    """Takes in what Snakemake logs of a run, keeps its journal, and shows it."""

    def __init__(self, plan: Event, journal: Journal) -> None:
        super().__init__(logging.INFO)
        self.run, self.journal = Run(), journal
        self.guard = threading.Lock()  # of the run; nothing is logged or shown while it is held
        self.over = threading.Event()
        self.closing = contextlib.ExitStack()
        self.view: Any = None
        self.silent = self.stopped = False
        self.errors: list[str] = []
        self._take(plan)

    # -- what Snakemake says

    def emit(self, record: logging.LogRecord) -> None:
        """Take in a record. No error of this ends a run."""
        with contextlib.suppress(Exception):
            kind = event_of(record)
            if kind == "error":
                self.errors = [*self.errors, record.getMessage()][-ERRORS_KEPT:]
            elif kind == "job_info":
                self._take({"event": "started", **self._described(record)})
            elif kind == "job_finished":
                self._finished(str(record.job_id))
            elif kind == "job_error":
                self._failed(record)
            elif kind == "progress" and not self.run.plan.get("known"):
                self._take({"event": "counted", "total": record.total})
            elif record.getMessage().startswith(BY_USER):
                self.stopped = True

    def _described(self, record: logging.LogRecord) -> dict[str, Any]:
        name = str(record.jobid)
        if name in self.run.jobs:
            return {"id": name}
        benchmark = getattr(record, "benchmark", None)
        message = record.rule_msg if event_of(record) == "job_info" else None  # of an error it is the executor's
        own = {"rule": record.rule_name, "name": message or record.rule_name, "files": texts(record.output)}
        files = {"log": next(iter(texts(record.log)), None), "benchmark": benchmark and str(benchmark)}
        return {"id": name, "job": own | files}

    def _finished(self, name: str) -> None:
        job = self.run.jobs.get(name)
        if job is None:
            return
        started = job.started or time.time()
        took = seconds_of(job.benchmark, since=started - 1)
        self._take({"event": "finished", "id": name, "seconds": time.time() - started if took is None else took})
        if self.view:
            self.view.say(f"{job.name}: done in {duration(job.seconds or 0)}", "green")

    def _failed(self, record: logging.LogRecord) -> None:
        name = str(record.jobid)
        described, known = self._described(record), self.run.jobs.get(name)
        if known and known.status is Status.FAILED:  # said again at the end
            return
        log = known.log if known else next(iter(texts(record.log)), None)
        written = logs.written(log) if log else None
        if getattr(record, "indent", False) and known and (written is None or written < (known.started or 0) - 1):
            self._take({"event": "put back", **described})
            return
        command = getattr(record, "shellcmd", None) or ""
        said = next((text for text in reversed(self.errors) if command and command in text), "")
        reason = logs.reason(log, f"{said}\n{record.rule_msg or ''}")
        self._take({"event": "failed", "reason": reason, **described})
        if self.view is None and not self.silent:
            job = self.run.jobs[name]
            logging.getLogger(NAME).error(words.failure(Failure(job.name, job.log, job.reason)))

    def _take(self, event: Event) -> None:
        event = {"time": time.time(), **event}
        with self.guard:
            self.run.take(event)
            self.journal.write(event)

    # -- what people see

    def shot(self) -> Snapshot:
        """The run now."""
        with self.guard:
            return snapshot(self.run, time.time(), files=False)

    def begin(self, silent: bool) -> None:
        """Show the run from now on: live where there is a terminal, else in a line about every minute."""
        self.silent = silent
        handler = None if silent else terminal()
        if handler is not None and not any(job.rule in TALKING for job in self.run.jobs.values()):
            self._show_on(handler)
        threading.Thread(target=self._beat, daemon=True, name="watching").start()

    def _show_on(self, handler: logging.StreamHandler) -> None:
        from pagboost.planning.watching.view import View

        self.view = View(handler.stream, self.shot, not getattr(handler, "nocolor", False))
        before = handler.setStream(self.view.stream)
        handler.addFilter(not_replaced)
        self.closing.enter_context(self.view)
        self.closing.callback(handler.removeFilter, not_replaced)
        self.closing.callback(handler.setStream, before)

    def _beat(self) -> None:
        due = time.monotonic() + EVERY
        while not self.over.wait(min(BEAT, EVERY)):
            self.journal.beat()
            if time.monotonic() >= due and self.view is None and not self.silent:
                due = time.monotonic() + EVERY
                logging.getLogger(NAME).info(words.line(self.shot()))

    def end(self, success: bool) -> None:
        """The run has ended: the terminal is as it was."""
        self.over.set()
        self.closing.close()
        for job in self.run.of(Status.FAILED) if self.stopped else ():
            if job.reason == logs.INTERRUPTED:  # with the whole run: no failure of its own
                self._take({"event": "put back", "id": job.id})
        self._take({"event": "end", "success": success})
        self.journal.close()


def terminal() -> logging.StreamHandler | None:
    """Snakemake's own handler for a terminal that can redraw; None where there is none, or a plugin of the user's."""
    logger = logging.getLogger(NAME)
    found = list(logger.handlers)
    # Snakemake 9.3 keeps its handlers behind a queue
    manager = getattr(sys.modules.get(NAME), "logger_manager", None)
    found += getattr(getattr(manager, "queue_listener", None), "handlers", ())
    for handler in found:
        if handler.name == STREAM and hasattr(handler, "setStream"):
            capable = handler.stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
            return handler if capable else None
    return None


def event_of(record: logging.LogRecord) -> str:
    """Which of Snakemake's events a record is: LogEvent's value, or nothing."""
    event = getattr(record, "event", None)
    return str(getattr(event, "value", event) or "").lower()


def not_replaced(record: logging.LogRecord) -> bool:
    """A filter: whether a record says what the view does not."""
    return event_of(record) not in REPLACED and record.getMessage().strip() not in REPLACED_TEXTS
