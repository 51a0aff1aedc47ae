#!/usr/bin/env python3
"""Faults at random moments of the small run of tests/workflow, then the same command again: is all as if nothing was?

python benchmarks/drill.py --rounds 20 --seed 0        (Linux; root: a full disk, read-only folders too)

Each round starts from nothing, in a checkout's copy: a fault at a random moment, the end of that run, the same command
once more. Then every file of the results is compared with an undisturbed run's, byte for byte, and what else there is
(files left in the working folder, in the folder of temporary files, Snakemake's lock, processes) is listed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
FILES, FOLDERS = ("Snakefile", "config.yaml", "environment.yml", "profiles"), ("config", "src", "workflow")
TARGETS = ("results/small/tables/ganz2021/table2.csv",)  # a job or more of each rule that computes
HANG = 900.0  # seconds: no run takes as long
APART = ("logs", "benchmarks", ".running", ".runs")  # of results: what was said, how long it took, and where
TELLING = ("error: ", "OSError", "exit status", "Error", "Exception", "Terminating", "Exiting")
ROOM = "64m"  # of the file system that is to run full


@dataclass
class Round:
    """What one fault did."""

    fault: str
    moment: float  # seconds after the start
    struck: bool  # False: the run had ended, or there was nothing to strike
    code: int  # of the disturbed run
    said: str  # its last line about what failed
    again: int  # the code of the second run; 0 is what is wanted
    seconds: float  # of the second run
    csvs: int  # CSV files compared
    other: str  # files whose bytes differ
    stray: str  # files that an undisturbed run does not leave
    missing: str  # files that it does
    running: str  # processes that outlive the disturbed run for more than a moment


class Place:
    """A working folder with the small scale in it, beside a copy of the checkout `root`."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self.results, self.temporary = folder / "results", folder / "tmp"
        for made in (self.results, self.temporary):
            made.mkdir(parents=True)
        (folder / "small.yaml").write_text(yaml.safe_dump(small_scale(), sort_keys=False))
        (folder / "settings.yaml").write_text(yaml.safe_dump({"scale": "small.yaml", "seeds": [0, 1]}))

    def start(self, targets: list[str]) -> subprocess.Popen:
        command = [sys.executable, "-m", "snakemake", "--snakefile", self.root / "Snakefile", "--cores", "2"]
        command += ["--configfile", "settings.yaml", "--", *targets]
        with (self.folder / "output").open("ab") as output:
            return subprocess.Popen(
                list(map(str, command)),
                cwd=self.folder,
                env=os.environ | {"TMPDIR": str(self.temporary), "PYTHONPATH": str(self.root / "src")},
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=interruptible,
            )

    def run(self, targets: list[str]) -> tuple[int, float]:
        """(exit code, seconds)."""
        begin = time.monotonic()
        return self.start(targets).wait(timeout=HANG), time.monotonic() - begin

    def said(self) -> str:
        """The line that says why the last run failed: the most telling one, of those the last."""
        lines = (self.folder / "output").read_text(errors="replace").splitlines()
        found = [line.strip() for word in TELLING for line in reversed(lines) if word in line]
        return found[0][-120:] if found else ""

    def processes(self, script: str = "/src/") -> list[int]:
        """Processes in this folder whose command line holds a text."""
        found = []
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if process.name.isdecimal() and os.readlink(process / "cwd") == str(self.folder):
                    found += [int(process.name)] if script.encode() in (process / "cmdline").read_bytes() else []
        return found

    def hashes(self) -> dict[str, str]:
        """{file of the results: SHA-256}"""
        return {
            str(path.relative_to(self.results)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.results.rglob("*"))
            if path.is_file() and not set(path.relative_to(self.results).parts) & set(APART)
        }

    def files(self) -> set[str]:
        """All files, but what Snakemake remembers of jobs and says; of that, locks and marks of unfinished jobs."""
        found = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
        noted = (".snakemake/locks/", ".snakemake/incomplete/", ".snakemake/pagboost/lost")
        found = {name for name in found if not name.startswith(".snakemake/") or name.startswith(noted)}
        return {name for name in found if "/.runs/" not in name}


def interruptible() -> None:
    """A shell that starts this in the background has its processes ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def small_scale() -> dict:
    spec = importlib.util.spec_from_file_location("small", ROOT / "tests" / "workflow" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.small_scale()


# -- faults: functions of a place, its Snakemake and a source of randomness, which undo themselves at their end; they
#    yield whether there was anything to strike


@contextlib.contextmanager
def job_killed(place: Place, snakemake: subprocess.Popen, draw: random.Random) -> Iterator[bool]:
    """kill -9 of a script, as for its memory."""
    yield kill_one(place, snakemake, draw, "/src/")


@contextlib.contextmanager
def warm_killed(place: Place, snakemake: subprocess.Popen, draw: random.Random) -> Iterator[bool]:
    """kill -9 of the warm process or of a job of its."""
    yield kill_one(place, snakemake, draw, "pagboost.machine.warm")


def kill_one(place: Place, snakemake: subprocess.Popen, draw: random.Random, named: str) -> bool:
    """kill -9 of a process whose command line holds a text, as soon as there is one; whether there was."""
    while snakemake.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            if processes := place.processes(named):
                os.kill(draw.choice(processes), signal.SIGKILL)
                return True
        time.sleep(0.05)
    return False


def signalled(number: signal.Signals, whole: bool) -> Callable:
    """A signal for Snakemake, or (whole) for all that a terminal's Ctrl-C reaches."""

    @contextlib.contextmanager
    def fault(place: Place, snakemake: subprocess.Popen, draw: random.Random) -> Iterator[bool]:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if whole else os.kill)(snakemake.pid, number)
        yield True

    return fault


