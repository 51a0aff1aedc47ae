"""Convolutions of networks whose weights stay: bias, shortcut and ReLU in one kernel, gradients of the input alone."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

ONE = (1, 1)
CL = torch.channels_last
IMAGES = 16  # in a batch: what weights are put in order for
log = logging.getLogger(__name__)


class _Step(torch.autograd.Function):
    """relu(convolution(x) + shortcut); backward to x and to the shortcut, never to weights."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, shortcut: torch.Tensor | None, conv: Conv) -> torch.Tensor:
        out = conv.run(x, shortcut)
        ctx.conv, ctx.adds = conv, shortcut is not None
        ctx.save_for_backward(x, out if conv.relu else None)
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, out = ctx.saved_tensors
        if out is not None:
            grad = torch.ops.aten.threshold_backward(grad, out, 0)
        return ctx.conv.back(grad, x), grad if ctx.adds else None, None


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

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor | None = None) -> torch.Tensor:
        x = x.to(self.weight.dtype, memory_format=CL)
        return _Step.apply(x, shortcut, self)

    def run(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        """relu(conv(x) + shortcut), of tensors that are not differentiated here."""
        out = F.conv2d(x, self.weight, self.bias if self.relu else None, self.stride, self.padding)
        if shortcut is not None:
            out += shortcut
        return out.relu_() if self.relu else out

    def back(self, grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """d loss / d x of d loss / d (conv(x)); x gives the shape."""
        only_x = (True, False, False)
        return torch.ops.aten.convolution_backward(
            grad, x, self.weight, None, self.stride, self.padding, ONE, False, (0, 0), 1, only_x
        )[0]


class CudnnConv(Conv):
    """Bias, shortcut and ReLU inside cuDNN's convolution; by the plain kernels for a shape that it has none for."""

    works = True

    def run(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        if self.works:
            try:
                return self._fused(x, shortcut)
            except RuntimeError as error:
                log.warning("a convolution of %s runs in plain kernels: %s", tuple(x.shape), _first_line(error))
                self.works = False
        return super().run(x, shortcut)

    def _fused(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        rest = (self.bias, self.stride, self.padding, ONE, 1)
        if shortcut is None:
            return torch.cudnn_convolution_relu(x, self.weight, *rest)
        return torch.cudnn_convolution_add_relu(x, self.weight, shortcut, 1.0, *rest)


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

    def run(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        weight, rest = self._in_order(x, False), (self.padding, self.stride, ONE, 1)
        if not self.relu:
            return _pointwise(x, weight, None, *rest, "none", [], "")
        if shortcut is None:
            return _pointwise(x, weight, self.bias, *rest, "relu", [], "")
        return _pointwise.binary(x, shortcut, weight, self.bias, *rest, "add", 1.0, "relu", [], "")

    def back(self, grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if self.stride != ONE:
            return super().back(grad, x)
        return _pointwise(grad, self._in_order(grad, True), None, self._reach(), ONE, ONE, 1, "none", [], "")

    def _reach(self) -> tuple[int, ...]:
        """The gradient's padding."""
        return tuple(k - 1 - p for k, p in zip(self.weight.shape[2:], self.padding, strict=True))

    def _in_order(self, x: torch.Tensor, backwards: bool) -> torch.Tensor:
        size, weight = self.packed.get(backwards, (None, None))
        if size != x.shape[2:]:
            weight, padding = self.weight, self.padding
            if backwards:
                weight, padding = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=CL), self._reach()
            maps = [IMAGES, *x.shape[1:]]
            weight = torch.ops.mkldnn._reorder_convolution_weight(weight, padding, self.stride, ONE, 1, maps)
            self.packed[backwards] = x.shape[2:], weight
        return weight


THEN = {"": ("none", [], ""), "relu": ("relu", [], ""), "relu6": ("hardtanh", [0.0, 6.0], "")}  # oneDNN's names


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


def _pointwise_of_onednn() -> Any:
    return getattr(torch.ops.mkldnn, "_convolution_pointwise", None) if torch.backends.mkldnn.is_available() else None


_pointwise = _pointwise_of_onednn()


def onednn_fuses(device: torch.device) -> bool:
    """Whether what runs on this device can be oneDNN's."""
    return device.type == "cpu" and _pointwise is not None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


@cache
def cudnn_fuses() -> bool:
    """Whether cuDNN does what is asked of it here: found by trying."""
    try:
        x = torch.ones(2, 8, 4, 4, device="cuda", dtype=torch.bfloat16).to(memory_format=CL)
        weight = torch.ones(8, 8, 3, 3, device="cuda", dtype=torch.bfloat16).to(memory_format=CL)
        bias = torch.full((8,), -70.0, device="cuda", dtype=torch.bfloat16)
        alone = torch.cudnn_convolution_relu(x, weight, bias, ONE, ONE, ONE, 1)
        joined = torch.cudnn_convolution_add_relu(x, weight, x, 1.0, bias, ONE, ONE, ONE, 1)
        return float(alone.max()) == 2.0 and float(joined.max()) == 3.0
    except (RuntimeError, AttributeError) as error:
        log.warning("cuDNN fuses no convolutions here, they run in plain kernels: %s", _first_line(error))
        return False


def kind(conv: nn.Conv2d, relu: bool, device: torch.device) -> type[Conv]:
    """By which kernels a convolution runs fastest where it is."""
    if device.type == "cuda" and relu and conv.in_channels % 8 == 0 and conv.out_channels % 8 == 0 and cudnn_fuses():
        return CudnnConv
    if onednn_fuses(device):
        return OneDnnConv
    return Conv
