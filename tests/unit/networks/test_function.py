"""Networks that functions return: the same function as the module itself, whatever it does with its memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from msgspec import to_builtins

from pagboost import images, networks
from pagboost.errors import InputError
from pagboost.networks.folding import folded
from pagboost.options.networks import Function
from pagboost.options.reading import read

MINE = Path(__file__).parents[1] / "functions_of_mine.py"
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def options(name, **more):
    return Function(function=f"{MINE}:{name}", **{"channels": 1, **more})


def resnet18(**more):
    return Function(function="torchvision.models:resnet18", arguments={"num_classes": 4}, **more)


def test_it_is_the_module_behind_a_normalisation():
    network, _ = networks.returned(resnet18(**IMAGENET))
    torch.manual_seed(0)
    own = torchvision.models.resnet18(num_classes=4).eval()
    x = torch.rand(3, 3, 40, 40)
    mean, std = (torch.tensor(IMAGENET[key]).view(3, 1, 1) for key in ("mean", "std"))
    assert torch.allclose(network(x), own((x - mean) / std), atol=1e-6)
    resized, _ = networks.returned(resnet18(input_size=64, **IMAGENET))
    assert torch.allclose(resized(x), own((images.resize(x, 64) - mean) / std), atol=1e-5)


def test_its_stages_are_torchvision_s():
    network, _ = networks.returned(resnet18())
    x = torch.rand(2, 3, 64, 64, requires_grad=True)
    maps = network.feature_maps(x)
    assert [list(one.shape[1:]) for one in maps] == [[64, 16, 16], [128, 8, 8], [256, 4, 4], [512, 2, 2]]
    assert torch.allclose(network.model.fc(maps[-1].mean((2, 3))), network(x), atol=1e-5)
    (gradient,) = torch.autograd.grad(maps[1].sum(), x)
    assert gradient.abs().sum() > 0 and not any(module._forward_hooks for module in network.modules())
    assert not hasattr(networks.returned(options("classifier"))[0], "feature_maps")


def test_rows_stay_in_order_in_memory():
    """Images as they are stored have their channels last, and modules that call view would fail on them."""
    network = networks.returned(options("classifier"))[0].to("cpu", memory_format=torch.channels_last)
    for channels in (1, 3):
        network = networks.returned(options("classifier", channels=channels, arguments={"channels": channels}))[0]
        network = network.to("cpu", memory_format=torch.channels_last)
        x = torch.rand(5, 8, 8, channels).permute(0, 3, 1, 2)
        assert torch.allclose(network(x), network(x.contiguous()), atol=1e-6)


def test_nothing_is_folded_into_it():
    """A BatchNorm of a convolution's number may come before it."""
    network, _ = networks.returned(options("preactivation", channels=3))
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(folded(network)(x), network(x))


def test_the_same_function_returns_the_same_network():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    (one, facts), (other, again) = (networks.returned(options("classifier")) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before) and facts == again
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    _, changed = networks.returned(options("classifier", arguments={"seed": 3}))
    assert changed[networks.STATE] != facts[networks.STATE] and changed[networks.MADE_OF] == facts[networks.MADE_OF]
    assert next(networks.returned(options("half"))[0].parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_module", "functions_of_mine.py:no_module returns str, expected a torch.nn.Module"),
        ("raises", "functions_of_mine.py:raises: ValueError: no weights (functions_of_mine.py, line "),
    ],
)
def test_what_is_no_network_is_one_line(name, message):
    with pytest.raises(InputError) as caught:
        networks.build({"kind": "function", **to_builtins(options(name))})
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"function": "no function"}, "network.function: 'no function', expected MODULE:NAME, or PATH/TO/FILE.py:NAME"),
        ({"mean": [0.5] * 3}, "network.std: None, expected as many numbers as mean"),
        ({"mean": [0.5], "std": [0.5]}, "network.mean: [0.5], expected 3 (channels)"),
        ({"arguments": {"a": float("nan")}}, "network.arguments: {'a': nan}, expected what JSON can hold"),
        ({"argument": {}}, "network.argument: unknown key (did you mean arguments?)"),
    ],
)
def test_options_are_read_without_calling_anything(given, message):
    with pytest.raises(InputError) as caught:
        read(networks.Network, {"kind": "function", "function": "a.b:c", **given}, "network")
    assert str(caught.value).startswith(message)
