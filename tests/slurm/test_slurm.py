"""The slurm profile on a real cluster of one node: the same tables as without, and what each fault does."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from .cluster import Cluster, cluster, missing

ROOT = Path(__file__).parents[2]
WHY = missing() or ("" if importlib.util.find_spec("snakemake_executor_plugin_slurm") else "no plugin: make cluster")
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(WHY), reason=WHY or "there is all"),
    pytest.mark.xdist_group("slurm"),
]
TABLE = "results/small/tables/ganz2021/table2.csv"
MODELS = ("cnn_a", "cnn_b", "rn50_robust")
TRAINING = "results/small/weights/{}.safetensors"
APART = ("logs", "benchmarks", ".running", ".runs")  # of results: what was said, how long it took, and where
ROOM = "64m"  # of a file system that is to run full
HANG = 600.0  # seconds: nothing takes as long, however busy the machine


def until(condition: Callable[[], object]) -> object:
    start = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() - start < HANG
        time.sleep(1)
    return found


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    with cluster() as up:
        yield up


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: an edit during a run would be another run."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("Snakefile", "config.yaml", "environment.yml", "profiles"):
        shutil.copy2(ROOT / name, root / name, follow_symlinks=False)
    for name in ("config", "src", "workflow"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def small_scale() -> dict:
    path = ROOT / "tests" / "workflow" / "conftest.py"
    spec = importlib.util.spec_from_file_location("small", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.small_scale()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with the small scale."""
    return with_settings(tmp_path)


def with_settings(folder: Path) -> Path:
    """The small scale in a folder. Over it: trainings of many hours, trainings of a moment."""
    (folder / "small.yaml").write_text(yaml.safe_dump(small_scale(), sort_keys=False))
    (folder / "settings.yaml").write_text(yaml.safe_dump({"scale": "small.yaml", "seeds": [0, 1]}))
    for name, iterations in (("long", 1_000_000), ("short", 5)):
        models = {model: {"training": {"iterations": iterations}} for model in MODELS}
        content = {"models": models, "jobs": {"train": {"runtime": 60}}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="module")
def undisturbed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the run makes on one machine if nothing happens to it."""
    folder = with_settings(tmp_path_factory.mktemp("undisturbed"))
    on_one_machine(checkout, folder)
    return made(folder)


def on_one_machine(checkout: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "snakemake", "--snakefile", checkout / "Snakefile", "--cores", "2"]
    command += ["--configfile", "settings.yaml", "--", TABLE]
    subprocess.run(list(map(str, command)), cwd=folder, check=True, capture_output=True, timeout=HANG)


def made(folder: Path) -> dict[str, str]:
    """{file of the results: SHA-256}"""
    results = folder / "results"
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file() and not set(path.relative_to(results).parts) & set(APART)
    }


def interruptible() -> None:
    """A shell that starts tests in the background has their processes ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Run:
    """Snakemake by the profile, in a folder."""

    def __init__(
        self,
        checkout: Path,
        folder: Path,
        *arguments: str,
        over: str = "",
        models: tuple[str, ...] = MODELS[:1],
        profile: str = "slurm",
        **environment: str,
    ) -> None:
        command = [sys.executable, "-m", "snakemake", "--snakefile", checkout / "Snakefile"]
        command += ["--profile", checkout / "profiles" / profile, "--latency-wait", "5", *arguments]
        if profile == "slurm":
            command += ["--default-resources", "slurm_partition=main", "--slurm-init-seconds-before-status-checks", "1"]
        files = ["settings.yaml", f"{over}.yaml"] if over else ["settings.yaml"]
        command += ["--configfile", *files, "--", *(map(TRAINING.format, models) if over else [TABLE])]
        self.file = folder.with_name(f"{folder.name}.output")  # not on a disk that is full
        environment |= {name: value for name, value in os.environ.items() if not name.startswith("PAGBOOST")}
        with self.file.open("w") as output:
            self.process = subprocess.Popen(
                list(map(str, command)),
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=output,
                preexec_fn=interruptible,
            )

    def ends(self) -> int:
        return self.process.wait(timeout=HANG)

    def said(self) -> str:
        return self.file.read_text()

    def submitted(self) -> int:
        return len(re.findall(r"submitted with SLURM jobid", self.said()))


@contextlib.contextmanager
def training(
    slurm: Cluster, checkout: Path, folder: Path, *arguments: str, over: str = ""
) -> Iterator[tuple[Run, str]]:
    """A run of whose trainings one is under way, and the latest job's id."""
    run = Run(checkout, folder, *arguments, over=over)
    try:
        until(lambda: scripts(folder) or run.process.poll() is not None)
        assert run.process.poll() is None, run.said()
        yield run, slurm.jobs(folder)[-1]
    finally:
        run.process.kill()
        run.process.wait()
        slurm.cancel(folder)


