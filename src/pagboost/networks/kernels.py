"""Convolutions of networks whose weights stay: bias, shortcut and ReLU in one kernel, gradients of the input alone."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

ONE = (1, 1)
CL = torch.channels_last
WINDOW = [3, 3], [2, 2], [1, 1]  # of a ResNet's max pooling: size, stride, padding
IMAGES = 16  # in a batch: what weights are put in order for
LONGEST = 200  # of an error in a line of a log
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Passed:
    """What the gradient of a ReLU asks for, of the maps that came out: their size, and where they are above zero."""

    size: torch.Size  # [N, C, H, W]
    maps: torch.Tensor | None = None  # the maps themselves
    bits: torch.Tensor | None = None  # a sixteenth of that in bf16 (networks.gpu_kernels); of both None: all passes

    def through(self, grad: torch.Tensor, summand: torch.Tensor | None = None) -> torch.Tensor:
        """d loss / d what the ReLU saw, of d loss / d the maps in two parts."""
        if self.bits is not None:
            return _triton().passed(grad, self.bits, summand)
        grad = grad if summand is None else grad + summand
        return grad if self.maps is None else torch.ops.aten.threshold_backward(grad, self.maps, 0)


def _kept(maps: torch.Tensor) -> Passed:
    return Passed(maps.shape, maps=maps.detach())  # not what autograd returns: that would hold itself


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


class CudnnConv(Conv):
    """Bias, shortcut and ReLU inside cuDNN's convolution; by the plain kernels for a shape that it has none for."""

    works = True

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        if self.works:
            try:
                return self._fused(x, shortcut)
            except RuntimeError as error:
                log.warning("a convolution of %s runs in plain kernels: %s", tuple(x.shape), _first_line(error))
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
        return out, Passed(out.shape, bits=_triton().told(out)) if tells else None


class Pointwise(Conv):
    """A 1x1 convolution of stride 1 as a product of matrices, with all else in its kernel."""

    def run(
        self, x: torch.Tensor, shortcut: torch.Tensor | None = None, tells: bool = False
    ) -> tuple[torch.Tensor, Passed | None]:
        bias, weight = self.bias if self.relu else None, self._matrix().t()
        out, bits = _triton().product(x, weight, bias=bias, summand=shortcut, relu=self.relu, tells=tells)
        return out, Passed(out.shape, bits=bits) if tells else None

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        return _triton().product(grad, self._matrix())[0]

    def back_through(self, grad: torch.Tensor, x: Passed, summand: torch.Tensor | None = None) -> torch.Tensor:
        if x.maps is not None:
            return super().back_through(grad, x, summand)
        return _triton().product(grad, self._matrix(), summand=summand, passing=x.bits)[0]

    def _matrix(self) -> torch.Tensor:
        return self.weight.flatten(1)


class StemConv(TellingConv):
    """A convolution of images, whose few channels leave matrix units idle.

    Under a stride of 2 the four pixels of a square become channels, and the kernel has half the side; zeros fill the
    channels up to a multiple of eight.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__(conv, relu, device)
        (self.factor, _), (side, _), (padding, _) = conv.stride, conv.kernel_size, conv.padding
        self.channels = conv.in_channels * self.factor**2
        self.first = padding % self.factor  # rows of zeros before the kernel, for its squares to be the images'
        self.last = -(side + self.first) % self.factor
        self.before = (padding + self.first) // self.factor
        self.after = (side + self.first + self.last) // self.factor - 1 - self.before
        self.stride, self.padding = ONE, (0, 0)
        shape = (conv.out_channels, -(-self.channels // 8) * 8, *[self.before + self.after + 1] * 2)
        self.weight = torch.zeros(shape, dtype=self.weight.dtype, device=device).to(memory_format=CL)

    def fill(self, weight: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor) -> None:
        weight = weight if scale is None else weight * scale.view(-1, 1, 1, 1)
        squares = F.pixel_unshuffle(F.pad(weight, (self.first, self.last) * 2), self.factor)
        self.weight[:, : self.channels] = squares
        self.bias.copy_(bias)

    def taken(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        border = {"before": self.before, "after": self.after}
        maps = _triton().spread(x, self.weight.dtype, factor=self.factor, channels=self.weight.shape[1], **border)
        return super().computed(maps, shortcut)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        high, wide = (side + self.before + self.after for side in grad.shape[2:])
        maps = super().back(grad, torch.Size((size[0], self.weight.shape[1], high, wide)))
        return _triton().gathered(maps, size, factor=self.factor, before=self.before)


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


class TritonPool(Pool):
    """The same, of one byte a place, which says where nothing passes, too."""

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, Passed, torch.Tensor]:
        out, places = _triton().pooled(x)
        return out, Passed(out.shape), places

    def back(self, grad: torch.Tensor, size: torch.Size, places: torch.Tensor) -> torch.Tensor:
        return _triton().unpooled(grad, places, size)


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
    return str(error).partition("\n")[0][:LONGEST]


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


def _triton() -> ModuleType:
    from pagboost.networks import gpu_kernels  # where there is a GPU, there is Triton; nowhere else it need be

    return gpu_kernels


@cache
def triton_works() -> bool:
    """Whether Triton compiles what is asked of it here: found by trying."""
    try:
        x = torch.ones(2, 16, 4, 4, device="cuda", dtype=torch.bfloat16).to(memory_format=CL)
        weight = torch.ones(16, 16, device="cuda", dtype=torch.bfloat16)
        out, bits = _triton().product(x, weight, summand=-x, relu=True, tells=True)
        return float(out.min()) == 15.0 and int(bits.min()) == 255
    except Exception as error:  # no compiler, no such module, an architecture unknown: there are kernels without it
        log.warning("Triton compiles no kernels here, cuDNN's and torch's run: %s", _first_line(error))
        return False


def kind(conv: nn.Conv2d, relu: bool, device: torch.device, stem: bool = False) -> type[Conv]:
    """By which kernels a convolution runs fastest where it is; stem: it sees images."""
    if device.type == "cuda":
        return _gpu_kind(conv, relu, stem)
    return OneDnnConv if onednn_fuses(device) else Conv


def _gpu_kind(conv: nn.Conv2d, relu: bool, stem: bool) -> type[Conv]:
    ins, outs = (count % 8 == 0 for count in (conv.in_channels, conv.out_channels))
    if ins and outs and conv.kernel_size == conv.stride == ONE and triton_works():
        return Pointwise
    if not (relu and outs and cudnn_fuses()):
        return Conv
    if stem and _square(conv) and triton_works():
        return StemConv
    if not ins:
        return Conv
    return TellingConv if triton_works() else CudnnConv


def _square(conv: nn.Conv2d) -> bool:
    return conv.stride in (ONE, (2, 2)) and len({*conv.kernel_size}) == len({*conv.padding}) == 1


def pool_of(module: nn.Module, device: torch.device) -> Pool | None:
    """What stands for a ResNet's max pooling on a device; None where it has none."""
    if isinstance(module, nn.Identity):
        return None
    return TritonPool() if device.type == "cuda" and triton_works() else Pool()
