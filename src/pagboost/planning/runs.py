"""What each run of Snakemake ran with, a line a run: results of equal bytes cannot say when and on what they were made.

Noted when a run starts, beside the results; provenance looks up which run a result is of.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from pagboost.machine import cards, warm

# Distributions whose versions results can depend on
PACKAGES = ("numpy", "pandas", "pillow", "safetensors", "scikit-learn", "scipy", "snakemake", "torch", "torchvision")
PATIENCE = 10.0  # seconds for git, which is only asked for a name


def file_of(results: str | Path) -> Path:
    """Where the runs that made a scale's results are noted."""
    return Path(results, "logs", "runs.jsonl")


def note(results: str | Path, root: str | Path, touched: bool = False) -> None:
    """Note that a run starts now, of the checkout `root`; in a folder that cannot be written Snakemake says so itself.

    touched: the run makes nothing, it accepts what lies there (--touch): nobody knows what that was made with.
    warm: whether jobs of one thread leave their work to a process that all share, whose memory Snakemake does not see.
    """
    started = round(time.time(), 3)
    run = (
        {"started": started, "touched": True}
        if touched
        else {
            "started": started,
            "code": commit(root),
            "packages": versions(PACKAGES),
            "machine": f"{platform.system()} {platform.machine()}, {processor()}, {os.cpu_count()} CPUs",
            "gpus": gpus(),
            "warm": os.environ.get(warm.VARIABLE, "off") != "off",
        }
    )
    file = file_of(results)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a", encoding="utf-8") as lines:  # one write: two runs' lines do not mix
            lines.write(json.dumps(run, sort_keys=True) + "\n")


def merged(file: Path, others: bytes) -> bytes:
    """The lines of a file of runs and of another one, each once, the first run first; what says no run goes last."""
    own = file.read_bytes() if file.is_file() else b""
    lines = dict.fromkeys(line for text in (others, own) for line in text.splitlines(keepends=True) if line.strip())
    return b"".join(sorted(lines, key=_started))


def _started(line: bytes) -> float:
    run = _read(line)
    return run["started"] if run else float("inf")


def _read(line: str | bytes) -> dict[str, Any] | None:
    """The run that a line notes; None where it cannot be read."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        run = json.loads(line)
        run["started"] = float(run["started"])
        return run
    return None


def noted(results: str | Path) -> list[dict[str, Any]]:
    """All runs that were noted, the first one first; lines that cannot be read are left out."""
    found: list[dict[str, Any]] = []
    with contextlib.suppress(OSError), open(file_of(results), encoding="utf-8", errors="replace") as lines:
        found.extend(run for line in lines if (run := _read(line)) is not None)
    return sorted(found, key=lambda run: run["started"])


def run_of(runs: Sequence[Mapping[str, Any]], started: float) -> Mapping[str, Any]:
    """The run in which a job was started: the last that had begun; {} where none had."""
    return next((run for run in reversed(runs) if run["started"] <= started), {})


def versions(names: Iterable[str]) -> dict[str, str]:
    """{distribution: version} of those that are installed, and Python's own; nothing is imported."""
    found = {"python": platform.python_version()}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def commit(root: str | Path) -> str:
    """The commit of a checkout, "-dirty" after it where files differ from it; "" where there is none."""
    if not Path(root, ".git").exists():
        return ""  # a checkout may lie in somebody else's
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        return done.stdout.strip()
    return ""


def gpus() -> dict[str, str]:
    """{UUID: model} of the GPUs that nvidia-smi sees here."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=cards.PATIENCE, check=True)
        return {uuid: card.model for card in cards.parsed(done.stdout) for uuid in card.usable}
    return {}


def processor() -> str:
    """The model of this machine's processor, as far as the system says."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or "processor unknown"
