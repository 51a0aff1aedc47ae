"""Recipes by name: each exists, takes its class of options, and refuses what does not fit the data."""

from __future__ import annotations

import inspect

import pytest
import torch

from pagboost import recipes, training
from pagboost.errors import InputError
from pagboost.options.kinds import named
from pagboost.options.trainings import Training

RUN = training.Run(seed=0, device=torch.device("cpu"))
OPTIONS = {"iterations": 1, "batch_size": 4, "lr": 0.01, "weight_decay": 0.0, "shift": 0, "sizes": [], "attack": None}
EDM = {"iterations": 1, "batch_size": 4, "lr": 0.01, "lr_end": 0.0, "warmup": 0, "ema_decay": 0.9}
EDM |= {"p_mean": -1.2, "p_std": 1.2}
DDPM = {**EDM, "schedule": "linear", "diffusion_steps": 1000, "weight_decay": 0.0, "target": "x_0", "vlb_weight": 0.0}
DDPM = {key: value for key, value in DDPM.items() if not key.startswith("p_")}
UNET = {"kind": "unet", "image_size": 8, "in_channels": 1, "out_channels": 1, "model_channels": 4, "num_res_blocks": 0}
UNET |= {"attention_resolutions": [], "channel_mult": [1], "num_heads": 1, "norm_groups": 4}
RESNET = {"kind": "resnet", "layers": [1, 1, 1, 1], "width": 4, "bottleneck_width": 64, "num_classes": 3, "mean": [0.5]}
RESNET |= {"std": [0.5], "stem": {"kernel": 3, "stride": 1, "pool": False}}


@pytest.fixture
def data(x, y):
    return training.Data(x, y, 3)


def train(data, cnn_spec, network=None, **changes):
    """An entry of a classifier; `network` changes its network's options, None leaves a key out."""
    spec = {"kind": "classifier", "network": cnn_spec | (network or {}), "training": OPTIONS, **changes}
    return recipes.train({key: value for key, value in spec.items() if value is not None}, data, RUN, {})


def test_an_entry_is_trained(data, cnn_spec):
    trained = train(data, cnn_spec, dataset="ignored", source="paper", note="why")
    assert trained.spec == cnn_spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "clasifier"}, "kind: clasifier, expected one of: .*classifier, joint"),
        ({"kind": None}, "kind: missing key, expected one of: "),
        ({"training": None}, "training: missing key"),
        (
            {"training": OPTIONS | {"learning_rate": 1}},
            "training.learning_rate: unknown key.*, expected one of: .*attack",
        ),
        ({"training": {"iterations": 1}}, "training.batch_size: missing key"),
        ({"training": 3}, "training: 3, expected a mapping"),
        ({"training": OPTIONS | {"attack": {}}}, "training.attack.eps: missing key"),
        ({"training": OPTIONS | {"iterations": 0}}, "training.iterations: 0, expected at least 1"),
        ({"network": {"dpeth": 1}}, r"network.dpeth: unknown key \(did you mean depth\?\)"),
        ({"network": {"num_classes": 2}}, r"network.num_classes: 2, expected 3 \(the data's\)"),
        ({"network": {"in_channels": 3}}, r"network.in_channels: 3, expected 1 \(the data's\)"),
    ],
)
def test_bad_entries_are_named(data, cnn_spec, changes, message):
    with pytest.raises(InputError, match=f"^{message}"):
        train(data, cnn_spec, **changes)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (None, "network: missing key"),
        (3, "network: 3, expected a mapping"),
        ("cnn", "network: 'cnn', expected a mapping"),
        ({"kind": "cmm"}, "network.kind: cmm, expected one of: .*resnet, cnn"),
        ({}, "network.kind: missing key, expected one of: .*resnet, cnn"),
        (RESNET | {"mean": [0.1, 0.2], "std": [1, 1]}, r"network.mean: \[0.1, 0.2\], expected 1 \(one per channel"),
    ],
)
def test_bad_networks_are_named(data, network, message):
    spec = {"kind": "classifier", "network": network, "training": OPTIONS}
    with pytest.raises(InputError, match=f"^{message}"):
        recipes.train({key: value for key, value in spec.items() if value is not None}, data, RUN, {})


@pytest.mark.parametrize(
    ("kind", "options", "network", "message"),
    [
        ("ddpm", DDPM, {}, "network.out_channels: 1, expected 2"),
        ("edm", EDM, {"out_channels": 2}, "network.out_channels: 2, expected 1"),
        ("edm", EDM, {"image_size": 16}, "network.image_size: 16, expected 8"),
        ("edm", EDM, {"num_classes": 2}, "network.num_classes: 2, expected 3"),
    ],
)
def test_networks_of_generators_fit_the_data(data, kind, options, network, message):
    spec = {"kind": kind, "network": UNET | network, "training": options}
    with pytest.raises(InputError, match=rf"^{message} \(the data's\)"):
        recipes.train(spec, data, RUN, {})


@pytest.mark.parametrize("kind", Training.kinds())
def test_every_recipe_exists_and_takes_its_options(kind):
    options = Training.kinds()[kind]
    parameters = inspect.signature(named(options.uses)).parameters
    assert list(parameters) == ["data", "network", "run", "inputs", "options"]
    assert parameters["options"].annotation.rpartition(".")[2] == options.__name__
