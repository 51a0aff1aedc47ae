"""Convolutions of networks whose weights stay, by a device's plain kernels: gradients of the input alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.machine import number_format

ONE = (1, 1)
CL = torch.channels_last
WINDOW = [3, 3], [2, 2], [1, 1]  # of a ResNet's max pooling: size, stride, padding


@dataclass(frozen=True)
class Passed:
    """What the gradient of a ReLU asks for, of the maps that came out: their size, and what of them passes."""

    size: torch.Size  # [N, C, H, W]
    maps: torch.Tensor | None = None  # passes where they are above zero; None: everywhere

    def through(self, grad: torch.Tensor, summand: torch.Tensor | None = None) -> torch.Tensor:
        """d loss / d what the ReLU saw, of d loss / d the maps in two parts; in the memory of the first."""
        if summand is not None:
            grad += summand
        if self.maps is None:
            return grad
        return torch.ops.aten.threshold_backward.grad_input(grad, self.maps, 0, grad_input=grad)


def _kept(maps: torch.Tensor) -> Passed:
    return Passed(maps.shape, maps.detach())  # not what autograd returns: that would hold itself


class Conv(nn.Module):
    """A convolution, to be filled with its folded weights, by the device's plain kernels.

    relu: whether one comes last; without, it is a shortcut's, whose bias the convolution that it joins adds.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__()
        self.stride, self.padding, self.relu = tuple(conv.stride), tuple(conv.padding), relu
        dtype = torch.bfloat16 if number_format.halved(device) else torch.float32
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

    def back_beside(self, side: torch.Tensor, other: Conv, grad: torch.Tensor, x: Passed) -> torch.Tensor:
        """`other.back_through` of its gradient, plus this shortcut's `back` of its own."""
        return other.back_through(grad, x, self.back(side, x.size))


@dataclass(frozen=True)
class Squares:
    """A convolution of images at stride 1 or 2 as one at stride 1, of squares of as many pixels' side as channels.

    Few channels and strides leave matrix units idle, most of all in the gradient. Zeros fill the kernel up to whole
    squares, and the channels up to a multiple of eight.
    """

    factor: int  # the stride, and a square's side
    channels: int  # of the squares: C factor^2
    first: int  # rows of zeros before the kernel, for its squares to be the images'
    last: int
    before: int  # squares of zeros around the images
    after: int

    @staticmethod
    def fits(conv: nn.Conv2d) -> bool:
        """Whether there are such squares: equal sides, strides and paddings."""
        return conv.stride in (ONE, (2, 2)) and len({*conv.kernel_size}) == len({*conv.padding}) == 1

    @classmethod
    def of(cls, conv: nn.Conv2d) -> Squares:
        """The squares of a convolution that they fit."""
        (factor, _), (side, _), (padding, _) = conv.stride, conv.kernel_size, conv.padding
        first = padding % factor
        last = -(side + first) % factor
        before = (padding + first) // factor
        after = (side + first + last) // factor - 1 - before
        return cls(factor, conv.in_channels * factor**2, first, last, before, after)

    @property
    def border(self) -> int:
        """By how much the kernel's side is above 1."""
        return self.before + self.after

    def weight(self, weight: torch.Tensor) -> torch.Tensor:
        """[O, C', border + 1, border + 1] of a convolution's weight [O, C, K, K]; C' a multiple of eight."""
        squares = F.pixel_unshuffle(F.pad(weight, (self.first, self.last) * 2), self.factor)
        return F.pad(squares, (0, 0, 0, 0, 0, -self.channels % 8))

    def images(self, maps: torch.Tensor, size: torch.Size) -> torch.Tensor:
        """Images of `size` [N, C, H, W] of their squares [N, C', H', W'], without what zeros were put around."""
        high, wide = (-(-side // self.factor) for side in size[2:])
        maps = maps[:, : self.channels, self.before : self.before + high, self.before : self.before + wide]
        return F.pixel_shuffle(maps, self.factor)[..., : size[2], : size[3]]


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
