"""A function as a guide and as an extractor of a scale: planned without importing it, then run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from pagboost.artifacts import load_samples, load_weights

from .conftest import snakemake

pytestmark = pytest.mark.workflow
MINE = Path(__file__).parents[1] / "unit" / "functions_of_mine.py"
SHORT = {"training": {"iterations": 6, "batch_size": 16}}


def model(name, role=None, **arguments):
    network = {"kind": "function", "function": f"mine.py:{name}", "arguments": arguments, "channels": 1}
    training = {"stands_for": {"kind": role}} if role else {}
    return {"kind": "imported", "dataset": "digits16", "network": network, "training": training, "source": "assumed"}


SCALE = {
    "base": "digits",
    "papers": [],
    "unavailable": {},
    "protocols": {"small": {"n": 10}, "mine": {"extractor": "seen", "split": "train", "k": 3}},
    "samples": {"eval": {"per_seed": 20}, "validation": {"per_seed": 20}},
    "models": {
        "cnn_a": SHORT,
        "cnn_b": SHORT,
        "guide": model("classifier", "classifier", classes=10),
        "seen": model("features"),
    },
    "boosts": {
        "mine": {
            "guide": "guide",
            "objective": "ce",
            "sampler": "pgd",
            "steps": 2,
            "eps": {"value": 1.0, "pixels": 256},
            "source": "assumed",
        }
    },
}
METRICS = "results/mine/metrics/real_heldout/boost=mine.json"
BOOSTED = "results/mine/samples/real_heldout/boost=mine/eval.npz"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("function")
    shutil.copy(MINE, folder / "mine.py")
    (folder / "mine.yaml").write_text(yaml.safe_dump(SCALE))
    settings = {"scale": "mine.yaml", "seeds": [0], "trainings": [0], "results": "results"}
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    return folder


def run(folder, *arguments):
    return snakemake(*arguments, "--configfile", "settings.yaml", cwd=folder)


def planned(done):
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return set(re.findall(r"^ *Job \d+: (.*)$", done.stdout, flags=re.MULTILINE))  # grouped ones are set in


def test_it_is_planned_without_being_imported(workplace):
    mine = workplace / "mine.py"
    text = mine.read_text()
    mine.write_text(f"{text}\nraise SystemExit('it ran')\n")
    try:
        jobs = planned(run(workplace, METRICS, "-n"))
    finally:
        mine.write_text(text)
    assert {"Reading guide from elsewhere", "Reading seen from elsewhere", "Boosting real_heldout by mine"} <= jobs


def test_a_file_that_is_not_there_is_named(workplace):
    over = SCALE | {"models": {**SCALE["models"], "guide": model("classifier", "classifier")}}
    over["models"]["guide"]["network"]["function"] = "nowhere.py:net"
    (workplace / "other.yaml").write_text(yaml.safe_dump(over))
    done = snakemake("-n", METRICS, "--config", "scale=other.yaml", cwd=workplace)
    assert done.returncode != 0
    assert "models.guide.network.function: nowhere.py:net: no file nowhere.py" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(workplace):
    """The scale's functions at work: what guides, and what it has boosted. Nothing is trained."""
    done = run(workplace, BOOSTED, "results/mine/weights/seen.safetensors")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return workplace / "results" / "mine"


def test_jobs_may_call_what_the_scale_declares(workplace, finished):
    for name, kind in (("guide", "classifier"), ("seen", "imported")):
        tensors, description = load_weights(finished / f"weights/{name}.safetensors")
        assert tensors == {} and description["kind"] == kind
        assert list(description["made_of"]["sources"]) == ["mine.py"]
    raw, boosted = (
        load_samples(finished / "samples/real_heldout/boost=none/eval.npz"),
        load_samples(workplace / BOOSTED),
    )
    assert (raw.images != boosted.images).any()


def test_an_edit_of_its_file_makes_its_own_again(workplace, finished):
    mine = workplace / "mine.py"
    text = mine.read_text()
    mine.write_text(f"{text}\n# another line\n")
    try:
        jobs = planned(run(workplace, METRICS, "-n"))
    finally:
        mine.write_text(text)
    assert {"Reading guide from elsewhere", "Reading seen from elsewhere", "Boosting real_heldout by mine"} <= jobs
    assert "Data set digits16" not in jobs
