"""Jobs in children of a warm process are what they would be on their own: bytes, streams, exits, and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pagboost.machine import cards, leases, warm

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
SOURCE = Path(warm.__file__).parents[2]
SCRIPT = """
import os, signal, sys, time
from pagboost import cli

def main():
    print("out", sys.argv[1:], os.getcwd(), os.environ["MINE"], oct(os.umask(0)), os.environ["PAGBOOST_WARM"])
    print("err", file=sys.stderr)
    print("torch" in sys.modules, os.getppid() == int(os.environ["PARENT"]))
    what = sys.argv[1]
    if what == "input":
        print(sys.stdin.read())
    if what == "later":
        print(set(sys.argv[2:4]) <= set(sys.modules))
    if what == "raise":
        raise KeyError("what")
    if what == "line":
        from pagboost.errors import InputError
        raise InputError("file: a value, expected another")
    if what == "code":
        sys.exit(7)
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "wait":
        open(sys.argv[2], "w").write(str(os.getpid()))
        time.sleep(600)
    if what == "lease":
        from pagboost.machine import cards, leases
        with leases.lease(cards.visible(), poll=0.02) as mine:
            print(*mine, flush=True)
            time.sleep(600)

cli.run(main)
"""


@pytest.fixture(scope="module", autouse=True)
def process():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(warm.VARIABLE, raising=False)
        warm.start()
        yield
        warm.stop()


@pytest.fixture
def run(tmp_path):
    """run(what, ...) -> a finished process; run.start: one that goes on."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def start(*arguments, threads="1", **environment):
        command = [sys.executable, script, *arguments, "--threads", threads]
        mine = {"PYTHONPATH": str(SOURCE), "MINE": "é", "PARENT": str(os.getpid())}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            list(map(str, command)),
            cwd=tmp_path,
            env=os.environ | mine | environment,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            umask=0o27,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a shell's `&` has ignored
        )

    def finish(*arguments, given="", **options):
        job = start(*arguments, **options)
        out, err = job.communicate(given, timeout=120)
        return job.returncode, out, err

    finish.start = start
    return finish


def test_a_job_has_its_own_arguments_streams_folder_and_environment(run, tmp_path):
    code, out, err = run("input", "a b", given="given")
    said, peak = err.splitlines()
    assert code == 0 and said == "err"
    assert 20 < int(re.fullmatch(rf"{warm.PEAK}(\d+) MB", peak)[1]) < 4_000
    said = f"out ['input', 'a b', '--threads', '1'] {tmp_path} é 0o27 off"
    assert out.splitlines() == [said, "True False", "given"]


def test_a_command_of_the_package_is_run_as_a_script_is(tmp_path):
    command = [sys.executable, "-m", "pagboost", "merge", "--threads", "1", "--help"]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: pagboost merge ") and done.stderr.startswith(warm.PEAK)


@pytest.mark.parametrize(
    ("what", "options", "warmed"),
    [
        ("none", {"threads": "2"}, False),
        ("none", {"PAGBOOST_WARM": "off"}, False),
        ("none", {"PAGBOOST_WARM": json.dumps(["/nowhere", sys.executable, warm.FOLDER])}, False),
        ("none", {"PAGBOOST_WARM": "{"}, False),
        ("none", {}, True),
    ],
)
def test_whoever_does_not_fit_runs_alone(run, what, options, warmed):
    code, out, _ = run(what, **options)
    assert code == 0 and out.splitlines()[1] == f"{warmed} {not warmed}"


def test_what_trainings_alone_need_is_imported_when_nobody_waits(run):
    """torch's optimizers import its compiler."""
    assert warm.LATER == ("torch._dynamo",)
    _until(lambda: run("later", "torch.optim", *warm.LATER)[1].splitlines()[-1] == "True")


@pytest.mark.parametrize("same", [["/another/python", warm.FOLDER], [sys.executable, "/another/checkout/src"]])
def test_another_interpreter_and_another_checkout_run_alone(run, same):
    address, *_ = json.loads(os.environ[warm.VARIABLE])
    _, out, _ = run("none", PAGBOOST_WARM=json.dumps([address, *same]))
    assert out.splitlines()[1] == "False True"


def test_this_project_s_modules_are_there_too(run):
    _until(lambda: run("later", "pagboost.report.render", "pagboost.recipes")[1].splitlines()[-1] == "True")


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("raise", 1, "KeyError: 'what'\n"),
        ("line", 1, "error: file: a value, expected another\n"),
        ("code", 7, "err\n"),
        ("killed", -signal.SIGKILL, "err\n"),
    ],
)
def test_a_job_ends_as_it_would_alone(run, what, code, said):
    for options in ({}, {"PAGBOOST_WARM": "off"}):
        found, _, err = run(what, **options)
        assert found == code and err.endswith(said)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_job_ends_with_its_script(run, tmp_path, end):
    job = run.start("wait", "pid")
    written = tmp_path / "pid"
    _until(lambda: written.exists() and written.read_text())
    child = int(written.read_text())
    job.send_signal(end)
    job.wait(60)
    _until(lambda: not _alive(child))
    assert job.returncode != 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_holds_its_gpu_as_long_as_its_script_runs(run, tmp_path, end):
    """The process itself, which all children share, holds none."""
    one = {cards.PRETENDED: "GPU-a", leases.VARIABLE: str(tmp_path / "locks")}
    first, second = run.start("lease", **one), None
    try:
        assert [first.stdout.readline() for _ in range(3)][1:] == ["True False\n", "GPU-a\n"]
        second = run.start("lease", **one)
        assert any("waiting for a GPU: GPU-a is held by pid" in line for line in second.stderr)
        first.send_signal(end)
        assert "GPU-a\n" in second.stdout
    finally:
        for job in filter(None, (first, second)):
            job.kill()
            job.communicate()


def test_a_process_that_is_gone_is_one_line(run, tmp_path):
    job = run.start("wait", "pid")
    written = tmp_path / "pid"
    _until(lambda: written.exists() and written.read_text())
    watcher = int(Path(f"/proc/{written.read_text()}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(watcher, signal.SIGKILL)
    _, err = job.communicate(timeout=60)  # the child is gone too
    assert job.returncode == 1 and err.splitlines()[-1].startswith("error: the warm process ended before its job did")


def test_it_ends_with_whoever_started_it(tmp_path):
    code = "import os, sys, time; from pagboost.machine import warm; warm.start(); process, folder = warm._started[0]"
    code += "; print(process.pid, folder.name, sep=chr(10), flush=True); time.sleep(600)"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    environment.pop(warm.VARIABLE)
    starter = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    worker, folder = int(starter.stdout.readline()), Path(starter.stdout.readline().strip())
    assert _alive(worker)
    _until(lambda: (folder / "warm").exists())
    starter.kill()
    starter.communicate()
    _until(lambda: not _alive(worker))
    assert not folder.exists()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
