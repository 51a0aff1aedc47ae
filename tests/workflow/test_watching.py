"""What is seen of a run: in its terminal, in its log, and from another terminal; a failure's reason stands last."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from .conftest import PRETENDED, ROOT, fork, snakemake

pytestmark = pytest.mark.workflow
WEIGHTS = "results/digits/weights"
TARGETS = (f"{WEIGHTS}/cnn_a.safetensors", f"{WEIGHTS}/cnn_b.safetensors")
LOG = "results/digits/logs/weights/cnn_b.log"
NAN = re.compile(rf"^Training cnn_b failed: error: classifier: loss \S+ at iteration \d+, expected .* \({LOG}\)$")
KILLED = f"Training cnn_b failed: killed by signal 9: out of memory? ({LOG})"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A working folder whose cnn_a is trained in a moment, and whose cnn_b learns so fast that it breaks."""
    trainings = {"cnn_a": {"iterations": 5}, "cnn_b": {"iterations": 20, "lr": 1e30}}
    models = {name: {"training": training} for name, training in trainings.items()}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump({"models": models}))
    return tmp_path


def status(folder: Path, *flags: str) -> str:
    """What src/status.py prints."""
    command = [sys.executable, ROOT / "src" / "status.py", "results/digits", *flags]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def on_a_terminal(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Snakemake's exit status and all that it wrote to a pseudo terminal."""
    ours, its = pty.openpty()
    command = ["--snakefile", ROOT / "Snakefile", "--cores", "2", *arguments]
    size = {"TERM": "xterm", "COLUMNS": "110", "LINES": "30"}
    shown = b""
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(fork, command, folder, size | environment, os.ttyname(its), os.ttyname(its))
        while True:
            over = code.done()
            if select.select([ours], [], [], 0.05)[0]:
                shown += os.read(ours, 65536)
            elif over:
                break
    os.close(ours)
    os.close(its)
    return code.result(), shown.decode(errors="replace")


def test_a_log_ends_with_the_reason_and_another_terminal_says_the_same(folder):
    done = snakemake("--keep-going", "--configfile", "settings.yaml", "--", *TARGETS, cwd=folder)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-8:]
    assert any(NAN.match(line) for line in last), done.stderr
    (run,) = json.loads(status(folder, "--json"))
    assert (run["state"], run["done"], run["total"]) == ("failed", 2, 3)
    assert run["missing"] == [TARGETS[1]]
    (failed,) = run["failed"]
    assert failed["reason"].startswith("error: classifier: loss ")
    assert "failed: 2 of 3 jobs done, 1 failed" in status(folder)

    # what jobs took is known from then on; this time the job is killed
    killing = {"PYTHONPATH": str(PRETENDED), "KILL": "train.py cnn_b"}
    rest = ("--configfile", "settings.yaml", "--forcerun", "train_awaited", "--keep-going", "--", *TARGETS)
    code, shown = on_a_terminal(folder, *rest, **killing)
    assert code == 1
    assert "of 2 jobs done" in shown and "Training cnn_a: done in" in shown
    assert " left · " in shown
    assert "Select jobs to execute" not in shown and "Reason: " not in shown
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown).replace("\r", "")
    assert "".join(KILLED.split()) in "".join(plain[-1200:].split())
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is there again
    (run,) = json.loads(status(folder, "--json"))
    assert (run["state"], run["failed"][0]["reason"]) == ("failed", "killed by signal 9: out of memory?")


def test_quiet_says_nothing_of_its_own(folder):
    code, shown = on_a_terminal(
        folder, "--quiet", "--configfile", "settings.yaml", "--", "results/digits/data/digits16/train.npz"
    )
    assert code == 0
    assert "jobs done" not in shown and "Data set" not in shown and "\x1b[?25l" not in shown