def scripts(folder: Path, model: str = "") -> list[int]:
    """Processes that train in a folder; of one model."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdecimal() and os.readlink(process / "cwd") == str(folder):
                command = (process / "cmdline").read_bytes().split(b"\0")
                if any(word.endswith(b"/src/train.py") for word in command[:2]):
                    found += [int(process.name)] if command[-2].endswith(f"{model}.safetensors".encode()) else []
    return found


def completes(checkout: Path, folder: Path, models: tuple[str, ...] = MODELS[:1]) -> None:
    """The same command, of trainings that take a moment."""
    again = Run(checkout, folder, over="short", models=models)
    assert again.ends() == 0, again.said()
    assert all((folder / TRAINING.format(model)).exists() for model in models)
    assert not list(folder.glob("results/**/.*tmp*"))


def test_tables_are_those_of_one_machine(slurm, checkout, folder):
    settings = {"jobs": {"train": {"gpu": 1}}}
    (folder / "settings.yaml").write_text((folder / "settings.yaml").read_text() + yaml.safe_dump(settings))
    run = Run(checkout, folder)
    assert run.ends() == 0, run.said()
    table = (folder / TABLE).read_bytes()
    assert run.submitted() <= 11  # of 14 jobs; the table is made here
    shown = slurm.ask("scontrol", "show", "job", "--oneliner").splitlines()
    assert (
        sum(f"WorkDir={folder} " in line and re.search(r"TresPerJob=\S*gpu:1", line) is not None for line in shown) == 4
    )
    shutil.rmtree(folder / "results")
    on_one_machine(checkout, folder)
    assert (folder / TABLE).read_bytes() == table


def test_a_killed_job_is_submitted_again_for_twice_as_much_and_an_interrupt_cancels_it(slurm, checkout, folder):
    with training(slurm, checkout, folder, over="long") as (run, job):
        asked = int(slurm.ask("squeue", "--noheader", f"--jobs={job}", "--format=%m").removesuffix("M"))
        os.kill(scripts(folder)[0], signal.SIGKILL)
        again = until(lambda: set(slurm.jobs(folder)) - {job}).pop()
        more = int(slurm.ask("squeue", "--noheader", f"--jobs={again}", "--format=%m").removesuffix("M"))
        assert (asked, more) == (1800, 3300)  # 1,500 MB and twice that, and Snakemake's own
        until(lambda: scripts(folder))
        run.process.send_signal(signal.SIGINT)
        assert run.ends() != 0
        until(lambda: not scripts(folder))
    completes(checkout, folder)


def test_each_fault_is_said_and_the_same_command_completes_the_run(slurm, checkout, folder):
    """One training is killed, one cancelled, one exceeds its time."""
    late = "1 if wildcards.model == 'rn50_robust' else 60"
    arguments = ["--retries", "0", "--keep-going", "--set-resources", f"train_awaited:runtime={late}"]
    run = Run(checkout, folder, *arguments, over="long", models=MODELS)
    try:
        until(lambda: scripts(folder, "cnn_a") or run.process.poll() is not None)
        assert run.process.poll() is None, run.said()
        os.kill(scripts(folder, "cnn_a")[0], signal.SIGKILL)
        cancelled = until(lambda: job_of(run, "cnn_b"))
        slurm.ask("scancel", cancelled)
        assert run.ends() == 1
    finally:
        run.process.kill()
        run.process.wait()
        slurm.cancel(folder)
    for model, status in zip(MODELS, ("FAILED", "CANCELLED", "TIMEOUT"), strict=True):
        assert f"SLURM-job '{job_of(run, model)}' failed, SLURM status is: '{status}'" in run.said()
    assert not scripts(folder)
    completes(checkout, folder, MODELS)


def test_restarted_daemons_leave_jobs_alone(slurm, checkout, folder):
    """A plugin that looked while they were down may wait in vain (docs/cluster.md); the same command goes on."""
    with training(slurm, checkout, folder, over="long") as (run, job):
        for daemon in ("slurmctld", "slurmd"):
            slurm.stop(daemon)
        time.sleep(3)
        for daemon in ("slurmctld", "slurmd"):
            slurm.start(daemon)
        slurm.wait_until_up()
        assert job in slurm.jobs(folder)
        assert scripts(folder)
        run.process.kill()
        run.ends()
    completes(checkout, folder)


def job_of(run: Run, model: str) -> str:
    """The id of a training's job."""
    found = re.findall(rf"submitted with SLURM jobid (\d+) \(log: \S*_{model}/", run.said())
    return found[0] if found else ""


def test_jobs_outlive_a_killed_snakemake_and_are_cancelled_by_its_name(slurm, checkout, folder):
    """docs/cluster.md: first its jobs, then the same command."""
    with training(slurm, checkout, folder, over="long") as (run, job):
        name = re.search(r"SLURM run ID: (\S+)", run.said()).group(1)
        run.process.kill()
        run.ends()
        time.sleep(2)
        assert job in slurm.jobs(folder)
        refused = Run(checkout, folder, over="short")
        assert refused.ends() == 1
        assert "lock" in refused.said().lower()
        assert not refused.submitted()
        slurm.ask("scancel", f"--name={name}")
        until(lambda: not scripts(folder))
    completes(checkout, folder)


