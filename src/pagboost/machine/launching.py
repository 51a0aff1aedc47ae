"""One process for each GPU of a job: started together, ended together, and one word said where one of them fails.

Each runs the script that is running, with the same command line, and sees its own GPU alone. They are no children of
the warm process, which has no CUDA to give away, and no torchrun: that starts what is here, from its own interpreter
and over a port that anybody may connect to; these meet in a folder of this user's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pagboost.machine import cards, parents, team, warm

POLL = 0.05  # seconds between looks at what has ended
GRACE = 5.0  # seconds in which others notice by themselves that one has failed
PATIENCE = 10.0  # seconds between asking a process to end and ending it


def together(gpus: Sequence[str], threads: int) -> None:
    """Run this script in a process for each of these GPUs, which share `threads`; return when all have ended well.

    The first one's standard streams are this process's. Exits with one line where one fails: the first that did says
    why. Whatever ends this process ends all.
    """
    command = [sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]]
    command += ["--threads", str(max(1, threads // len(gpus)))]
    with tempfile.TemporaryDirectory(prefix="pagboost-team-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        members: list[subprocess.Popen] = []
        try:
            for rank, gpu in enumerate(gpus):
                members.append(_started(command, rank, len(gpus), gpu, folder))
            codes = _codes(members)
        finally:
            _end(members)
        if any(codes.values()):
            sys.exit(_said(codes, len(gpus), folder))


def _started(command: Sequence[str], rank: int, size: int, gpu: str, folder: Path) -> subprocess.Popen:
    environment = os.environ | {
        team.VARIABLE: json.dumps([rank, size, str(folder)]),
        warm.VARIABLE: "off",
        cards.VISIBLE: gpu,
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # its advice about what team.wrapped does on purpose
        parents.VARIABLE: f"{os.getpid()}/{parents.started(os.getpid())}",
    }
    with contextlib.ExitStack() as files:
        said = None if rank == 0 else files.enter_context(open(_log(folder, rank), "wb"))
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)


def _log(folder: Path, rank: int) -> Path:
    """What a process other than the first prints: seen by nobody unless it fails."""
    return folder / f"said.{rank}"


def _codes(members: Sequence[subprocess.Popen]) -> dict[int, int]:
    """{number: exit code} of those that ended by themselves, in that order: all, or once one failed, within GRACE."""
    codes: dict[int, int] = {}
    until: float | None = None
    while len(codes) < len(members) and (until is None or time.monotonic() < until):
        for rank, member in enumerate(members):
            if rank not in codes and (code := member.poll()) is not None:
                codes[rank] = code
        if until is None and any(codes.values()):
            until = time.monotonic() + GRACE
        time.sleep(POLL)
    return codes


def _end(members: Sequence[subprocess.Popen]) -> None:
    """End those that are left, by force if need be."""
    for member in members:
        if member.poll() is None:
            member.terminate()
    until = time.monotonic() + PATIENCE
    for member in members:
        try:
            member.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:  # inside a library that waits for the others
            member.kill()
            member.wait()


def _said(codes: Mapping[int, int], size: int, folder: Path) -> str | int:
    """What this process exits with: the line of the one that failed first, or a code where that was said already."""
    failed = [rank for rank, code in codes.items() if code not in (0, team.LOST)]
    if not failed:
        reasons = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("lost.*"))]
        return f"error: the {size} processes of this training lost each other ({', '.join(reasons[:1]) or 'no reason'})"
    rank = 0 if 0 in failed else failed[0]
    code = codes[rank]
    if code < 0:
        name = signal.Signals(-code).name
        return f"error: process {rank + 1} of {size} was ended by {name}, expected it to end by itself (memory?)"
    if rank == 0:
        return code
    lines = _log(folder, rank).read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else "\n".join(lines)
