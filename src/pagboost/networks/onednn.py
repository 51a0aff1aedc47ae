"""Convolutions by oneDNN, on a CPU: bias, shortcut and ReLU in one kernel, weights in the order that it reads."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.networks.convolutions import CL, ONE, Conv, Squares

IMAGES = 16  # in a batch: what weights are put in order for
THEN = {"": ("none", [], ""), "relu": ("relu", [], ""), "relu6": ("hardtanh", [0.0, 6.0], "")}  # oneDNN's names


def _pointwise_of_onednn() -> Any:
    return getattr(torch.ops.mkldnn, "_convolution_pointwise", None) if torch.backends.mkldnn.is_available() else None


_pointwise = _pointwise_of_onednn()


def fuses(device: torch.device) -> bool:
    """Whether what runs on this device can be oneDNN's."""
    return device.type == "cpu" and _pointwise is not None


class OneDnnConv(Conv):
    """Weights in the order in which oneDNN reads them, and the input's gradient as a convolution of its own.

    The order depends on a map's size, not on how many there are: no image's result on the batch that came first.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__(conv, relu, device)
        self.packed: dict[bool, tuple[torch.Size, torch.Tensor]] = {}  # by whether it is the gradient's

    def fill(self, weight: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor) -> None:
        super().fill(weight, scale, bias)
        self.packed.clear()

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        weight, rest = self._in_order(x, False), (self.padding, self.stride, ONE, 1)
        if not self.relu:
            return _pointwise(x, weight, None, *rest, "none", [], "")
        if shortcut is None:
            return _pointwise(x, weight, self.bias, *rest, "relu", [], "")
        if shortcut.shape[2:] == ONE:  # "could not create a memory", says torch 2.11 of a summand of one pixel
            return _pointwise(x, weight, self.bias, *rest, "none", [], "").add_(shortcut).relu_()
        return _pointwise.binary(x, shortcut, weight, self.bias, *rest, "add", 1.0, "relu", [], "")

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        if self.stride != ONE:
            return super().back(grad, size)
        return self._convolved(grad)

    def _convolved(self, grad: torch.Tensor) -> torch.Tensor:
        """The gradient of what the weight at stride 1 saw: a convolution too, of that weight turned around."""
        return _pointwise(grad, self._in_order(grad, True), None, self._reach(), ONE, ONE, 1, "none", [], "")

    def _reach(self) -> tuple[int, ...]:
        """The gradient's padding."""
        return tuple(k - 1 - p for k, p in zip(self.weight.shape[2:], self.padding, strict=True))

    def _at_stride_one(self) -> torch.Tensor:
        """The weight, of a convolution at stride 1."""
        return self.weight

    def _in_order(self, x: torch.Tensor, backwards: bool) -> torch.Tensor:
        size, weight = self.packed.get(backwards, (None, None))
        if size != x.shape[2:]:
            weight, padding, stride = self.weight, self.padding, self.stride
            if backwards:
                turned = self._at_stride_one().flip(2, 3).transpose(0, 1)
                weight, padding, stride = turned.contiguous(memory_format=CL), self._reach(), ONE
            maps = [IMAGES, *x.shape[1:]]
            weight = torch.ops.mkldnn._reorder_convolution_weight(weight, padding, stride, ONE, 1, maps)
            self.packed[backwards] = x.shape[2:], weight
        return weight


class OneDnnStem(OneDnnConv):
    """A strided convolution of images, whose gradient is one of their squares: less than half the time."""

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__(conv, relu, device)
        self.squares = Squares.of(conv)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        return self.squares.images(self._convolved(grad), size)

    def _reach(self) -> tuple[int, ...]:
        return (self.squares.border,) * 2

    def _at_stride_one(self) -> torch.Tensor:
        return self.squares.weight(self.weight)


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
