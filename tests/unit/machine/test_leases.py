"""Leases between real processes, of GPUs that the machine pretends to have (PAGBOOST_PRETENDED_GPUS)."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from pagboost.errors import InputError
from pagboost.machine import cards, leases

SOURCE = Path(leases.__file__).parents[2]
# Leases `count` of the GPUs it sees, says which, and holds them until it is told, for a time, or for ever.
JOB = """
import json, logging, os, sys, time
from pagboost.machine import cards, leases
logging.basicConfig(level=logging.INFO, format="%(message)s")
count, slots, seconds = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with leases.lease(cards.visible(), count, slots, poll=0.02) as mine:
    start = time.monotonic_ns()
    print(json.dumps({"gpus": mine, "start": start}), flush=True)
    sys.stdin.read() if seconds == "told" else time.sleep(float(seconds))
    print(json.dumps({"end": time.monotonic_ns()}), flush=True)
"""
# As Snakemake does: some jobs at a time, with what they print kept together.
PARENT = """
import concurrent.futures, subprocess, sys
def run(_):
    return subprocess.run([sys.executable, "-c", *sys.argv[2:]], capture_output=True, text=True, check=True).stdout
with concurrent.futures.ThreadPoolExecutor(int(sys.argv[1])) as pool:
    print("".join(pool.map(run, range(4))), end="")
"""
SECONDS = 120  # until a test gives up: far more than anything here needs


class Job(subprocess.Popen):
    """A process that leases GPUs; `gpus` waits until it has them."""

    def gpus(self):
        return json.loads(self.stdout.readline())["gpus"]

    def end(self):
        """Tell it to end."""
        out, err = self.communicate("", timeout=SECONDS)
        assert self.returncode == 0, err
        return out


@pytest.fixture
def locks(tmp_path, monkeypatch):
    monkeypatch.setenv(leases.VARIABLE, str(tmp_path / "locks"))
    monkeypatch.delenv(cards.VISIBLE, raising=False)
    monkeypatch.setenv(cards.PRETENDED, "GPU-a,GPU-b,GPU-c,GPU-d")
    return tmp_path / "locks"


@pytest.fixture
def start(locks):
    """start(count=1, slots=1, seconds="told", program=(), VARIABLE=...) -> a Job; all end with the test.

    program: what runs the job in place of Python itself.
    """
    with contextlib.ExitStack() as running:

        def start(count=1, slots=1, seconds="told", program=(), **environment):
            command = [sys.executable, "-c", *program, JOB, str(count), str(slots), str(seconds)]
            environment = os.environ | {"PYTHONPATH": str(SOURCE)} | environment
            pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
            job = running.enter_context(Job(command, text=True, env=environment, **pipes))
            running.callback(job.kill)
            return job

        yield start


def said_by(job, text):
    """Read what a job says until a line of it holds a text."""
    for line in job.stderr:
        if text in line:
            return line
    raise AssertionError(f"{text} was not said")


def held(lines):
    """[(gpu, start, end)] of what jobs printed."""
    facts = [json.loads(line) for line in lines.splitlines()]
    both = zip(facts[::2], facts[1::2], strict=True)
    return sorted((gpu, first["start"], last["end"]) for first, last in both for gpu in first["gpus"])


def shared(leased):
    """Pairs of leases of one GPU at one time."""
    return [(one, two) for one, two in itertools.pairwise(leased) if one[0] == two[0] and two[1] < one[2]]


def test_eight_jobs_on_four_gpus_never_share_one(start):
    jobs = [start(seconds=0.2) for _ in range(8)]
    leased = held("".join(job.end() for job in jobs))
    assert len(leased) == 8 and shared(leased) == []


def test_as_many_jobs_as_gpus_run_at_once(start):
    jobs = [start() for _ in range(4)]
    assert sorted(gpu for job in jobs for gpu in job.gpus()) == ["GPU-a", "GPU-b", "GPU-c", "GPU-d"]


def test_two_runs_share_a_machine(start, tmp_path):
    """Each counts for itself, and starts as many jobs at a time as there are GPUs."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    runs = [
        start(seconds=0.1, program=(PARENT, "2"), TMPDIR=str(folder), **{cards.PRETENDED: "GPU-a,GPU-b"})
        for folder in folders
    ]
    leased = held("".join(run.end() for run in runs))
    assert len(leased) == 8 and {gpu for gpu, *_ in leased} <= {"GPU-a", "GPU-b"}
    assert shared(leased) == []


