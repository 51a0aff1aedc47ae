"""Every recipe, killed in the middle of an epoch and started again, ends in the bytes of an undisturbed run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pagboost import artifacts, networks, recipes, rng, training
from pagboost.files import yaml_files

SCALE = yaml_files.read(Path(__file__).parents[2] / "config" / "scales" / "digits.yaml")
CPU = torch.device("cpu")
ITERATIONS, KILLED_AT = 5, 3
SHORT = {"iterations": ITERATIONS, "batch_size": 8, "generated_batch_size": 6, "checkpoints": [2, 4], "warmup": 2}
# one model of each kind, of GANs of each method
MODELS = {
    (entry["kind"], (entry["training"].get("method") or {}).get("kind")): name
    for name, entry in reversed(SCALE["models"].items())
    if SCALE["datasets"][entry["dataset"]]["size"] == 16
}


@pytest.fixture(scope="module")
def data():
    draws = rng.generator("images")
    x = torch.rand(20, 1, 16, 16, generator=draws)
    return training.Data(x, torch.randint(10, (20,), generator=draws), 10)


@pytest.fixture(scope="module")
def inputs(data, tmp_path_factory):
    """What recipes read of other jobs: a teacher and a backbone that were trained for an iteration, and samples."""
    folder = tmp_path_factory.mktemp("inputs")
    found = {}
    for role, model in (("teacher", "edm"), ("backbone", "rn50_robust")):
        trained = recipes.train(short(model), data, training.Run(1, CPU), {})
        facts = {"kind": SCALE["models"][model]["kind"], "dataset": {"channels": 1, "size": 16, "num_classes": 10}}
        networks.save(folder / f"{role}.safetensors", trained.network, trained.spec, facts | dict(trained.facts))
        found[role] = folder / f"{role}.safetensors"
    pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), np.uint8)
    zeros, numbers = np.zeros(20, np.int64), np.arange(20)
    artifacts.save_samples(folder / "fakes.npz", artifacts.SampleSet(pixels, numbers % 10, zeros, numbers))
    return found | {"fakes": [folder / "fakes.npz"]}


def short(model):
    """A model's entry with a training of a few iterations, all else as it is."""
    entry = SCALE["models"][model]
    own = {key: value for key, value in SHORT.items() if key in entry["training"]}
    return entry | {"training": entry["training"] | own}


class Killed(Exception):
    pass


@pytest.mark.parametrize("model", MODELS.values(), ids=["-".join(filter(None, kind)) for kind in MODELS])
def test_a_killed_training_ends_in_the_same_bytes(model, data, inputs, tmp_path, monkeypatch):
    spec = short(model)
    roles = {role: inputs[role] for role in spec.get("inputs", {})}

    def train(run):
        trained = recipes.train(spec, data, run, roles)
        found = [trained.network, *trained.checkpoints.values()]
        return [dict(one.state_dict()) for one in found], trained.facts

    whole, facts = train(training.Run(0, CPU))
    run = training.Run(0, CPU, tmp_path / "model.state", save_every=0.0)
    save = training._save

    def save_and_die(run, state, generator, following):
        save(run, state, generator, following)
        if following == KILLED_AT:
            raise Killed

    monkeypatch.setattr(training, "_save", save_and_die)
    with pytest.raises(Killed):
        train(run)
    monkeypatch.setattr(training, "_save", save)
    torch.manual_seed(99)  # another process
    resumed, facts_again = train(run)
    assert facts_again == facts
    for ours, theirs in zip(resumed, whole, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
