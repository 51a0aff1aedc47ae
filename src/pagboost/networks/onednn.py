"""Convolutions by oneDNN, on a CPU: bias and what follows in one kernel, weights in the order that it reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.networks import rows
from pagboost.networks.convolutions import CL, ONE

IMAGES = 16  # in a batch: what weights are put in order for
PATCHES = 4  # pixels that come out of a convolution, up to which a product of the patches that they see is faster
THEN = {"": ("none", [], ""), "relu": ("relu", [], ""), "relu6": ("hardtanh", [0.0, 6.0], "")}  # oneDNN's names


def _of_onednn(name: str) -> Any:
    return getattr(torch.ops.mkldnn, name, None) if torch.backends.mkldnn.is_available() else None


convolve, transpose, order, order_transposed = map(
    _of_onednn,
    (
        "_convolution_pointwise",
        "_convolution_transpose_pointwise",
        "_reorder_convolution_weight",
        "_reorder_convolution_transpose_weight",
    ),
)
multiply, order_matrix = map(_of_onednn, ("_linear_pointwise", "_reorder_linear_weight"))


def fuses(device: torch.device) -> bool:
    """Whether what runs on this device can be oneDNN's."""
    return device.type == "cpu" and None not in (convolve, transpose, order, order_transposed, multiply, order_matrix)


def multiplies(x: torch.Tensor) -> bool:
    """Whether oneDNN multiplies it, in float32: by `linear`, `product` or `pixelwise`."""
    return multiply is not None and x.device.type == "cpu" and x.dtype == torch.float32


def linear(x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None = None, then: str = "") -> torch.Tensor:
    """x [..., I] by a matrix [O, I], plus a bias [O], and what comes after (of THEN); nothing is differentiated."""
    return multiply(x, matrix, bias, *THEN[then])


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a b^T of matrices [N, D] and [M, D].

    In float32 on a CPU by oneDNN: its kernels ask the CPU what it can do, torch's library (MKL) who made it as well.
    """
    return linear(a, b) if multiplies(a) and multiplies(b) else a @ b.T


def pixelwise(maps: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """A 1x1 convolution of maps [N, C, H, W] by a weight [O, C, 1, 1], as a linear layer of their pixels.

    Gradients are of the maps alone. Maps in channels-last memory are not copied; what comes out is in it too.
    """
    return _Pixelwise.apply(maps, weight.flatten(1), bias)


class _Pixelwise(torch.autograd.Function):
    """Maps to maps that are no view of pixels: what follows in place would keep a copy of those."""

    @staticmethod
    def forward(ctx: Any, maps: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(weight)
        n, channels, height, width = len(maps), len(weight), *maps.shape[2:]
        pixels = linear(rows.rows(maps), weight, bias)
        strides = (height * width * channels, 1, width * channels, channels)
        return torch.empty(0).set_(pixels.untyped_storage(), 0, (n, channels, height, width), strides)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return _Pixelwise.apply(grad, weight.T, None), None, None


class InOrder:
    """A weight in the order in which oneDNN reads it, which depends on the maps' size.

    Not on how many there are: no image's result depends on the batch that came first.
    """

    def __init__(self) -> None:
        self.size: torch.Size | None = None
        self.weight: torch.Tensor | None = None

    def of(self, maps: torch.Tensor, make: Callable[[list[int]], torch.Tensor]) -> torch.Tensor:
        """What `make` makes of the shape of maps; kept until those of another size come."""
        if self.size != maps.shape[2:]:
            self.size, self.weight = maps.shape[2:], make([IMAGES, *maps.shape[1:]])
        return self.weight


class FixedConv(nn.Module):
    """A convolution, its bias and what comes after it (of THEN) in one kernel of oneDNN's; nothing is differentiated.

    uneven: maps of even size are padded as TensorFlow pads them under a stride, by one less in front than behind. That
    is a first row and column of zeros in the weight, and no padded copy of the maps.
    """

    def __init__(self, conv: nn.Conv2d, then: str, uneven: bool = False) -> None:
        super().__init__()
        weight, self.padding = conv.weight.detach(), tuple(conv.padding)
        if uneven:
            self.padding = tuple(size // 2 for size in weight.shape[2:])
            weight = F.pad(weight, (1, 0, 1, 0))
        self.register_buffer("weight", weight.contiguous(memory_format=CL))
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach())
        self.stride, self.groups = tuple(conv.stride), conv.groups
        self.then = THEN[then]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return convolve(x, self.weight, self.bias, self.padding, self.stride, ONE, self.groups, *self.then)


class PackedConv(nn.Module):
    """A convolution, its weight in the order in which oneDNN reads it; nothing is differentiated.

    Beside the weight itself, which is not copied: maps of another size ask for another order. A Conv1d of kernel 1 is
    the 1x1 convolution of maps that it would be of their flattened positions.
    """

    def __init__(self, conv: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        flat = conv.weight.dim() == 3
        self.weight, self.bias = conv.weight.detach(), conv.bias
        self.weight = self.weight.unsqueeze(-1) if flat else self.weight
        self.stride, self.padding = (tuple(of) * (1 + flat) for of in (conv.stride, conv.padding))
        self.forwards = InOrder()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] to [N, O, H', W'], both in channels-last memory."""
        x = x.contiguous(memory_format=CL)
        rest = (self.padding, self.stride, ONE, 1)
        weight = self.forwards.of(x, lambda maps: order(self.weight.contiguous(memory_format=CL), *rest, maps))
        return convolve(x, weight, self.bias, *rest, *THEN[""])


class FixedLinear(nn.Module):
    """A linear layer by oneDNN's product, of weights that are not copied; nothing is differentiated."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight, self.bias)
