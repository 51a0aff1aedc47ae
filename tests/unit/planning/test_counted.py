"""Steps that are counted: whose network, at which size; and what the job of a study of costs is told."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import yaml

from pagboost.errors import InputError
from pagboost.options.reading import read
from pagboost.options.studies import Step
from pagboost.planning import configuration, counted, flags
from pagboost.planning.results import Results

ROOT = Path(__file__).parents[3]
SCALE = {
    "datasets": {"small": {"size": 8, "num_classes": 3}, "large": {"size": 16, "num_classes": 5}},
    "models": {
        "net": {"dataset": "large", "network": {"kind": "cnn"}},
        "joint": {"dataset": "small", "inputs": {"backbone": "net", "fakes": ["g"]}},
        "known": {"dataset": "small", "inputs": {"joint": "joint"}},
        "unet": {"dataset": "small", "network": {"kind": "unet"}},
        "bare": {"dataset": "small"},
    },
    "generators": {
        "g": {"model": "unet_at_30", "sampler": {"kind": "ddpm"}, "nfe": 4},
        "guided": {"model": "unet", "classifier": "net", "sampler": {"kind": "guided_ddpm"}, "nfe": 2},
    },
    "boosts": {"plain": {"guide": "joint"}, "again": {"guide": "known"}, "none": {"guide": "bare"}},
}


def test_a_network_is_that_of_what_a_training_starts_from_at_the_size_of_its_own_images():
    found = counted.steps(SCALE, {"samplers": ["g", "guided"], "boosts": ["plain", "again"]})
    drawn = {"network": {"kind": "unet"}, "size": 8, "num_classes": 3}
    assert found["g"] == {**drawn, "sampler": {"kind": "ddpm"}, "nfe": 4}
    assert found["guided"] == {**drawn, "sampler": {"kind": "guided_ddpm"}, "nfe": 2, "classifier": {"kind": "cnn"}}
    assert found["plain"] == found["again"] == {"network": {"kind": "cnn"}, "size": 8, "num_classes": 3}


def test_a_model_without_a_network_is_named():
    with pytest.raises(InputError, match=r"models\.bare: no network is declared"):
        counted.boosting_step(SCALE, "none")


@cache
def shipped(scale: str) -> Results:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    return Results(configuration.load(ROOT, config | {"scale": scale}))


@pytest.mark.parametrize("scale", ["digits_full", "imagenet"])
def test_a_study_of_costs_is_made_from_nothing_but_what_is_declared(scale):
    results = shipped(scale)
    result = results.study("step_costs", "json")
    assert result.before() == [] and "device" not in result.settings
    (flag,) = flags.studied(results, "step_costs")
    steps = json.loads(flag.removeprefix("--steps="))
    entry = results.scale["studies"]["step_costs"]
    assert list(steps) == sorted([*entry["samplers"], *entry["boosts"]])
    assert all(read(Step, one, name).network for name, one in steps.items())
    assert result.settings["steps"] == steps  # what is declared of them is part of what the result is made from


def test_a_study_of_debiasing_is_told_of_its_pools():
    results = shipped("digits_full")
    given = flags.studied(results, "debiasing")
    assert given[0].startswith("--data=") and given[0].endswith("/heldout.npz")
    for use, role in (("eval", "set"), ("train", "pool")):
        assert f"--{role}=vae={results.folder}/samples/vae/boost=none/{use}.npz" in given
    assert len([flag for flag in given if flag.startswith("--pool=")]) == 6
