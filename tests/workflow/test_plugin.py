"""Kinds from outside the package, named in a scale file: each is one class (or entry) and one function."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from pagboost.artifacts import load_samples, load_weights

from .conftest import snakemake

pytestmark = pytest.mark.workflow
SHORT = {"training": {"iterations": 6, "batch_size": 16}}
GAN = {"kind": "gan", "dataset": "digits16", "source": "assumed"}
SIZES = {"size": 16, "channels": 1, "num_classes": None, "patch": 2}
SCALE = {
    "base": "digits",
    "papers": [],
    "plugins": ["my_kinds.py"],
    "protocols": {"small": {"n": 10}},
    "samples": {"eval": {"per_seed": 20}, "validation": {"per_seed": 20}},
    "unavailable": {},
    "models": {
        "cnn_a": SHORT,
        "cnn_b": SHORT,
        "rn50_robust": SHORT,
        "mean": {
            "kind": "mean_image",
            "dataset": "digits16",
            "network": {"kind": "picture", "channels": 1, "size": 16},
            "training": {},
            "source": "assumed",
        },
        "lsgan": GAN
        | {
            "network": SIZES | {"kind": "resnet_generator", "z_dim": 8, "widths": [8, 8]},
            "training": {
                "iterations": 4,
                "batch_size": 8,
                "discriminator_steps": 1,
                "betas": [0.0, 0.9],
                "lr_generator": 0.001,
                "lr_discriminator": 0.001,
                "ema_decay": 0.9,
                "ema_start": 0,
                "standing_batches": 2,
                "method": {"kind": "least_squares"},
                "discriminator": SIZES
                | {"kind": "resnet_discriminator", "widths": [8, 8], "halvings": 1, "spectral": True},
            },
        },
    },
    "generators": {
        "noisy": {"model": "mean", "sampler": {"kind": "noisy", "noise_std": 0.1}, "nfe": 1, "source": "assumed"},
        "lsgan": {"model": "lsgan", "sampler": {"kind": "gan"}, "nfe": 1, "source": "assumed"},
    },
    "boosts": {
        "margin": {
            "guide": "rn50_robust",
            "objective": "margin",
            "sampler": "pgd",
            "steps": 2,
            "eps": {"value": 1.0, "pixels": 256},
            "source": "assumed",
        }
    },
    "studies": {
        "confidence": {
            "kind": "confidence",
            "dataset": "digits16",
            "split": "heldout",
            "count": 5,
            "networks": ["rn50_robust"],
            "shown": 2,
            "source": "assumed",
        }
    },
}
TARGETS = ("metrics/noisy/boost=margin.json", "metrics/lsgan/boost=none.json", "studies/confidence.json")
AGAIN = "training=1/metrics/lsgan/boost=none.json"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugin")
    for file in Path(__file__).with_name("plugin").glob("*.py"):
        shutil.copy(file, folder / file.name)
    (folder / "mine.yaml").write_text(yaml.safe_dump(SCALE))
    return folder


def run(folder, *arguments):
    settings = {"scale": "mine.yaml", "seeds": [0], "trainings": [0, 1], "results": "results"}
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    targets = [f"results/mine/{target}" for target in (*TARGETS, AGAIN)]
    return snakemake(*targets, *arguments, "--configfile", "settings.yaml", cwd=folder)


@pytest.fixture(scope="module")
def finished(workplace):
    done = run(workplace)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return workplace / "results" / "mine"


def test_one_of_each_runs(finished):
    raw, boosted = (load_samples(finished / f"samples/noisy/boost={name}/eval.npz") for name in ("none", "margin"))
    assert (raw.images != boosted.images).any()
    _, description = load_weights(finished / "weights/mean.safetensors")
    assert (description["kind"], description["network"]["kind"], description["count"]) == ("mean_image", "picture", 50)
    _, description = load_weights(finished / "weights/lsgan.safetensors")
    assert description["method"] == "least_squares"
    assert (
        len(json.loads((finished / "studies/confidence.json").read_text())["quantities"]["confidence"]["rn50_robust"])
        == 5
    )


def test_a_further_training_is_another_network_measured_alike(finished):
    weights = [load_weights(finished / folder / "weights/lsgan.safetensors") for folder in (".", "training=1")]
    assert [description["seed"] for _, description in weights] == [0, 1]
    assert any(not tensor.equal(weights[1][0][name]) for name, tensor in weights[0][0].items())
    numbers = [json.loads((finished / path).read_text())["protocols"]["train"] for path in (TARGETS[1], AGAIN)]
    assert numbers[0]["protocol"] == numbers[1]["protocol"] and numbers[0]["mean"] != numbers[1]["mean"]
    assert not (finished / "training=1/weights/cnn_a.safetensors").exists()


def test_an_edit_of_the_plug_in_makes_its_own_again(workplace, finished):
    done = run(workplace, "-n", "--quiet", "progress")
    assert "Nothing to be done" in done.stdout + done.stderr
    functions = workplace / "my_functions.py"
    text = functions.read_text()
    functions.write_text(f"{text}\n# another line\n")
    try:
        done = run(workplace, "-n")
    finally:
        functions.write_text(text)
    made = set(re.findall(r"^ *Job \d+: (.*)$", done.stdout, flags=re.MULTILINE))
    own = {"Training mean", "Training lsgan", "Sampling noisy (eval)", "Boosting noisy by margin", "Study confidence"}
    assert own <= made
    assert not {"Training cnn_a", "Training rn50_robust", "Preparing digits16"} & made


def test_a_plug_in_that_is_not_there_is_named(workplace):
    (workplace / "other.yaml").write_text(yaml.safe_dump(SCALE | {"plugins": ["my_knids.py"]}))
    done = snakemake("tables", "-n", "--config", "scale=other.yaml", cwd=workplace)
    assert done.returncode != 0
    assert (
        "other.yaml: plugins: my_knids.py, expected a module's name or a .py file that is there"
        in done.stdout + done.stderr
    )
