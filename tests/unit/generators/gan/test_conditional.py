"""Conditional generators obey their label: trained on some digits by their own entries, fewer and smaller batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pagboost import images, recipes, training
from pagboost.files import yaml_files
from pagboost.generators import sampling
from pagboost.options.models import Dataset
from pagboost.options.reading import read
from pagboost.options.samplers import Latent
from pagboost.sources import data

CONFIG = Path(__file__).parents[4] / "config"
SCALE = yaml_files.read(CONFIG / "scales" / "digits.yaml")
CPU = torch.device("cpu")
CLASSES = 3  # the first of the ten: what takes long is to draw digits, not to obey
SHORT = {"batch_size": 16, "discriminator_steps": 1, "lr_decay": False, "ema_decay": 0.9}
ITERATIONS = {"cgan": 70, "cgan_pd": 120, "biggan": 140, "diff_biggan": 110, "stylegan2_ada": 60}
SAMPLES = 120


def of_classes(part) -> training.Data:
    few = part.labels < CLASSES
    return training.Data(images.to_float(part.images[few]), torch.from_numpy(part.labels[few]), CLASSES)


@pytest.fixture(scope="module")
def digits() -> dict[str, training.Data]:
    """The real digits' parts, as the scale splits them."""
    parts = data.prepare(read(Dataset, SCALE["datasets"]["digits16"], "datasets.digits16"))
    return {name: of_classes(part) for name, part in parts.items()}


def train(model, digits, **changes):
    entry, classes = SCALE["models"][model], {"num_classes": CLASSES}
    options = {**entry["training"], **changes}
    if "discriminator" in options:
        options["discriminator"] = {**options["discriminator"], **classes}
    spec = {**entry, "network": {**entry["network"], **classes}, "training": options}
    return recipes.train(spec, digits["train"], training.Run(0, CPU), {}).network.eval()


def agreement(classifier, x, y) -> float:
    with torch.no_grad():
        return float((classifier(x).argmax(1) == y).float().mean())


@pytest.fixture(scope="module")
def classifier(digits) -> torch.nn.Module:
    """A small classifier of the same digits that knows others of them."""
    network = train("cnn_a", digits, iterations=40)
    assert agreement(network, digits["validation"].x, digits["validation"].y) > 0.95
    return network


def test_every_conditional_generator_of_bigroc_is_tried():
    tables = yaml_files.read(CONFIG / "papers" / "ganz2021.yaml")["tables"]
    rows = {row["generator"] for row in tables["table3"]["rows"]}
    conditional = {name for name in rows if SCALE["models"][name]["network"].get("num_classes")}
    assert conditional == {*ITERATIONS}


@pytest.mark.parametrize("model", ITERATIONS)
def test_a_generator_obeys_its_label(model, digits, classifier):
    network = train(model, digits, iterations=ITERATIONS[model], **SHORT)
    made = sampling.generate(network, Latent(), network.shape, CLASSES, [0], SAMPLES, SAMPLES, CPU)
    assert agreement(classifier, images.to_float(made.images), torch.from_numpy(made.labels)) > 0.6  # by chance 1/3
