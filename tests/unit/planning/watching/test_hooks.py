"""From Snakemake's records to events, of a made-up Snakemake; of the real one: tests/workflow/test_watching.py."""

from __future__ import annotations

import io
import json
import logging
import sys
from types import SimpleNamespace

import pytest

from pagboost.planning.watching import hooks, journal, plan, status
from pagboost.planning.watching.journal import Journal

LATER = 3e9  # seconds after the tests' beginning of time: after any run
COMMAND = "python train.py > a.log 2>&1"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Resource:
    def __init__(self, value: int) -> None:
        self.value = value


class Job(SimpleNamespace):
    __hash__ = object.__hash__


class Dag:
    """Two jobs, of which the second needs the first, and one that is done."""

    def __init__(self) -> None:
        self.jobs = [self._job(name, rule) for name, rule in (("a", "train"), ("b", "table"), ("old", "train"))]
        first, second, done = self.jobs
        self.dependencies = {first: {done: set()}, second: {first: set()}, done: {}}

    def _job(self, name: str, rule: str) -> Job:
        files = {"output": [f"{name}.out"], "log": [f"{name}.log"], "benchmark": f"{name}.tsv", "priority": 10}
        takes = {"_cores": 1, "_nodes": 1, "gpu": 1, "tmpdir": "/tmp"}
        return Job(rule=SimpleNamespace(name=rule), message=f"Making {name}", scheduler_resources=takes, **files)

    def needrun_jobs(self):
        return iter(self.jobs[:2])

    def jobid(self, job) -> int:
        return self.jobs.index(job)


def workflow(quiet=(), **other):
    settings = SimpleNamespace(quiet=list(quiet))
    room = {"_cores": Resource(4), "_nodes": None, "gpu": 2, "mem_mb": sys.maxsize}
    own = {"is_main_process": True, "touch": False, "output_settings": settings, "global_resources": room, "dag": Dag()}
    return SimpleNamespace(**(own | other))


@pytest.fixture
def logger(monkeypatch):
    """Snakemake's logger, with a handler for a terminal as Snakemake's; stderr is logger.stream."""
    logger = logging.getLogger(hooks.NAME)
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.INFO)
    logger.stream = io.StringIO()
    handler = logging.StreamHandler(logger.stream)
    handler.name = hooks.STREAM
    logger.addHandler(handler)
    logger.own = handler
    yield logger
    hooks.stop()


def say(kind: str | None, message: str = "", level: int = logging.INFO, **content) -> None:
    logging.getLogger(hooks.NAME).log(level, message, extra={"event": kind, **content})


def start(name: int) -> None:
    files = {"output": ["x.out"], "log": ["x.log"], "benchmark": None}
    say("job_info", jobid=name, rule_name="train", rule_msg=f"Making {'ab'[name]}", **files)


def fail(name: int, **other) -> None:
    error = {"rule_name": "train", "rule_msg": None, "output": [], "log": [], "shellcmd": COMMAND, "indent": False}
    say("job_error", "Error in rule", logging.ERROR, jobid=name, **(error | other))


def events(folder) -> list[dict]:
    return journal.read(journal.journals(folder)[-1])


def test_a_plan_holds_what_is_to_be_done_and_what_it_took(write):
    write("a.tsv", "s\th:m:s\n9\t0:00:09\n")
    write("old.tsv", "s\th:m:s\n5\t0:00:05\n")
    found = plan.plan_of(workflow())
    first, second = found["jobs"]
    assert (first["id"], first["name"], first["needs"], first["earlier"]) == ("0", "Making a", ["2"], 9)
    assert (second["rule"], second["needs"], second["earlier"]) == ("table", ["0"], None)
    assert first["takes"] == {"_cores": 1, "gpu": 1} and first["priority"] == 10
    assert found["room"] == {"_cores": 4, "gpu": 2}
    assert (found["times"], found["kept"]) == ({"train": [9, 5]}, ["old.out"])
    json.dumps(found)


def test_files_that_do_not_last_are_not_missed():
    class File(str):
        flags = {"temp": True}  # noqa: RUF012  as Snakemake's

    assert plan.lasting(["a", File("b")]) == ["a"]


@pytest.mark.parametrize("lacking", ["dag", "global_resources"])
def test_another_snakemake_leaves_its_part_of_the_plan_out(write, lacking):
    found = plan.plan_of(workflow(**{lacking: None}))
    assert found["folder"] and found["pid"]
    assert ("jobs" in found) == (lacking != "dag")


def test_records_become_events_and_others_read_them(write, tmp_path, logger):
    hooks.start(workflow(), tmp_path)
    start(0)
    write("a.tsv", "s\th:m:s\n7\t0:00:07\n", after=LATER)
    say("job_finished", job_id=0)
    start(1)
    (seen,) = status.look(tmp_path)
    assert (seen.shot.state, seen.shot.done, seen.shot.running[0].name) == ("running", 1, "Making b")
    hooks.stop(success=True)
    kinds = [one["event"] for one in events(tmp_path)]
    assert kinds == ["plan", "started", "finished", "started", "end"]
    assert events(tmp_path)[2]["seconds"] == 7
    start(0)  # nobody listens any more
    assert len(events(tmp_path)) == 5


def test_a_failure_is_said_when_it_happens_and_last(write, tmp_path, logger):
    write("a.log", "line\n" * 300 + "error: loss nan\n", after=LATER)
    hooks.start(workflow(), tmp_path)
    start(0)
    fail(0)
    fail(0)  # Snakemake before 9.2x says it again in the end
    said = "Making a failed: error: loss nan (a.log)"
    assert logger.stream.getvalue().count(said) == 1
    hooks.stop(success=False)
    assert logger.stream.getvalue().splitlines()[-1] == said
    assert logger.stream.getvalue().count(said) == 2


