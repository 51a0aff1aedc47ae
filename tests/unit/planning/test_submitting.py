"""What jobs ask for grows with attempts, short ones go together, and profiles name the groups that there are."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from snakemake.profiles import ProfileConfigFileParser

from pagboost.planning import configuration, submitting

ROOT = Path(__file__).parents[3]
PROFILES = ROOT / "workflow" / "profiles"
SHORT = {"threads": 1, "mem_mb": 1000, "runtime": 5, "gpu": 0}


def profile(name: str) -> dict:
    with (PROFILES / name / "config.yaml").open() as file:
        return ProfileConfigFileParser().parse(file)


def test_a_job_asks_for_twice_as_much_after_each_failure_and_for_its_snakemakes_once():
    assert [submitting.memory(SHORT, attempt, submitted=False) for attempt in (1, 2, 3)] == [1000, 2000, 4000]
    assert [submitting.memory(SHORT, attempt, submitted=True) for attempt in (1, 2, 3)] == [1300, 2300, 4300]
    assert [submitting.minutes(SHORT, attempt) for attempt in (1, 2, 3)] == [5, 10, 20]


def test_short_jobs_go_together_and_long_ones_alone():
    assert submitting.group("scored", SHORT) == "scored_{training}{generator}"
    assert submitting.group("scored", SHORT | {"runtime": 16}) is None


@pytest.mark.parametrize("more", [{"mem_mb": 4001}, {"runtime": 31}, {"gpu": 1}])
def test_only_light_jobs_are_done_where_snakemake_runs(more):
    assert submitting.light(SHORT)
    assert not submitting.light(SHORT | more)


@pytest.mark.parametrize("name", ["slurm", "cluster"])
def test_profiles_name_the_groups_of_the_rules(name, monkeypatch):
    for variable in ("SUBMIT", "STATUS", "CANCEL"):
        monkeypatch.setenv(f"PAGBOOST_{variable}", f"{variable.lower()} {{threads}}")
    parsed = profile(name)
    named = {entry.rpartition("=")[0] for entry in parsed["group-components"]}
    assert named == {submitting.group(name, SHORT) for name in ("scored", "drawn")}
    rules = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    assert all(f'group_of("{name}", ' in rules for name in ("scored", "drawn"))
    if name == "cluster":
        assert parsed["cluster-generic-submit-cmd"] == "submit {threads}"


@pytest.mark.parametrize("scale", ["digits", "cifar10", "cifar10_gpu", "imagenet"])
def test_profiles_let_no_job_have_fewer_threads_than_it_declares(scale):
    knobs = yaml.safe_load((ROOT / "config.yaml").read_text())
    jobs = configuration.load(ROOT, knobs | {"scale": scale})["jobs"]
    assert max(entry["threads"] for entry in jobs.values()) <= int(profile("slurm")["cores"])


def test_the_generic_profile_says_which_command_is_missing(monkeypatch):
    monkeypatch.delenv("PAGBOOST_SUBMIT", raising=False)
    with pytest.raises(Exception, match="PAGBOOST_SUBMIT"):
        profile("cluster")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "gpu=2"),
        ({"CUDA_VISIBLE_DEVICES": "1"}, "gpu=1"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "gpu=0"),
        ({"PAGBOOST_JOBS_PER_GPU": "3"}, "gpu=6"),
    ],
)
def test_the_gpu_profile_counts_gpus(environment, expected, monkeypatch, tmp_path):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-a)'\necho 'GPU 1: A (UUID: GPU-b)'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for variable in ("CUDA_VISIBLE_DEVICES", "PAGBOOST_JOBS_PER_GPU"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert profile("gpu")["resources"] == [expected]
