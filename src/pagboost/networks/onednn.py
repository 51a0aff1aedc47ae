"""Convolutions by oneDNN, on a CPU: bias, shortcut and ReLU in one kernel, weights in the order that it reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.networks.convolutions import CL, ONE, Conv, Squares

IMAGES = 16  # in a batch: what weights are put in order for
THEN = {"": ("none", [], ""), "relu": ("relu", [], ""), "relu6": ("hardtanh", [0.0, 6.0], "")}  # oneDNN's names


def _of_onednn(name: str) -> Any:
    return getattr(torch.ops.mkldnn, name, None) if torch.backends.mkldnn.is_available() else None


_pointwise, _transposed = map(_of_onednn, ("_convolution_pointwise", "_convolution_transpose_pointwise"))
_ordered, _ordered_transposed = map(
    _of_onednn, ("_reorder_convolution_weight", "_reorder_convolution_transpose_weight")
)
_linear = _of_onednn("_linear_pointwise")


def fuses(device: torch.device) -> bool:
    """Whether what runs on this device can be oneDNN's."""
    return device.type == "cpu" and None not in (_pointwise, _transposed, _ordered, _ordered_transposed)


def multiplies(maps: torch.Tensor) -> bool:
    """Whether maps can go through `pixelwise`."""
    return _linear is not None and maps.device.type == "cpu" and maps.dtype == torch.float32


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
        pixels = _linear(maps.permute(0, 2, 3, 1).flatten(0, 2), weight, bias, *THEN[""])
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

    def of(self, maps: torch.Tensor, order: Callable[[list[int]], torch.Tensor]) -> torch.Tensor:
        """What `order` makes of the shape of maps; kept until those of another size come."""
        if self.size != maps.shape[2:]:
            self.size, self.weight = maps.shape[2:], order([IMAGES, *maps.shape[1:]])
        return self.weight


class OneDnnConv(Conv):
    """A convolution by weights in oneDNN's order, its gradient a transposed one by weights in an order of their own."""

    def fill(self, weight: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor) -> None:
        super().fill(weight, scale, bias)
        self.forwards, self.backwards = InOrder(), InOrder()

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        weight = self.forwards.of(x, lambda maps: _ordered(self.weight, self.padding, self.stride, ONE, 1, maps))
        rest = (self.padding, self.stride, ONE, 1)
        if not self.relu:
            return _pointwise(x, weight, None, *rest, *THEN[""])
        if shortcut is None:
            return _pointwise(x, weight, self.bias, *rest, *THEN["relu"])
        if shortcut.shape[2:] == ONE:  # "could not create a memory", says torch 2.11 of a summand of one pixel
            return _pointwise(x, weight, self.bias, *rest, *THEN[""]).add_(shortcut).relu_()
        return _pointwise.binary(x, shortcut, weight, self.bias, *rest, "add", 1.0, *THEN["relu"])

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        return self._transposed(grad, self.weight, size[2:], self.stride, self.padding)

    def _transposed(
        self,
        grad: torch.Tensor,
        weight: torch.Tensor,
        size: torch.Size,
        stride: tuple[int, ...] = ONE,
        padding: tuple[int, ...] = (0, 0),
    ) -> torch.Tensor:
        """The gradient of the maps of `size` (H, W) that a convolution by `weight` saw."""
        kernel, out = weight.shape[2:], grad.shape[2:]
        # the last rows and columns, which a stride leaves out
        missed = tuple(size[i] - (out[i] - 1) * stride[i] + 2 * padding[i] - kernel[i] for i in range(2))
        rest = (padding, missed, stride, ONE, 1)
        weight = self.backwards.of(grad, lambda maps: _ordered_transposed(weight, *rest, maps))
        return _transposed(grad, weight, None, *rest, *THEN[""])


class OneDnnPicked(OneDnnConv):
    """A 1x1 convolution under a stride: one at stride 1 of the pixels that it sees."""

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__(conv, relu, device)
        self.apart, self.stride = self.stride, ONE

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        return super().computed(F.avg_pool2d(x, 1, self.apart), shortcut)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        whole = torch.empty(size, dtype=grad.dtype, device=grad.device, memory_format=CL).zero_()
        down, across = self.apart
        whole[:, :, ::down, ::across] = super().back(grad, grad.shape)
        return whole


class OneDnnStem(OneDnnConv):
    """A strided convolution of images, whose gradient is one of their squares: less than half the time."""

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__(conv, relu, device)
        self.squares = Squares.of(conv)

    def fill(self, weight: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor) -> None:
        super().fill(weight, scale, bias)
        self.of_squares = self.squares.weight(self.weight)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        whole = torch.Size(side + self.squares.border for side in grad.shape[2:])
        return self.squares.images(self._transposed(grad, self.of_squares, whole), size)


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
        return _pointwise(x, self.weight, self.bias, self.padding, self.stride, ONE, self.groups, *self.then)


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
        weight = self.forwards.of(x, lambda maps: _ordered(self.weight.contiguous(memory_format=CL), *rest, maps))
        return _pointwise(x, weight, self.bias, *rest, *THEN[""])