def test_a_killed_job_is_told_by_the_exception_of_its_own_command(write, tmp_path, logger):
    write("a.log", "at it\n", after=LATER)
    hooks.start(workflow(), tmp_path)
    start(0)
    start(1)
    say("error", f"Command '{COMMAND}' returned non-zero exit status 137.", logging.ERROR)
    say("error", "Command 'another' returned non-zero exit status 1.", logging.ERROR)
    fail(0)
    hooks.stop(success=False)
    assert logger.stream.getvalue().splitlines()[-1] == "Making a failed: killed by signal 9: out of memory? (a.log)"


@pytest.mark.parametrize(("said", "state"), [(f"{hooks.BY_USER}, this might take", "stopped"), ("another", "failed")])
def test_a_run_that_was_interrupted_has_not_failed(write, tmp_path, logger, said, state):
    write("a.log", "interrupted\n", after=LATER)
    hooks.start(workflow(), tmp_path)
    start(0)
    fail(0)
    say(None, said)
    hooks.stop(success=False)
    (seen,) = status.look(tmp_path)
    assert (seen.shot.state, len(seen.shot.failed)) == (state, state == "failed")


def test_what_a_cluster_says_of_a_job_counts(write, tmp_path, logger):
    write("a.log", "at it\n", after=LATER)
    hooks.start(workflow(), tmp_path)
    start(0)
    fail(0, rule_msg="SLURM-job '7' failed, SLURM status is: 'OUT_OF_MEMORY'.")
    assert "Making a failed: the cluster ended it: out of memory (a.log)" in logger.stream.getvalue()


def test_of_a_group_only_the_job_that_ran_has_failed(write, tmp_path, logger):
    write("a.log", "error: x\n", after=LATER)
    hooks.start(workflow(), tmp_path)
    start(0)
    start(1)
    for name in (0, 1):
        fail(name, indent=True)
    (seen,) = status.look(tmp_path)
    assert [one.name for one in seen.shot.failed] == ["Making a"]


def test_without_a_plan_jobs_are_known_by_what_is_said_of_them(tmp_path, logger):
    hooks.start(workflow(dag=None), tmp_path)
    start(0)
    say("progress", done=1, total=30)
    (seen,) = status.look(tmp_path)
    assert (seen.shot.total, seen.shot.running[0].name, seen.shot.waiting) == (30, "Making a", 29)


@pytest.mark.parametrize("quiet", ["progress", "rules", "all"])
def test_quiet_is_quiet(tmp_path, logger, monkeypatch, quiet):
    monkeypatch.setenv("TERM", "xterm")
    logger.own.stream = Terminal()
    hooks.start(workflow(quiet=[SimpleNamespace(name=quiet.upper())]), tmp_path)
    start(0)
    say("job_finished", job_id=0)
    hooks.stop(success=True)
    assert "Making a: done" not in logger.own.stream.getvalue()
    assert "\x1b" not in logger.own.stream.getvalue()


@pytest.mark.parametrize("lacking", [{"is_main_process": False}, {"touch": True}])
def test_jobs_of_clusters_and_touching_are_no_runs(tmp_path, logger, lacking):
    hooks.start(workflow(**lacking), tmp_path)
    assert journal.journals(tmp_path) == []


def test_a_log_has_a_line_about_every_minute(write, tmp_path, logger, monkeypatch):
    monkeypatch.setattr(hooks, "EVERY", 0.05)
    hooks.start(workflow(), tmp_path)
    for _ in range(200):
        if "0 of 2 jobs done, 2 waiting, time left not known yet" in logger.stream.getvalue():
            break
        hooks._watchers[0].over.wait(0.05)
    else:
        pytest.fail(logger.stream.getvalue())


def test_a_terminal_shows_the_run_and_is_as_it_was_afterwards(write, tmp_path, logger, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    handler = logger.own
    handler.stream = terminal = Terminal()
    hooks.start(workflow(), tmp_path)
    assert handler.stream is not terminal
    start(0)
    say(None, "a warning", logging.WARNING)
    say("job_finished", job_id=0)
    hooks.stop(success=True)
    shown = terminal.getvalue()
    assert "2 jobs done" in shown and "a warning" in shown and "Making a: done in 0 s" in shown
    assert handler.stream is terminal and not handler.filters


@pytest.mark.parametrize("term", ["dumb", None])
def test_no_view_on_what_cannot_redraw(logger, monkeypatch, term):
    monkeypatch.setenv("TERM", term) if term else monkeypatch.delenv("TERM", raising=False)
    logger.own.stream = Terminal()
    assert hooks.terminal() is None


def test_a_plugin_of_the_users_is_left_alone(logger, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    logger.own.stream = Terminal()
    assert hooks.terminal() is logger.own
    logger.own.name = "rich"
    assert hooks.terminal() is None


def test_jobs_that_write_to_the_terminal_have_it_to_themselves(tmp_path, logger, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    logger.own.stream = Terminal()
    fetching = workflow()
    fetching.dag.jobs[0].rule.name = "fetch"
    hooks.start(fetching, tmp_path)
    assert hooks._watchers[0].view is None


def test_an_error_in_watching_is_no_error_of_the_run(tmp_path, logger):
    watcher = hooks.Watcher(plan.plan_of(workflow()), Journal(tmp_path))
    logger.addHandler(watcher)
    say("job_info")  # lacks all that it should have
    say("job_finished", job_id=99)
    logger.removeHandler(watcher)
