"""Recipes by name: each exists, takes what the schema lets through, and refuses what does not fit the data."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
import yaml

from pagboost import networks, recipes, training
from pagboost.errors import InputError
from pagboost.generators import consistency

RUN = training.Run(seed=0, device=torch.device("cpu"))
SCHEMA = yaml.safe_load((Path(__file__).parents[2] / "workflow" / "schemas" / "scale.schema.yaml").read_text())["$defs"]
OPTIONS = {"iterations": 1, "batch_size": 4, "lr": 0.01, "weight_decay": 0.0, "shift": 0, "sizes": [], "attack": None}


@pytest.fixture
def data(x, y):
    return training.Data(x, y, 3)


def train(data, cnn_spec, **changes):
    spec = {"kind": "classifier", "network": cnn_spec, "training": OPTIONS, **changes}
    return recipes.train({key: value for key, value in spec.items() if value is not None}, data, RUN, {})


def test_an_entry_is_trained(data, cnn_spec):
    trained = train(data, cnn_spec, dataset="ignored", source="ignored")
    assert trained.spec == cnn_spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "clasifier"}, "kind: clasifier, expected one of: classifier, joint"),
        ({"kind": None}, "kind: None"),
        ({"training": None}, "training: missing key"),
        ({"training": OPTIONS | {"learning_rate": 1}}, "training.learning_rate: unknown key, expected one of: attack"),
        ({"training": {"iterations": 1}}, "training.batch_size: missing key"),
        ({"network": None}, "network.kind: None, expected one of: unet"),
        ({"training": 3}, "training: 3, expected a mapping of the recipe's options"),
        ({"network": 3}, "network: 3, expected a mapping with a kind"),
        ({"network": "cnn"}, "network: 'cnn', expected a mapping with a kind"),
        ({"network": {"kind": "resnet", "mean": [0.1, 0.2]}}, r"network.mean: \[0.1, 0.2\], expected 1"),
        ({"kind": "ddpm", "network": {"kind": "unet", "out_channels": 1}}, "network.out_channels: 1, expected 2"),
        ({"training": OPTIONS | {"attack": {}}}, "training.attack.eps: missing key"),
        ({"training": OPTIONS | {"iterations": 0}}, "training.iterations: 0, expected at least 1"),
        ({"network": {"kind": "cmm"}}, "network.kind: cmm, expected one of: unet"),
        ({"network": {"kind": "cnn", "widths": [4], "dpeth": 1}}, "network.dpeth: unknown key"),
        ({"network": {"kind": "cnn", "num_classes": 2}}, r"network.num_classes: 2, expected 3 \(the data's\)"),
        ({"network": {"kind": "cnn", "in_channels": 3}}, r"network.in_channels: 3, expected 1 \(the data's\)"),
    ],
)
def test_bad_entries_are_named(data, cnn_spec, changes, message):
    with pytest.raises(InputError, match=message):
        train(data, cnn_spec, **changes)


@pytest.mark.parametrize("kind", recipes.RECIPES)
def test_the_schema_names_the_options_that_a_recipe_takes(kind):
    """Data, network, run and inputs come first; all else are keywords: those without a default are required there."""
    rules = {
        rule["if"]["properties"]["kind"]["const"]: rule["then"]["properties"]["training"]["$ref"].rpartition("/")[2]
        for rule in SCHEMA["model"]["allOf"]
    }
    parameters = inspect.signature(networks.named(recipes.RECIPES[kind])).parameters.values()
    assert [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY] == ["data", "network", "run", "inputs"]
    schema = SCHEMA[rules[kind]]
    keywords = {p.name: p.default is p.empty for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) <= set(schema["properties"]) == keywords.keys()
    assert {name for name, required in keywords.items() if required} <= set(schema["required"])


def test_the_schema_names_every_kind():
    assert set(SCHEMA["model"]["properties"]["kind"]["enum"]) == recipes.RECIPES.keys()


@pytest.mark.parametrize("kind", ["distillation", "consistency"])
def test_the_schema_names_every_weighting(kind):
    assert set(SCHEMA[kind]["properties"]["weighting"]["enum"]) == consistency.WEIGHTINGS.keys()