def completes_as_undisturbed(checkout: Path, folder: Path, undisturbed: dict[str, str]) -> None:
    """The same command makes the rest, and nothing is left of what happened."""
    before = {path.name for path in folder.iterdir()}
    again = Run(checkout, folder)
    assert again.ends() == 0, again.said()
    assert made(folder) == undisturbed
    assert {path.name for path in folder.iterdir()} == before
    assert not unfinished(folder)


def unfinished(folder: Path) -> list[Path]:
    """Locks, Snakemake's marks of jobs that have not ended, temporary files."""
    where = (".snakemake/locks/*", ".snakemake/incomplete/*", "results/**/.*tmp*")
    return [path for pattern in where for path in folder.glob(pattern)]


def test_a_terminated_snakemake_submits_nothing_more_and_awaits_what_it_has(slurm, checkout, folder, undisturbed):
    with training(slurm, checkout, folder) as (run, _):
        run.process.send_signal(signal.SIGTERM)
        assert run.ends() == 1
        assert len(slurm.jobs(folder, "completed")) == run.submitted()
        assert not slurm.jobs(folder, "pending,running,completing,cancelled,failed")
    assert "Will exit after finishing currently running jobs" in run.said()
    trained = re.findall(r"slurm_logs/rule_train\w*/_(\w+)/", run.said())
    assert trained and all((folder / TRAINING.format(model)).exists() for model in trained)
    assert len(made(folder)) < len(undisturbed)
    assert not unfinished(folder)
    completes_as_undisturbed(checkout, folder, undisturbed)


def test_a_terminated_snakemake_can_be_interrupted(slurm, checkout, folder):
    """It would wait for hours."""
    with training(slurm, checkout, folder, over="long") as (run, job):
        run.process.send_signal(signal.SIGTERM)
        until(lambda: "Will exit after finishing" in run.said())
        time.sleep(5)
        assert run.process.poll() is None
        assert job in slurm.jobs(folder)
        run.process.send_signal(signal.SIGINT)
        assert run.ends() == 1
        until(lambda: not scripts(folder))
        assert not unfinished(folder)
    completes(checkout, folder)


@contextlib.contextmanager
def file_system(folder: Path) -> Iterator[None]:
    """A file system of its own at a folder: small, so that it can be filled."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tests", folder]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """No room where a folder is."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 12)):
            pass
    try:
        yield
    finally:
        filler.unlink()


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("work/results", "failed: its log is empty; the disk of its log is full"),
        ("work", "No space left on device"),  # Snakemake has no room either
    ],
)
def test_a_full_disk_ends_the_run_and_is_said(at, why, slurm, checkout, tmp_path, undisturbed):
    work = tmp_path / "work"
    with contextlib.ExitStack() as mounted:
        for folder in (work, work / "results"):
            if folder == tmp_path / at:
                mounted.enter_context(file_system(folder))
            else:
                folder.mkdir()
        with_settings(work)
        with training(slurm, checkout, work) as (run, _), full(tmp_path / at):
            assert run.ends() == 1
            until(lambda: not slurm.jobs(work, "pending,running,completing"))
        assert why in run.said()
        assert not (work / TABLE).exists()
        assert not unfinished(work)
        completes_as_undisturbed(checkout, work, undisturbed)


STATUS = """#!/bin/sh
case "$(scontrol show job --oneliner "$1" | sed -n 's/.* JobState=\\([A-Z_]*\\).*/\\1/p')" in
COMPLETED) echo success ;;
PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED) echo running ;;
*) echo failed ;;
esac
"""


@pytest.mark.parametrize("cancelled", [False, True])
def test_the_generic_profile_submits_by_the_commands_of_the_environment(cancelled, slurm, checkout, folder):
    status = folder / "status"
    status.write_text(STATUS)
    status.chmod(0o755)
    submit = "sbatch --parsable --cpus-per-task={threads} --mem={resources.mem_mb} --time={resources.runtime}"
    variables = {"PAGBOOST_SUBMIT": submit, "PAGBOOST_STATUS": str(status), "PAGBOOST_CANCEL": "scancel"}
    run = Run(checkout, folder, "--retries", "0", over="long" if cancelled else "short", profile="cluster", **variables)
    if cancelled:
        until(lambda: scripts(folder))
        slurm.ask("scancel", *slurm.jobs(folder))
        assert run.ends() == 1
        assert "Error in rule train_awaited" in run.said()
    else:
        assert run.ends() == 0, run.said()
        assert (folder / TRAINING.format("cnn_a")).exists()