def test_a_killed_job_frees_its_gpu(start):
    one = {cards.VISIBLE: "0"}
    first = start(**one)
    assert first.gpus() == ["GPU-a"]
    second = start(**one)
    said_by(second, f"GPU-a is held by pid {first.pid} on ")
    first.kill()
    assert second.gpus() == ["GPU-a"]
    said_by(second, "leased GPU-a after ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({cards.VISIBLE: "1"}, {cards.VISIBLE: "GPU-b"}, id="an index and the UUID"),
        pytest.param({cards.VISIBLE: "1"}, {cards.PRETENDED: "GPU-b"}, id="a job that sees one card alone"),
        pytest.param({cards.VISIBLE: "1", "TMPDIR": "/tmp"}, {cards.VISIBLE: "1", "TMPDIR": "/var/tmp"}, id="TMPDIR"),
    ],
)
def test_one_card_is_one_lock(start, one, other):
    first = start(**one)
    assert first.gpus() == ["GPU-b"]
    said_by(start(**other), "waiting for a GPU: GPU-b is held by pid")


def test_two_jobs_that_each_see_their_own_card_as_0_never_wait(start):
    """As Slurm shows them."""
    jobs = [start(**{cards.PRETENDED: uuid, cards.VISIBLE: "0"}) for uuid in ("GPU-a", "GPU-b")]
    assert [job.gpus() for job in jobs] == [["GPU-a"], ["GPU-b"]]
    assert all("waiting" not in job.communicate("")[1] for job in jobs)


def test_several_gpus_are_taken_together(start):
    """Jobs that want two of three, and some that want one, all end; what waits for two keeps none meanwhile."""
    three = {cards.PRETENDED: "GPU-a,GPU-b,GPU-c"}
    jobs = [start(count=count, seconds=0.05, **three) for count in (2, 2, 1, 2, 2, 1)]
    leased = held("".join(job.end() for job in jobs))
    assert len(leased) == 10 and shared(leased) == []
    first = start(count=2, **three)
    assert first.gpus() == ["GPU-a", "GPU-b"]
    second = start(count=2, **three)
    assert "GPU-c" not in said_by(second, "waiting for 2 GPUs: GPU-a is held by")
    third = start(**three)
    assert third.gpus() == ["GPU-c"]
    first.end()
    assert second.gpus() == ["GPU-a", "GPU-b"]


def test_more_than_there_are_is_a_mistake(locks):
    for count in (0, 2):
        with pytest.raises(ValueError, match=f"count {count}: expected 1 to 1"), leases.lease(["GPU-a"], count):
            pass


def test_a_shared_gpu_has_as_many_places_as_were_asked_for(start):
    two = {cards.PRETENDED: "GPU-a,GPU-b"}
    jobs = [start(slots=2, **two) for _ in range(4)]
    assert sorted(gpu for job in jobs for gpu in job.gpus()) == ["GPU-a", "GPU-a", "GPU-b", "GPU-b"]
    fifth, alone = start(slots=2, **two), start(**two)
    said_by(fifth, "waiting for a GPU")
    said_by(alone, "waiting for a GPU")
    jobs[0].kill()
    assert len(fifth.gpus()) == 1
    for job in (*jobs, fifth):
        job.kill()
    assert len(alone.gpus()) == 1


