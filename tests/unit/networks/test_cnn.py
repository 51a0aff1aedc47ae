"""The small classifier that is a feature extractor."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from pagboost import images, networks
from pagboost.errors import InputError
from pagboost.networks import cnn
from pagboost.options.kinds import hints
from pagboost.options.networks import CNN
from pagboost.options.reading import unwrapped

SPEC = {
    "kind": "cnn",
    "in_channels": 1,
    "num_classes": 10,
    "input_size": 16,
    "widths": [4, 8],
    "depth": 2,
    "kernel": 3,
    "feature_dim": 12,
    "activation": "relu",
    "pool": "max",
}


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return networks.build(SPEC).eval()


def test_one_pass_gives_features_and_the_logits_of_forward(network: torch.nn.Module) -> None:
    x = torch.rand(3, 1, 16, 16)
    features, logits = network.features(x)
    assert features.shape == (3, 12) and logits.shape == (3, 10)
    torch.testing.assert_close(logits, network(x))
    torch.testing.assert_close(logits, network.head(features))


@pytest.mark.parametrize("size", [8, 32, 64])
def test_every_size_is_resized_to_the_input_size(network: torch.nn.Module, size: int) -> None:
    x = torch.rand(2, 1, size, size)
    torch.testing.assert_close(network(x), network(images.resize(x, 16)))


def test_gradients_reach_the_image(network: torch.nn.Module) -> None:
    x = torch.rand(2, 1, 32, 32, requires_grad=True)
    network(x).sum().backward()
    assert bool((x.grad.flatten(1).abs().sum(1) > 0).all())


def test_it_learns_which_half_is_bright() -> None:
    torch.manual_seed(0)
    network = networks.build({**SPEC, "num_classes": 2})
    y = torch.arange(32) % 2
    x = 0.2 * torch.rand(32, 1, 16, 16)
    x[y == 0, :, :8] += 0.8
    x[y == 1, :, 8:] += 0.8
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(12):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    assert bool((network.eval()(x).argmax(1) == y).all())


@pytest.mark.parametrize(("option", "table"), [("activation", cnn.ACTIVATIONS), ("pool", cnn.POOLS)])
def test_what_can_be_asked_for_is_what_there_is(option: str, table: dict) -> None:
    assert get_args(unwrapped(hints(CNN)[option])[0]) == tuple(table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "sine"}, "network.activation: 'sine', expected one of: relu, gelu, silu"),
        ({"pool": "median"}, "network.pool: 'median', expected one of: max, average"),
        ({"kernel": 4}, "network.kernel: 4, expected an odd size"),
        ({"input_size": 18}, "network.input_size: 18, expected a multiple of 4"),
    ],
)
def test_bad_options_are_named(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        networks.build({**SPEC, **change})
