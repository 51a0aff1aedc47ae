"""Copies of networks whose weights stay as they are: the same function, computed as fast as a device can."""

from __future__ import annotations

import copy
import logging

import torch

from pagboost.machine import graphs, number_format
from pagboost.networks import onednn
from pagboost.networks.copies import replaced, twin
from pagboost.networks.fused import Fused
from pagboost.networks.resnet import NormalisedResNet
from pagboost.networks.unet import UNet, UNetEncoder
from pagboost.networks.unet_layers import AttentionBlock

log = logging.getLogger(__name__)
LARGE = 4_000_000  # weights; on a CPU smaller networks keep the bytes of their results, and gain little


def fuses(network: torch.nn.Module, device: torch.device) -> bool:
    """Whether a network is attacked in its fused form there."""
    if not isinstance(network, NormalisedResNet):
        return False
    return number_format.halved(device) or (device.type == "cpu" and _large(network))


def _large(network: torch.nn.Module) -> bool:
    return sum(p.numel() for p in network.parameters()) >= LARGE


def frozen_copy(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """A network on a device, in eval mode, for gradients with respect to images and for sampling.

    A ResNet is fused (networks.fused), a UNet on a GPU computes in bf16 throughout, its sums in fp32, and a large one
    on a CPU attends in channels-last memory; any other network is moved there and returned itself.
    """
    network = network.to(device, memory_format=torch.channels_last).eval()
    if fuses(network, device):
        return Fused(network, device).eval()
    if device.type == "cpu" and number_format.halved(device):
        log.warning("%s: no ResNet, computed in fp32", type(network).__name__)
    if not isinstance(network, UNet | UNetEncoder):
        return network
    if device.type == "cuda":
        return halved(network)
    return _in_channels_last(twin(network)) if onednn.fuses(device) and _large(network) else network


def halved(network: UNet | UNetEncoder) -> torch.nn.Module:
    """A copy in bf16."""
    return _in_channels_last(copy.deepcopy(network).to(torch.bfloat16).eval().requires_grad_(False))


def _in_channels_last(network: torch.nn.Module) -> torch.nn.Module:
    for module in network.modules():
        if isinstance(module, AttentionBlock):
            module.in_channels_last = True
    return network


def packed(network: torch.nn.Module) -> torch.nn.Module:
    """The network itself with its convolutions' weights as oneDNN reads them: beside the weights, once more as much."""
    return replaced(network, (torch.nn.Conv1d, torch.nn.Conv2d), onednn.PackedConv)


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
    """`frozen_copy` for sampling alone: a UNet is called without gradients, many times at one shape."""
    made = frozen_copy(network, device)
    if not isinstance(made, UNet):
        return made
    if device.type == "cuda":
        return Replayed(made)
    return made if made is network else packed(made)
