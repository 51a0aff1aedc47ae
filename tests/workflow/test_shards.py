"""A scale whose sets several jobs make: the bytes of one job, a killed shard alone made again, nothing left behind."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from .conftest import PRETENDED, snakemake

pytestmark = pytest.mark.workflow
SHORT = {"training": {"iterations": 6, "batch_size": 16}}
BOOST = {"guide": "rn50_robust", "objective": "ce", "sampler": "pgd", "steps": 2, "eps": "published"}
SCALE = {
    "base": "digits",
    "papers": [],
    "protocols": {"small": {"n": 20}},
    # 303 images: an odd number, of four batches
    "samples": {"eval": {"per_seed": 101}, "validation": {"per_seed": 45, "batch_size": 20}},
    "eps_choice": {"multiples": [1, 2]},
    "unavailable": {},
    "models": {"cnn_a": SHORT, "cnn_b": SHORT, "rn50_robust": SHORT, "sngan": SHORT},
    "boosts": {"short": BOOST | {"labels": "debiased", "source": "assumed"}},
}
METRICS = ("metrics/sngan/boost=none.json", "metrics/sngan/boost=short.json")
SAME = (*METRICS, "samples/sngan/boost=none/eval.npz", "samples/sngan/boost=none/validation.npz")
SAME += ("samples/sngan/boost=short/eval.npz", "steps/sngan/boost=short.json")


def run(folder: Path, shards: int, *arguments: str, kill: str = ""):
    """Snakemake in `folder`, sets in so many shards; jobs whose command has the words `kill` are killed."""
    scale = json.loads(json.dumps(SCALE))
    for use in ("eval", "validation"):
        scale["samples"][use]["shards"] = shards
    (folder / "mine.yaml").write_text(yaml.safe_dump(scale))
    (folder / "settings.yaml").write_text(yaml.safe_dump({"scale": "mine.yaml", "seeds": [0, 1, 2], "results": "r"}))
    path = os.pathsep.join(filter(None, [str(PRETENDED), os.environ.get("PYTHONPATH", "")]))
    targets = [f"r/mine/{target}" for target in METRICS]
    return snakemake(*targets, *arguments, "--configfile", "settings.yaml", cwd=folder, PYTHONPATH=path, KILL=kill)


def said(done) -> set[str]:
    """The messages of the jobs that a run makes, or would make."""
    return set(re.findall(r"^(?:Job \d+: )(.*)$", done.stdout + done.stderr, flags=re.MULTILINE))


def left(folder: Path) -> set[str]:
    """The files of shards that are there, below shards/."""
    return {str(path.relative_to(folder / "r/mine/shards")) for path in folder.glob("r/mine/shards/**/*.npz")}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "r/mine" / name).read_bytes() for name in SAME}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("shards")


@pytest.fixture(scope="module")
def killed(folder) -> set[str]:
    """What is left of a run whose second shard of the samples is killed as it starts."""
    done = run(folder, 3, "--keep-going", kill="sample.py --shard=2/3 --seeds eval")
    assert done.returncode != 0
    return left(folder)


@pytest.fixture(scope="module")
def sharded(folder, killed) -> dict[str, bytes]:
    """What three shards made, after all."""
    planned = run(folder, 3, "-n")
    sampling = {message for message in said(planned) if message.startswith("Sampling sngan (eval)")}
    assert sampling == {"Sampling sngan (eval), shard 2-of-3"}
    done = run(folder, 3)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    assert "Sampling sngan (eval), shard 1-of-3" not in said(done)
    return contents(folder)


def test_a_killed_shard_alone_is_made_again(killed, sharded):
    assert {f"samples/sngan/boost=none/eval/{k}-of-3.npz" for k in (1, 3)} <= killed
    assert "samples/sngan/boost=none/eval/2-of-3.npz" not in killed


def test_shards_are_gone_when_they_are_merged_and_nobody_misses_them(folder, sharded):
    assert left(folder) == set()
    again = run(folder, 3, "-n", "--quiet", "progress")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_one_job_makes_the_same_bytes(folder, sharded):
    """Samples, boosts, what was chosen, and metrics."""
    done = run(folder, 1)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    made = said(done)
    assert {"Sampling sngan (eval)", "Boosting sngan by short", "Scoring sngan, boost short"} <= made
    assert not [message for message in made if "shard" in message or message.startswith(("Training", "Merging"))]
    found = contents(folder)
    assert [name for name in SAME if found[name] != sharded[name]] == []
