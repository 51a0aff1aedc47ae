"""What can guide or measure, and what cannot: each is told in one line before anything is computed with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pagboost import networks
from pagboost.errors import InputError
from pagboost.networks import given, probing
from pagboost.networks.function import FunctionFeatures
from pagboost.options.networks import Function

MINE = Path(__file__).parents[1] / "functions_of_mine.py"


def made(name, **options):
    arguments = options.pop("arguments", {})
    function = Function(function=f"{MINE}:{name}", arguments=arguments, **{"channels": 1, **options})
    return networks.returned(function, name)[0]


def test_a_classifier_says_how_many_classes_it_has():
    network = made("classifier", arguments={"classes": 7})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert probing.check_logits(network, 1, 8, "mine") == 7
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("maps", "torch.float32 [2, 3, 6, 6] for 2 images, expected a classifier: logits [N, K]"),
        ("single", "torch.float32 [3] for 2 images, expected a classifier"),
        ("labels", "torch.int64 [2, 1] for 2 images, expected a classifier"),
        ("a_tuple", "gives a tuple, expected a classifier"),
        ("nan", "gives NaN or infinity"),
        ("detached", "no gradient of its logits reaches the image"),
        ("noisy", "an image's output is another one alone than beside a second image"),
        ("of_its_batch", "an image's output is another one alone than beside a second image"),
        ("training", "a pass changes its model.bn.running_mean, expected eval mode (BatchNorm must not move)"),
        ("counting", "a pass changes its model.passes, expected eval mode"),
    ],
)
def test_what_cannot_guide_is_one_line(name, message):
    with pytest.raises(InputError) as caught:
        probing.check_logits(made(name), 1, 8, "mine")
    assert str(caught.value).startswith("mine: ") and message in str(caught.value) and "\n" not in str(caught.value)


def test_images_of_another_shape_are_one_line():
    with pytest.raises(InputError) as caught:
        probing.check_logits(made("classifier"), 3, 8, "mine")
    assert str(caught.value).startswith("mine: RuntimeError on images [2, 3, 8, 8]: Given groups=1")


@pytest.mark.parametrize("logits", [True, False])
def test_an_extractor_may_have_logits(logits):
    network = FunctionFeatures(made("features", arguments={"logits": logits}), 8).eval()
    probing.check_features(network, 8, "mine")
    assert [list(part.shape) for part in network.features(torch.rand(5, 1, 12, 12))] == [[5, 64], [5, 3]][: 1 + logits]


@pytest.mark.parametrize("name", ["maps", "noisy", "nan", "training"])
def test_what_cannot_measure_is_one_line(name):
    with pytest.raises(InputError, match=r"^mine: .*expected"):
        given.probe(made(name), given.EXTRACTOR, 8, "mine")
