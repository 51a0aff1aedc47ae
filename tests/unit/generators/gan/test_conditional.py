"""Conditional generators obey their label: trained on the digits by their own entries, in fewer and smaller batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from pagboost import images, recipes, training
from pagboost.generators import sampling
from pagboost.options.models import Dataset
from pagboost.options.reading import read
from pagboost.options.samplers import Latent
from pagboost.sources import data

SCALE = yaml.safe_load((Path(__file__).parents[4] / "config" / "scales" / "digits.yaml").read_text())
CPU = torch.device("cpu")
SHORT = {"batch_size": 16, "discriminator_steps": 1, "lr_decay": False}
ITERATIONS = {"cgan": 220, "cgan_pd": 260, "biggan": 320, "diff_biggan": 300, "stylegan2_ada": 170}
SAMPLES = 200


@pytest.fixture(scope="module")
def digits() -> dict[str, training.Data]:
    """The real digits' parts, as the scale splits them."""
    parts = data.prepare(read(Dataset, SCALE["datasets"]["digits16"], "datasets.digits16"))
    return {name: training.Data(images.to_float(p.images), torch.from_numpy(p.labels), 10) for name, p in parts.items()}


def train(model, digits, **changes):
    entry = SCALE["models"][model]
    spec = {**entry, "training": {**entry["training"], **changes}}
    return recipes.train(spec, digits["train"], training.Run(0, CPU), {}).network.eval()


def agreement(classifier, x, y) -> float:
    with torch.no_grad():
        return float((classifier(x).argmax(1) == y).float().mean())


@pytest.fixture(scope="module")
def classifier(digits) -> torch.nn.Module:
    """A small classifier of the same digits that knows others of them."""
    network = train("cnn_a", digits, iterations=80)
    assert agreement(network, digits["validation"].x, digits["validation"].y) > 0.95
    return network


def test_every_conditional_generator_of_bigroc_is_tried():
    table = yaml.safe_load((Path(__file__).parents[4] / "config" / "papers" / "ganz2021.yaml").read_text())["tables"]
    rows = {row["generator"] for row in table["table3"]["rows"]}
    conditional = {name for name in rows if SCALE["models"][name]["network"].get("num_classes")}
    assert conditional == {*ITERATIONS}


@pytest.mark.parametrize("model", ITERATIONS)
def test_a_generator_obeys_its_label(model, digits, classifier):
    network = train(model, digits, iterations=ITERATIONS[model], **SHORT)
    made = sampling.generate(network, Latent(), network.shape, 10, [0], SAMPLES, SAMPLES, CPU)
    assert agreement(classifier, images.to_float(made.images), torch.from_numpy(made.labels)) > 0.4  # by chance 0.1