@contextlib.contextmanager
def disk_full(place: Place, snakemake: subprocess.Popen, draw: random.Random) -> Iterator[bool]:
    """No more room where results are written (a file system in memory, under results from the start)."""
    filler = place.results / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    yield True
    filler.unlink()


@contextlib.contextmanager
def read_only(place: Place, snakemake: subprocess.Popen, draw: random.Random) -> Iterator[bool]:
    """Nobody, root neither, may write into the folders of results (chattr +i, of ext4 and others)."""
    folders = [path for path in (place.results, *place.results.rglob("*")) if path.is_dir()]
    subprocess.run(["chattr", "+i", *folders], check=False, capture_output=True)
    yield True
    subprocess.run(["chattr", "-i", *folders], check=True, capture_output=True)


FAULTS = {
    "job: SIGKILL": job_killed,
    "warm process: SIGKILL": warm_killed,
    "Snakemake: SIGKILL": signalled(signal.SIGKILL, whole=False),
    "Snakemake: SIGTERM": signalled(signal.SIGTERM, whole=False),
    "all: SIGINT (Ctrl-C)": signalled(signal.SIGINT, whole=True),
    "all: SIGKILL": signalled(signal.SIGKILL, whole=True),
}
AS_ROOT = {"disk full": disk_full, "read-only folders": read_only}


def drill(place: Place, fault: str, moment: float, draw: random.Random, targets: list[str], whole: Place) -> Round:
    """Strike a run at a moment, run again, compare with the whole of an undisturbed one."""
    with in_memory(place.results) if fault == "disk full" else contextlib.nullcontext():
        snakemake = place.start(targets)
        with contextlib.suppress(subprocess.TimeoutExpired):
            snakemake.wait(timeout=moment)
        struck = snakemake.poll() is None
        with {**FAULTS, **AS_ROOT}[fault](place, snakemake, draw) if struck else contextlib.nullcontext(False) as hit:
            code = snakemake.wait(timeout=HANG)
            running = outliving(place)
        said = place.said() if code else ""
        again, seconds = place.run(targets)
        expected, found = whole.hashes(), place.hashes()
        differing = sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name])
        files, wanted = place.files(), whole.files()
    return Round(
        fault,
        round(moment, 1),
        bool(hit),
        code,
        said,
        again,
        round(seconds, 1),
        sum(name.endswith(".csv") for name in expected.keys() & found.keys()),
        " ".join(differing),
        " ".join(sorted(files - wanted)),
        " ".join(sorted(wanted - files)),
        " ".join(running),
    )


def outliving(place: Place, patience: float = 15.0) -> list[str]:
    """Command lines of processes that are there a while after their Snakemake has ended."""
    end = time.monotonic() + patience
    while place.processes("python") and time.monotonic() < end:
        time.sleep(0.5)
    return [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:80] for pid in place.processes("python")]


@contextlib.contextmanager
def in_memory(folder: Path) -> Iterator[None]:
    """A file system of its own at a folder: small, so that it can be filled."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "drill", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no round is begun after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", nargs="+", choices=[*FAULTS, *AS_ROOT], help="in turn; default: all there are")
    parser.add_argument("--targets", nargs="+", default=list(TARGETS))
    parser.add_argument("--out", type=Path, help="CSV, a row a round")
    flags = parser.parse_args()
    draw, begin = random.Random(flags.seed), time.monotonic()
    faults = flags.faults or [*FAULTS, *(AS_ROOT if os.geteuid() == 0 else ())]
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        root = Path(folder, "checkout")
        root.mkdir()
        for name in FILES:
            shutil.copy2(ROOT / name, root / name, follow_symlinks=False)
        for name in FOLDERS:
            shutil.copytree(ROOT / name, root / name)
        undisturbed = Place(Path(folder, "undisturbed"), root)
        code, taken = undisturbed.run(flags.targets)
        if code:
            sys.exit((undisturbed.folder / "output").read_text()[-3000:])
        print(f"undisturbed: {taken:.1f} s, {len(undisturbed.hashes())} files", flush=True)
        rounds = []
        for number in range(flags.rounds):
            if time.monotonic() - begin > 60 * flags.minutes:
                break
            place = Place(Path(folder, f"round{number}"), root)
            fault = faults[number % len(faults)]
            rounds.append(drill(place, fault, draw.uniform(1, 0.95 * taken), draw, flags.targets, undisturbed))
            print(*(f"{key}={value}" for key, value in asdict(rounds[-1]).items() if value != ""), flush=True)
            if rounds[-1].again == 0:
                shutil.rmtree(place.folder)
            else:
                print((place.folder / "output").read_text()[-3000:], flush=True)
    if flags.out:
        with flags.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(asdict(rounds[0])))
            writer.writeheader()
            writer.writerows(map(asdict, rounds))
    wrong = [r for r in rounds if r.again or r.other or r.stray or r.missing or r.running]
    print(f"{len(rounds)} rounds, {sum(r.struck for r in rounds)} struck, {len(wrong)} not as if nothing had been")


if __name__ == "__main__":
    main()
