"""A process that has imported what is slow to import, and forks a child for each job: start-up is paid once a run.

Snakemake starts it for jobs of its own machine (`start`). A script finds it by the environment and hands its command
line over (`run_elsewhere`), else it runs as ever: in a cluster's job, in another environment, with more threads than
one. The child has the script's arguments, environment, folder and standard streams; whichever of the two ends first
ends the other, and the script's exit is the child's, by code or by signal. Snakemake's benchmarks do not see the
child: the last line of what it says on standard error is the most memory it held. PAGBOOST_WARM=off: every job imports
for itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost.machine import allocation, parents

VARIABLE = "PAGBOOST_WARM"  # [address, interpreter, folder of this package] as JSON, or "off"
FOLDER = str(Path(__file__).parents[2])
# Libraries read how many threads to use when they are imported: jobs of one thread alone find what they would set.
THREADS = "1"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# in the order in which scripts import them
IMPORTED = ("numpy", "torch", "safetensors.torch", "scipy.linalg", "scipy.stats", "pandas", "matplotlib.figure", "tqdm")
# Making an optimizer imports torch's compiler, more than a second in every training; done while nobody waits
LATER = ("torch._dynamo",)
PATIENCE = 10.0  # seconds between asking a child to end and ending it
STREAMS = 3
PEAK = "peak memory "  # begins the last line of a job's log
PR_SET_PDEATHSIG = 1  # of Linux's prctl


# -- for Snakemake

_started: list[tuple[Any, Any]] = []  # the process, and the folder of its socket


def start() -> None:
    """Start the process, once, and name it to what is started from here; nowhere but on Linux."""
    import subprocess
    import tempfile

    if _started or os.environ.get(VARIABLE) or not hasattr(os, "pidfd_open"):
        return
    folder = tempfile.TemporaryDirectory(prefix="pagboost-", ignore_cleanup_errors=True)
    address = os.path.join(folder.name, "warm")
    known = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join(filter(None, [known, FOLDER]))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(1024)  # from now on: whoever comes early waits for the imports
        worker = subprocess.Popen(
            [sys.executable, "-m", "pagboost.machine.warm", address, str(listener.fileno())],
            stdin=subprocess.PIPE,  # which ends with this process, however that ends
            stdout=subprocess.DEVNULL,
            env=os.environ | dict.fromkeys(THREAD_VARIABLES, THREADS) | {"PYTHONPATH": path},
            start_new_session=True,  # a terminal's Ctrl-C is for the scripts, and ends children through them
            pass_fds=[listener.fileno()],
        )
    _started.append((worker, folder))
    os.environ[VARIABLE] = json.dumps([address, sys.executable, FOLDER])


def stop() -> None:
    """End the process, if there is one."""
    while _started:
        worker, folder = _started.pop()
        worker.stdin.close()
        worker.terminate()  # it may be importing
        worker.wait()
        folder.cleanup()
        os.environ.pop(VARIABLE, None)


# -- for scripts


def run_elsewhere() -> None:
    """Let a warm process run this script, and exit as its child does; return where there is none that fits."""
    connection = _connect()
    if connection is None:
        return
    request = {"argv": sys.argv, "cwd": os.getcwd(), "umask": _umask(), "environment": dict(os.environ)}
    body = json.dumps(request | {"script": os.getpid()}).encode()
    with connection:
        socket.send_fds(connection, [len(body).to_bytes(8)], range(STREAMS))
        connection.sendall(body)
        if connection not in select.select([connection, *(parents.ends() or ())], [], [])[0]:
            sys.exit("error: what started this job is gone")
        answer = connection.recv(16)
    if not answer:
        sys.exit("error: the warm process ended before its job did (PAGBOOST_WARM=off does without)")
    status = int(answer)
    if status < 0:  # ended by a signal, and so does this
        with contextlib.suppress(OSError):  # SIGKILL's is no other ever
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def _connect() -> socket.socket | None:
    """A connection to the process, where its interpreter, package and number of threads are those of this script."""
    try:
        address, *same = json.loads(os.environ.get(VARIABLE, "null"))
    except (ValueError, TypeError):
        return None
    threads = [after for flag, after in zip(sys.argv, sys.argv[1:], strict=False) if flag == "--threads"]
    if same != [sys.executable, FOLDER] or threads != [THREADS]:
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        for stream in range(STREAMS):
            os.fstat(stream)
        connection.connect(address)
    except OSError:
        connection.close()
        return None
    return connection


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# -- the process itself


def main(address: str, file: int) -> None:
    """Import, then run one script for each connection to the socket at `address`, until standard input ends."""
    allocation.keep()  # before torch reads the environment: the children find what they would set
    with socket.socket(fileno=file) as listener:
        _import(IMPORTED)
        job = _next_job(listener)
    if job is not None:
        _run(*job)
    with contextlib.suppress(OSError):  # whoever started this may have been killed
        os.unlink(address)
        os.rmdir(os.path.dirname(address))


def _import(names: Sequence[str]) -> None:
    """Import modules, of those that are there."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # else each child's collections would touch, and so copy, all of it


def _own() -> list[str]:
    """This project's modules: a run's jobs are made by the code that it started with, whose digests they carry."""
    import pkgutil

    package = importlib.import_module("pagboost")
    return [module.name for module in pkgutil.walk_packages(package.__path__, "pagboost.")]


def _next_job(listener: socket.socket) -> tuple[Mapping[str, Any], Sequence[int]] | None:
    """In a child: a script to run, and its streams. In the process itself: None, at its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who watch
    later = [*LATER, *_own()]
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [], 0 if later else None)
        if sys.stdin in ready:
            return None
        if not ready:
            _import([later.pop(0)])
            continue
        connection, _ = listener.accept()
        with connection:
            if os.fork() == 0:
                return _watched(connection)


def _watched(connection: socket.socket) -> tuple[Mapping[str, Any], Sequence[int]]:
    """Fork the child, in which this returns; here, answer with its status, and end it when the script is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(connection, 8, STREAMS)
    with connection.makefile("rb") as file:
        request = json.loads(file.read(int.from_bytes(head)))
    child = os.fork()
    if child == 0:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # should this process be killed, so is the child
        return request, streams
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:
        os.kill(child, signal.SIGTERM)
        if not select.select([ended], [], [], PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(str(status).encode())
    os._exit(0)


def _run(request: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Be the script, to its end: what it prints, opens and ends with is its own."""
    for stream, given in enumerate(streams):
        os.dup2(given, stream)
        os.close(given)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115 (open as long as the process)
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"] | {VARIABLE: "off"})
    parents.works_for(request["script"])
    sys.argv = request["argv"]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    code = _outcome(sys.argv[0])
    if code == 0:  # else the reason is the log's last line
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux's are KiB
        _say(f"{PEAK}{most:.0f} MB")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    # Not by the interpreter's own end, which would touch, and so copy, all that was imported before the fork
    os._exit(code)


def _outcome(script: str) -> int:
    """Run a script as __main__; the code that Python would end with."""
    import runpy
    import traceback

    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        _say(end.code)
        return 1
    except BaseException:
        _say(traceback.format_exc().rstrip())
        return 1
    return 0


def _say(what: object) -> None:
    """A line on standard error, unless its disk is full: the code says the rest."""
    with contextlib.suppress(OSError):
        print(what, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
