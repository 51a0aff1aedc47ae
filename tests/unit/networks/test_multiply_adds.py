"""Multiply-adds: by hand, backward passes too, and on tensors without numbers."""

from __future__ import annotations

import torch
from torch import nn

from pagboost.networks.multiply_adds import multiply_adds
from pagboost.networks.resnet import PointwiseConv2d


def passes(device: str, network: nn.Module, shape: tuple[int, ...]) -> tuple[float, float]:
    """(forward alone, forward and the gradient at the input)."""
    network, x = network.to(device), torch.zeros(shape, device=device)

    def gradient() -> None:
        leaf = x.clone().requires_grad_(True)
        torch.autograd.grad(network(leaf).sum(), leaf)

    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return multiply_adds(lambda: network(x)), multiply_adds(gradient)


def test_a_product_and_its_gradient_are_counted():
    forward, both = passes("cpu", nn.Linear(7, 5), (3, 7))
    assert (forward, both) == (3 * 7 * 5, 2 * 3 * 7 * 5)


def test_convolutions_are_counted_on_tensors_without_numbers_as_on_others():
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
    expected = 8 * 8 * (2 * 4 * 9 + 4)
    for device in ("cpu", "meta"):
        assert passes(device, network, (1, 2, 8, 8)) == (expected, 2 * expected)


def test_what_multiplies_nothing_costs_nothing():
    assert multiply_adds(lambda: torch.zeros(3) + 1) == 0


def test_pixels_through_a_linear_layer_count_as_the_convolution_that_they_are():
    network = nn.Sequential(PointwiseConv2d(2, 4, bias=False), nn.ReLU(), PointwiseConv2d(4, 6, 2))
    expected = 16 * (8 * 8 * 2 * 4 + 4 * 4 * 4 * 6)
    for device in ("cpu", "meta"):
        assert passes(device, network, (16, 2, 8, 8)) == (expected, 2 * expected)
