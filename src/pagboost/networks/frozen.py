"""Copies of networks whose weights stay as they are: the same function, computed as fast as a device can."""

from __future__ import annotations

import copy

import torch

from pagboost.machine import graphs
from pagboost.networks.fused import Fused
from pagboost.networks.resnet import NormalisedResNet
from pagboost.networks.unet import UNet, UNetEncoder

LARGE = 4_000_000  # weights; on a CPU smaller ResNets gain nothing, and keep the bytes of their results


def fuses(network: torch.nn.Module, device: torch.device) -> bool:
    """Whether a network is attacked in its fused form there."""
    if not isinstance(network, NormalisedResNet):
        return False
    large = sum(p.numel() for p in network.parameters()) >= LARGE
    return device.type == "cuda" or (device.type == "cpu" and large)


def frozen_copy(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """A network on a device, in eval mode, for gradients with respect to images and for sampling.

    A ResNet is fused (networks.fused), a UNet on a GPU computes in bf16 throughout, its sums in fp32; any other network
    is moved there and returned itself.
    """
    network = network.to(device, memory_format=torch.channels_last).eval()
    if fuses(network, device):
        return Fused(network, device).eval()
    if device.type == "cuda" and isinstance(network, UNet | UNetEncoder):
        return halved(network)
    return network


def halved(network: UNet | UNetEncoder) -> torch.nn.Module:
    """A copy in bf16."""
    return copy.deepcopy(network).to(torch.bfloat16).eval().requires_grad_(False)


class Replayed(torch.nn.Module):
    """A network whose whole forward pass is one launch on a GPU (pagboost.machine.graphs); without gradients."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.replayed = graphs.Replayed(network)

    def __getattr__(self, name: str) -> object:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)

    def forward(self, x: torch.Tensor, *rest: torch.Tensor | None) -> torch.Tensor:
        return self.replayed(x, *rest)


def sampled_copy(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """`frozen_copy` for sampling alone: a UNet on a GPU is called without gradients, many times at one shape."""
    network = frozen_copy(network, device)
    return Replayed(network) if device.type == "cuda" and isinstance(network, UNet) else network
