"""Which kernels a network's parts are computed by where it is."""

from __future__ import annotations

import torch
from torch import nn

from pagboost.networks import gpu_convs, onednn, onednn_convs
from pagboost.networks.convolutions import ONE, Conv, Pool, Squares


def kind(conv: nn.Conv2d, relu: bool, device: torch.device, stem: bool = False) -> type[Conv]:
    """By which kernels a convolution runs fastest; relu: one follows; stem: it sees images."""
    if device.type == "cuda":
        return gpu_convs.kind(conv, relu, stem)
    if not onednn.fuses(device):
        return Conv
    if conv.stride == ONE:
        return onednn_convs.OneDnnRows
    if conv.kernel_size == ONE and conv.padding == (0, 0) and not relu:
        return onednn_convs.OneDnnPicked
    return onednn_convs.OneDnnStem if stem and Squares.fits(conv) else onednn_convs.OneDnnPatches


def pool_of(module: nn.Module, device: torch.device) -> Pool | None:
    """What stands for a ResNet's max pooling; None where it has none."""
    if isinstance(module, nn.Identity):
        return None
    return gpu_convs.TritonPool() if device.type == "cuda" and gpu_convs.triton_works() else Pool()
