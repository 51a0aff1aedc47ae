"""Another workflow uses this one as a module: with settings of its own, and with names of its own for the rules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from .conftest import ROOT, snakemake

pytestmark = pytest.mark.workflow
SHORT = {"training": {"iterations": 4, "batch_size": 16}}
SCALE = {
    "base": "digits",
    "papers": [],
    "samples": {"eval": {"per_seed": 20}},
    "protocols": {"small": {"n": 10}},
    "models": {"cnn_a": SHORT, "cnn_b": SHORT},
    "unavailable": {},
}
OUTER = """
configfile: "outer.yaml"


module pagboost:
    snakefile: {snakefile!r}
    config: config["boosting"]


use rule * from pagboost as pagboost_*


module digits:
    snakefile: {snakefile!r}
    config: {{"results": "theirs"}}


use rule * from digits as digits_*


rule targets:
    default_target: True
    input:
        "any name.txt",


rule summary:
    input:
        "mine/tiny/metrics/real_train/boost=none.json",
    output:
        "{{dataset}}.txt",  # the module's wildcards and what they may be are not those of the workflow around it
    shell:
        "wc -c {{input:q}} > {{output:q}}"


onstart:
    pagboost.onstart()


onsuccess:
    pagboost.onsuccess()


onerror:
    pagboost.onerror()
"""
CELL = "mine/tiny/metrics/real_train/boost=none.json"


@pytest.fixture(scope="module")
def outer(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outer workflow")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(SCALE))
    settings = {"boosting": {"scale": "tiny.yaml", "results": "mine", "seeds": [3]}, "its_own": 1}
    (folder / "outer.yaml").write_text(yaml.safe_dump(settings))
    (folder / "Snakefile").write_text(OUTER.format(snakefile=str(ROOT / "Snakefile")))
    return folder


@pytest.fixture(scope="module")
def finished(outer) -> Path:
    done = snakemake(root=outer)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return outer


def test_one_cell_is_made_by_the_module_s_rules(finished):
    content = json.loads((finished / CELL).read_text())
    assert list(content["protocols"]["train"]["seeds"]) == ["3"]
    assert (finished / "any name.txt").read_text().split()[0] == str((finished / CELL).stat().st_size)
    assert not (finished / "results").exists() and not (finished / "theirs").exists()


def test_the_module_s_hooks_can_be_called(finished):
    """What a run notes of itself is noted here too."""
    (run,) = [json.loads(line) for line in (finished / "mine/tiny/logs/runs.jsonl").read_text().splitlines()]
    assert run["warm"]


def test_a_second_run_does_nothing(finished):
    again = snakemake(root=finished)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_targets_and_other_scales_have_the_module_s_prefix(outer):
    dry = snakemake("-n", "digits_tables", root=outer)
    assert dry.returncode == 0, dry.stderr
    counts = dict(re.findall(r"^digits_(\w+) +(\d+)$", dry.stdout, flags=re.MULTILINE))
    assert int(counts["evaluate"]) > 100
    assert counts["tables"] == "1"
    assert "theirs/digits/tables/" in dry.stdout + dry.stderr


def test_what_the_module_does_not_know_is_said_in_one_line(outer, tmp_path):
    settings = tmp_path / "more.yaml"
    settings.write_text(yaml.safe_dump({"boosting": {"seed": [1]}}))
    done = snakemake("-n", "--configfile", settings, root=outer, cwd=outer)
    assert done.returncode != 0
    assert "seed: unknown key (did you mean seeds?)" in done.stdout + done.stderr
