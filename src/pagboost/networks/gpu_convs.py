"""Convolutions on a GPU: by cuDNN with bias, shortcut and ReLU inside, and by Triton's kernels (networks.gpu_kernels).

Where Triton compiles, of a map only the bits are kept that say where it was above zero.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import torch
from torch import nn

from pagboost.machine import trying
from pagboost.networks.convolutions import CL, ONE, Conv, Passed, Pool, Squares

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told(Passed):
    """The same of maps that are not kept."""

    bits: torch.Tensor | None = None  # passes where they are set; None: everywhere

    def through(self, grad: torch.Tensor, summand: torch.Tensor | None = None) -> torch.Tensor:
        if self.bits is None:
            return super().through(grad, summand)
        return _triton().passed(grad, self.bits, summand)


class CudnnConv(Conv):
    """Bias, shortcut and ReLU inside cuDNN's convolution; by the plain kernels for a shape that it has none for."""

    works = True

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        if self.works:
            try:
                return self._fused(x, shortcut)
            except RuntimeError as error:
                log.warning("a convolution of %s runs in plain kernels: %s", tuple(x.shape), trying.first_line(error))
                self.works = False
        return super().computed(x, shortcut)

    def _fused(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        rest = (self.bias, self.stride, self.padding, ONE, 1)
        if shortcut is None:
            return torch.cudnn_convolution_relu(x, self.weight, *rest)
        return torch.cudnn_convolution_add_relu(x, self.weight, shortcut, 1.0, *rest)


class TellingConv(CudnnConv):
    """Of what comes out the bits are kept."""

    def run(
        self, x: torch.Tensor, shortcut: torch.Tensor | None = None, tells: bool = False
    ) -> tuple[torch.Tensor, Passed | None]:
        out = self.computed(x, shortcut)
        return out, Told(out.shape, bits=_triton().told(out)) if tells else None


class Pointwise(Conv):
    """A 1x1 convolution of stride 1 as a product of matrices, with all else in its kernel."""

    def run(
        self, x: torch.Tensor, shortcut: torch.Tensor | None = None, tells: bool = False
    ) -> tuple[torch.Tensor, Passed | None]:
        bias, weight = self.bias if self.relu else None, self._matrix().t()
        out, bits = _triton().product(x, weight, bias=bias, summand=shortcut, relu=self.relu, tells=tells)
        return out, Told(out.shape, bits=bits) if tells else None

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        return _triton().product(grad, self._matrix())[0]

    def back_through(self, grad: torch.Tensor, x: Passed, summand: torch.Tensor | None = None) -> torch.Tensor:
        if not isinstance(x, Told):
            return super().back_through(grad, x, summand)
        return _triton().product(grad, self._matrix(), summand=summand, passing=x.bits)[0]

    def _matrix(self) -> torch.Tensor:
        return self.weight.flatten(1)


class StemConv(TellingConv):
    """A convolution of images by their squares."""

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__(conv, relu, device)
        self.squares = Squares.of(conv)
        self.stride, self.padding = ONE, (0, 0)
        self.weight = self.squares.weight(self.weight).contiguous(memory_format=CL)

    def fill(self, weight: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor) -> None:
        weight = weight if scale is None else weight * scale.view(-1, 1, 1, 1)
        self.weight.copy_(self.squares.weight(weight))
        self.bias.copy_(bias)

    def taken(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        of, channels = self.squares, self.weight.shape[1]
        border = {"before": of.before, "after": of.after}
        maps = _triton().spread(x, self.weight.dtype, factor=of.factor, channels=channels, **border)
        return super().computed(maps, shortcut)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        high, wide = (side + self.squares.border for side in grad.shape[2:])
        maps = super().back(grad, torch.Size((size[0], self.weight.shape[1], high, wide)))
        return _triton().gathered(maps, size, factor=self.squares.factor, before=self.squares.before)


class TritonPool(Pool):
    """The same, of one byte a place, which says where nothing passes, too."""

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, Passed, torch.Tensor]:
        out, places = _triton().pooled(x)
        return out, Told(out.shape), places

    def back(self, grad: torch.Tensor, size: torch.Size, places: torch.Tensor) -> torch.Tensor:
        return _triton().unpooled(grad, places, size)


@cache
def cudnn_fuses() -> bool:
    """Whether cuDNN does what is asked of it here: found by trying."""
    return trying.works(_cudnn_fuses, "cuDNN fuses no convolutions here, they run in plain kernels")


def _cudnn_fuses() -> bool:
    x = torch.ones(2, 8, 4, 4, device="cuda", dtype=torch.bfloat16).to(memory_format=CL)
    weight = torch.ones(8, 8, 3, 3, device="cuda", dtype=torch.bfloat16).to(memory_format=CL)
    bias = torch.full((8,), -70.0, device="cuda", dtype=torch.bfloat16)
    alone = torch.cudnn_convolution_relu(x, weight, bias, ONE, ONE, ONE, 1)
    joined = torch.cudnn_convolution_add_relu(x, weight, x, 1.0, bias, ONE, ONE, ONE, 1)
    return float(alone.max()) == 2.0 and float(joined.max()) == 3.0


def _triton() -> ModuleType:
    from pagboost.networks import gpu_kernels  # where there is a GPU, there is Triton; nowhere else it need be

    return gpu_kernels


@cache
def triton_works() -> bool:
    """Whether Triton compiles what is asked of it here: found by trying."""
    return trying.works(_triton_works, "Triton compiles no kernels here, cuDNN's and torch's run")


def _triton_works() -> bool:
    x = torch.ones(2, 16, 4, 4, device="cuda", dtype=torch.bfloat16).to(memory_format=CL)
    weight = torch.ones(16, 16, device="cuda", dtype=torch.bfloat16)
    out, bits = _triton().product(x, weight, summand=-x, relu=True, tells=True)
    return float(out.min()) == 15.0 and int(bits.min()) == 255


def kind(conv: nn.Conv2d, relu: bool, stem: bool) -> type[Conv]:
    """By which kernels a convolution runs fastest on a GPU; stem: it sees images."""
    ins, outs = (count % 8 == 0 for count in (conv.in_channels, conv.out_channels))
    if ins and outs and conv.kernel_size == conv.stride == ONE and triton_works():
        return Pointwise
    if not (relu and outs and cudnn_fuses()):
        return Conv
    if stem and Squares.fits(conv) and triton_works():
        return StemConv
    if not ins:
        return Conv
    return TellingConv if triton_works() else CudnnConv
