"""Convolutions of networks whose weights stay, by a device's plain kernels: gradients of the input alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

ONE = (1, 1)
CL = torch.channels_last
WINDOW = [3, 3], [2, 2], [1, 1]  # of a ResNet's max pooling: size, stride, padding


@dataclass(frozen=True)
class Passed:
    """What the gradient of a ReLU asks for, of the maps that came out: their size, and what of them passes."""

    size: torch.Size  # [N, C, H, W]
    maps: torch.Tensor | None = None  # passes where they are above zero; None: everywhere

    def through(self, grad: torch.Tensor, summand: torch.Tensor | None = None) -> torch.Tensor:
        """d loss / d what the ReLU saw, of d loss / d the maps in two parts."""
        grad = grad if summand is None else grad + summand
        return grad if self.maps is None else torch.ops.aten.threshold_backward(grad, self.maps, 0)


def _kept(maps: torch.Tensor) -> Passed:
    return Passed(maps.shape, maps.detach())  # not what autograd returns: that would hold itself


class Conv(nn.Module):
    """A convolution, to be filled with its folded weights, by the device's plain kernels.

    relu: whether one comes last; without, it is a shortcut's, whose bias the convolution that it joins adds.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__()
        self.stride, self.padding, self.relu = tuple(conv.stride), tuple(conv.padding), relu
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        weight = torch.empty_like(conv.weight, device=device, dtype=dtype, memory_format=CL)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", torch.zeros(len(weight), device=device, dtype=dtype))

    def fill(self, weight: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor) -> None:
        """Take over a weight, times a factor for each channel that comes out, and a bias; in place."""
        if scale is None:
            self.weight.copy_(weight)
        else:
            torch.mul(weight, scale.view(-1, 1, 1, 1), out=self.weight)
        self.bias.copy_(bias)

    def taken(self, x: torch.Tensor) -> torch.Tensor:
        """Images as `run` sees them, where this convolution is the first."""
        return x.to(self.weight.dtype, memory_format=CL)

    def run(
        self, x: torch.Tensor, shortcut: torch.Tensor | None = None, tells: bool = False
    ) -> tuple[torch.Tensor, Passed | None]:
        """(relu(conv(x) + shortcut), what its gradient will ask for where `tells`); nothing is differentiated here."""
        out = self.computed(x, shortcut)
        return out, _kept(out) if tells else None

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        """relu(conv(x) + shortcut)"""
        out = F.conv2d(x, self.weight, self.bias if self.relu else None, self.stride, self.padding)
        if shortcut is not None:
            out += shortcut
        return out.relu_() if self.relu else out

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        """d loss / d x, of `size`, of d loss / d (conv(x))."""
        x = torch.empty(size, dtype=grad.dtype, device=grad.device, memory_format=CL)  # for its shape: never read
        only_x = (True, False, False)
        return torch.ops.aten.convolution_backward(
            grad, x, self.weight, None, self.stride, self.padding, ONE, False, (0, 0), 1, only_x
        )[0]

    def back_through(self, grad: torch.Tensor, x: Passed, summand: torch.Tensor | None = None) -> torch.Tensor:
        """`back`, plus what comes to x from elsewhere, and back through the ReLU that x came out of."""
        return x.through(self.back(grad, x.size), summand)


class Pool:
    """Max pooling 3x3 at stride 2 of what came out of a ReLU, and back to the pixel that was the largest."""

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, Passed, torch.Tensor]:
        """(pooled maps, what the ReLU's gradient will ask for, where each is from)"""
        out, places = torch.ops.aten.max_pool2d_with_indices(x, *WINDOW)
        return out, _kept(out), places

    def back(self, grad: torch.Tensor, size: torch.Size, places: torch.Tensor) -> torch.Tensor:
        """d loss / d x, of `size`, of d loss / d pooled maps, which has been through the ReLU."""
        x = torch.empty(size, dtype=grad.dtype, device=grad.device, memory_format=CL)  # for its shape: never read
        return torch.ops.aten.max_pool2d_with_indices_backward(grad, x, *WINDOW, ONE, False, places)