def test_a_gpu_that_somebody_has_alone_is_not_shared(start):
    one = {cards.PRETENDED: "GPU-a"}
    first = start(**one)
    first.gpus()
    second = start(slots=4, **one)
    said_by(second, "waiting for a GPU")
    first.end()
    assert second.gpus() == ["GPU-a"]


def test_shared_gpus_fill_up_evenly(locks):
    with contextlib.ExitStack() as jobs:
        taken = [jobs.enter_context(leases.lease(["GPU-a", "GPU-b"], slots=2))[0] for _ in range(4)]
    assert taken == ["GPU-a", "GPU-b", "GPU-a", "GPU-b"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failing_job_frees_its_gpu(locks, error):
    for _ in range(2):
        with pytest.raises(error), leases.lease(["MIG-GPU-a/1/0"]) as mine:
            assert mine == ["MIG-GPU-a/1/0"]
            raise error


# -- what is said


def test_what_is_waited_for_is_said_at_once_and_every_minute(locks, monkeypatch, caplog):
    """By a clock that a short sleep moves by ten seconds."""
    clock = itertools.count()
    with contextlib.ExitStack() as other:
        other.enter_context(leases.lease(["GPU-a"]))
        caplog.clear()
        caplog.set_level(logging.INFO)
        now = [0.0]

        def sleep(seconds):
            now[0] += 10
            if next(clock) == 15:
                other.close()

        monkeypatch.setattr(leases.time, "sleep", sleep)
        monkeypatch.setattr(leases.time, "monotonic", lambda: now[0])
        with leases.lease(["GPU-a"]):
            pass
    holder = f"GPU-a is held by pid {os.getpid()} on "
    waited = ["waiting for a GPU", "waiting for 1 min by now for a GPU", "waiting for 2 min by now for a GPU"]
    *lines, last = caplog.messages
    assert [line.partition(": ")[0] for line in lines] == waited
    assert all(holder in line for line in lines)
    assert last == "leased GPU-a after 2 min"


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.4, "5 s"), (59.9, "60 s"), (60, "1 min"), (3599, "59 min"), (12_000, "3 h 20 min")]
)
def test_a_span_of_time(seconds, text):
    assert leases._span(seconds) == text


def test_what_a_lock_says_cannot_move_a_cursor(locks, start):
    with leases.lease(["GPU-a"]):
        (locks / "GPU-a.lock").write_bytes(b"\x1b[2Jsome\nbody\xff" + b"x" * 500)
        line = said_by(start(**{cards.PRETENDED: "GPU-a"}), "waiting")
    assert "GPU-a is held by [2Jsomebody" in line and "\x1b" not in line and len(line) < 300


# -- the folder


def test_the_folder_is_for_all_users_whatever_the_umask(locks):
    before = os.umask(0o077)
    try:
        with leases.lease(["GPU-a"], slots=2):
            pass
    finally:
        assert os.umask(before) == 0o077
    assert stat.S_IMODE(locks.stat().st_mode) == 0o1777
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in locks.iterdir()} == {
        "GPU-a.lock": 0o666,
        "GPU-a.0.lock": 0o666,
    }


def test_one_folder_of_the_machine_unless_another_is_named(locks, monkeypatch):
    assert leases.folder() == locks
    for value in ("", None):
        monkeypatch.setenv(leases.VARIABLE, "")
        if value is None:
            monkeypatch.delenv(leases.VARIABLE)
        monkeypatch.setenv("TMPDIR", "/elsewhere")
        assert leases.folder() == Path("/tmp/pagboost-gpus")


