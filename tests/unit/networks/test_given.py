"""Networks as command lines name them: files, functions, entries; a file that names a function runs none by itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
import yaml

from pagboost import artifacts, attacks, functions, images, networks
from pagboost.artifacts import SampleSet
from pagboost.boosting import walks
from pagboost.boosting.guide import Guide
from pagboost.errors import InputError
from pagboost.networks import given
from pagboost.options.boosts import StepBoost
from pagboost.options.reading import read

MINE = Path(__file__).parents[1] / "functions_of_mine.py"
GUIDES = {"classifier", "joint"}


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch):
    monkeypatch.delenv(functions.VARIABLE, raising=False)


def entry(name="classifier", role="classifier", **network):
    network = {"kind": "function", "function": f"{MINE}:{name}", "channels": 1, **network}
    training = {"stands_for": {"kind": role}} if role else {}
    return {"kind": "imported", "dataset": "mine", "network": network, "training": training, "source": "assumed"}


def test_what_images_do_not_say_is_asked_of_the_network():
    found = given.load(f'{MINE}:classifier?{{"classes": 5}}', GUIDES, (1, 8))
    assert found.description["dataset"] == {"channels": 1, "size": 8, "num_classes": 5}
    assert (found.name, found.description["kind"]) == ("functions_of_mine.py:classifier", "classifier")
    assert len(found.sha256) == 64 and not found.network.training


def test_a_function_is_named_in_four_ways(tmp_path):
    (tmp_path / "scale.yaml").write_text(yaml.safe_dump({"models": {"net": entry(), "bare": entry()["network"]}}))
    ways = [f"{MINE}:classifier", json.dumps({"function": f"{MINE}:classifier"}), json.dumps(entry())]
    ways += [f"{tmp_path}/scale.yaml:models.net", f"{tmp_path}/scale.yaml:models.bare"]
    assert len({given.load(way, GUIDES, (1, 8)).sha256 for way in ways}) == 1
    assert (
        given.load(f'{MINE}:classifier?{{"seed": 1}}', GUIDES, (1, 8)).sha256
        != given.load(ways[0], GUIDES, (1, 8)).sha256
    )


def test_its_hash_does_not_depend_on_the_folder(monkeypatch):
    whole = given.load(f"{MINE}:classifier", GUIDES, (1, 8)).sha256
    monkeypatch.chdir(MINE.parent)
    assert given.load(f"{MINE.name}:classifier", GUIDES, (1, 8)).sha256 == whole


@pytest.mark.parametrize(
    ("source", "kinds", "message"),
    [
        (json.dumps(entry(role="joint")), {"classifier"}, "a model of kind joint, expected classifier"),
        (json.dumps(entry() | {"kind": "classifier"}), GUIDES, "a model of kind classifier, expected imported"),
        (json.dumps({"kind": "cnn"}), GUIDES, "expected a network of kind function"),
        (json.dumps({"function": f"{MINE}:classifier", "size": 8}), GUIDES, "network.size: unknown key"),
        ("weights.safetensors", GUIDES, "weights.safetensors: no such file"),
        (f"{MINE}:classifier?[]", GUIDES, "expected arguments by name, as JSON"),
        ("none.yaml:models.a", GUIDES, "none.yaml: no such file"),
    ],
)
def test_what_is_none_is_one_line(source, kinds, message):
    with pytest.raises(InputError) as caught:
        given.load(source, kinds, (1, 8))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_the_size_is_asked_for_where_nobody_knows_it():
    with pytest.raises(InputError, match="nothing says the side of the images that it sees, expected input_size: '{"):
        given.load(f"{MINE}:features", ("imported",), kind="imported")


# -- in a file


def weights(path, function, arguments=None, **facts):
    """A weights file as anybody could write one."""
    spec = {"kind": "function", "function": function, "arguments": arguments or {}, "channels": 1}
    dataset = {"channels": 1, "size": 8, "num_classes": 3}
    artifacts.save_weights(path, {}, {"kind": "classifier", "network": spec, "dataset": dataset, **facts})
    return path


def test_a_file_runs_no_function_that_nobody_named(tmp_path):
    """Neither of the file's own folder, nor of an installed package; declared ones with these arguments alone."""
    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w')\ndef net(): pass\n")
    for function, arguments in (
        (f"{tmp_path}/evil.py:net", {}),
        ("os:system", {"command": f"touch {ran}"}),
        ("builtins:exec", {"source": f"open({str(ran)!r}, 'w')"}),
        (f"{MINE}:classifier", {"seed": 1}),
    ):
        functions.declare([(f"{MINE}:classifier", {}), ("os:getcwd", {})])
        for facts in ({}, {networks.STATE: "0" * 64, networks.MADE_OF: functions.made_of("os:system")}):
            file = weights(tmp_path / "w.safetensors", function, arguments, **facts)
            with pytest.raises(InputError, match="would run code that nobody here has named"):
                given.load(file, GUIDES, (1, 8))
    assert not ran.exists() and "evil" not in sys.modules


def test_a_file_without_tensors_builds_nothing_else(tmp_path):
    spec = {"kind": "cnn", "in_channels": 1, "num_classes": 3, "input_size": 8, "widths": [4], "depth": 1, "kernel": 3}
    spec |= {"feature_dim": 6, "activation": "silu", "pool": "average"}
    artifacts.save_weights(tmp_path / "w.safetensors", {}, {"network": spec, networks.STATE: "0"})
    with pytest.raises(InputError, match="w.safetensors: holds no weights of its cnn"):
        networks.load(tmp_path / "w.safetensors")


# -- at work


def test_torchvision_s_resnet_guides_as_it_is():
    """Two steps of a walk by hand and by the booster; the module is as it was, in eval mode, its statistics unmoved."""
    found = given.load('torchvision.models:resnet18?{"num_classes": 4}', GUIDES, (3, 32))
    before = {name: value.clone() for name, value in found.network.state_dict().items()}
    guide = Guide.of(found.network, found.description)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    samples = SampleSet(pixels, np.arange(3))
    boost = read(StepBoost, {"objective": "ce", "sampler": "pgd", "alpha": 0.5}, "boost")
    boosted = walks.boost_samples(guide, boost, samples, 2, 2, torch.device("cpu"))

    torch.manual_seed(0)
    own = torchvision.models.resnet18(num_classes=4).eval()
    x, y = images.to_float(pixels).contiguous(), torch.arange(3)
    for _ in range(2):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(own(x), y, reduction="sum"), x)
        x = (x - 0.5 * gradient / attacks.l2_norm(gradient).view(-1, 1, 1, 1).float()).clamp(0, 1)
    expected = images.to_uint8(x.detach())
    difference = np.abs(boosted.images.astype(int) - expected.astype(int))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01 and (boosted.images != pixels).any()
    assert not any(module.training for module in found.network.modules())
    assert all(parameter.requires_grad for parameter in found.network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in found.network.state_dict().items())