@contextlib.contextmanager
def leased_by(user, where):
    """A forked process of a user that leases a GPU and holds it: a file that can be read from once it has."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            with leases.lease(["GPU-a"], where=where, poll=0.02):
                os.write(writing, b".")
                signal.pause()
        finally:
            os._exit(1)
    os.close(writing)
    with open(reading, "rb", buffering=0) as file:
        try:
            yield file
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@pytest.mark.skipif(os.getuid() != 0, reason="needs other users")
def test_users_exclude_each_other():
    with tempfile.TemporaryDirectory() as parent, contextlib.ExitStack() as later:
        os.chmod(parent, 0o1777)
        where = Path(parent) / "locks"
        with leased_by(65533, where) as first:
            assert first.read(1) == b"."
            second = later.enter_context(leased_by(65534, where))
            assert not select.select([second], [], [], 0.3)[0]
            lock = where / "GPU-a.lock"
            assert lock.stat().st_uid == 65533
        assert second.read(1) == b"."
        lock.chmod(0o644)  # rights taken away: reading is enough
        third = later.enter_context(leased_by(65532, where))
        assert not select.select([third], [], [], 0.3)[0]


@pytest.mark.parametrize(
    "trick",
    [
        pytest.param(lambda lock, victim: lock.symlink_to(victim), id="symlink"),
        pytest.param(lambda lock, victim: lock.hardlink_to(victim), id="hard link"),
        pytest.param(lambda lock, victim: os.mkfifo(lock), id="fifo"),
        pytest.param(lambda lock, victim: lock.mkdir(), id="folder"),
        pytest.param(lambda lock, victim: lock.symlink_to("nowhere"), id="symlink to nothing"),
    ],
)
def test_what_only_looks_like_a_lock_is_refused(locks, tmp_path, trick):
    with leases.lease(["GPU-b"]):
        pass
    victim = tmp_path / "victim"
    victim.write_text("precious")
    trick(locks / "GPU-a.lock", victim)
    expected = r"GPU-a.lock: .*, expected the lock of a GPU \(a plain file\)$"
    with pytest.raises(InputError, match=expected) as error, leases.lease(["GPU-a"]):
        pass
    assert "\n" not in str(error.value)
    assert victim.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["locks", "victim"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.symlink_to("/"), "a folder for the locks of GPUs"),
        (lambda path: path.write_text(""), "a folder for the locks of GPUs"),
        (lambda path: (path.mkdir(), path.chmod(0o777)), "its mode is 777, expected 1777"),
    ],
)
def test_a_folder_that_cannot_be_trusted_is_refused(tmp_path, make, said):
    where = tmp_path / "locks"
    make(where)
    with pytest.raises(InputError, match=f"{where}: .*{said}.*PAGBOOST_LOCKS"), leases.lease(["GPU-a"], where=where):
        pass


def test_a_private_folder_will_do(tmp_path, monkeypatch):
    """Also through a link: whoever names a folder means where it leads."""
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("mine")
    monkeypatch.setenv(leases.VARIABLE, str(tmp_path / "link"))
    with leases.lease(["GPU-a"]):
        assert (tmp_path / "mine" / "GPU-a.lock").is_file()


def test_a_lock_that_was_removed_meanwhile_is_none(locks, monkeypatch):
    """Between opening a file and locking it, its name may come to mean another."""
    lock, flock = leases.fcntl.flock, []

    def removed_first(file, kind):
        lock(file, kind)
        if kind & leases.fcntl.LOCK_EX and not flock:
            flock.append(file)
            (locks / "GPU-a.lock").unlink()

    monkeypatch.setattr(leases.fcntl, "flock", removed_first)
    with leases.lease(["GPU-a"], poll=0.01):
        assert flock and (locks / "GPU-a.lock").is_file()
        monkeypatch.undo()
        monkeypatch.setattr(leases.time, "sleep", mock.Mock(side_effect=TimeoutError))
        with pytest.raises(TimeoutError), leases.lease(["GPU-a"], where=locks):
            pass


def test_who_waits_outlives_the_folder(locks, monkeypatch):
    with leases.lease(["GPU-a"]):
        monkeypatch.setattr(leases.time, "sleep", lambda seconds: shutil.rmtree(locks))
        with leases.lease(["GPU-a"]):
            assert (locks / "GPU-a.lock").is_file()
