"""ResNets' convolutions, with what makes them faster on a CPU: 1x1 ones, and those of a few pixels by large weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.networks import onednn, rows
from pagboost.networks.convolutions import ONE
from pagboost.networks.onednn import PATCHES

FEW = 16  # images, of which on torch's CPU a 1x1 convolution without a stride has kernels of its own
LARGE = 2**20  # numbers in a weight; those of the scale digits are smaller, whose products keep their bytes
PIXELS = 16  # of a map, up to which a large weight's products are faster than its 1x1 convolution

Function = Callable[[torch.Tensor], torch.Tensor]


class Conv2d(nn.Conv2d):
    """A convolution; of a few pixels by a large weight, on a CPU, as products of matrices.

    A convolution multiplies the zeros around maps, and the gradient of its weight takes several times as long.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride=stride, padding=padding, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] to [N, O, H', W']"""
        found = None
        if self.weight.numel() >= LARGE and onednn.multiplies(x) and len(x):
            found = products(x, self.weight, self.bias, self.stride, self.padding)
        return self._convolved(x) if found is None else found

    def _convolved(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)


class PointwiseConv2d(Conv2d):
    """A 1x1 convolution; on a CPU the same sums in the same order by kernels that take half the time and less.

    Under a stride, those of a convolution at stride 1 of the pixels that it sees; where the weight is not trained, of a
    linear layer of pixels. Not of a few images, which torch convolves by other kernels, in another order.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, stride, bias=bias)

    def _convolved(self, x: torch.Tensor) -> torch.Tensor:
        if x.device.type != "cpu" or len(x) < FEW:
            return super()._convolved(x)
        if self.stride != ONE:
            x = F.avg_pool2d(x, 1, self.stride)
        trained = torch.is_grad_enabled() and self.weight.requires_grad
        if trained or not onednn.multiplies(x):
            return F.conv2d(x, self.weight, self.bias)
        return onednn.pixelwise(x, self.weight, self.bias)


def products(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
) -> torch.Tensor | None:
    """A convolution of maps [N, C, H, W] as a product of matrices (networks.rows), in channels-last memory.

    None where the convolution is faster: where more pixels come out of it. Differentiable any number of times.
    """
    kernel, size = weight.shape[2:], x.shape[2:]
    options = {"kernel": kernel, "stride": stride, "padding": padding}
    out = rows.out(size, **options)
    count, pixels = out[0] * out[1], 1  # pixels that come out, and those of a row
    if kernel == stride == ONE and padding == (0, 0) and count <= PIXELS:
        seen, matrix = rows.rows(x), weight.flatten(1)
    elif count > PATCHES:
        return None
    elif stride == ONE and rows.sees_all(size, kernel, padding):
        seen, pixels, at = rows.rows(x, count), count, {"padding": padding, "size": size}
        matrix = _Linear.apply(weight, partial(rows.whole, **at), partial(rows.unwhole, shape=weight.shape, **at))
    else:
        back = partial(rows.unpatched, size=x.shape, **options)
        seen, matrix = _Linear.apply(x, partial(rows.patches, **options), back), rows.rows(weight, kernel.numel())
    bias = None if bias is None else bias.repeat(pixels)
    return rows.maps(_Product.apply(seen, matrix, bias), out, pixels)


class _Product(torch.autograd.Function):
    """Rows [R, I] by a matrix [O, I], plus a bias [O], to [R, O]."""

    @staticmethod
    def forward(ctx: Any, seen: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(seen, matrix)
        return onednn.linear(seen, matrix, bias)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (seen, matrix), asked = ctx.saved_tensors, ctx.needs_input_grad
        return (
            _Product.apply(grad, matrix.T, None) if asked[0] else None,
            _Product.apply(grad.T, seen.T, None) if asked[1] else None,
            grad.sum(0) if asked[2] else None,
        )


class _Linear(torch.autograd.Function):
    """A linear function and its adjoint, each of which is the other's gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, there: Function, back: Function) -> torch.Tensor:
        ctx.there, ctx.back = there, back
        return there(x)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return _Linear.apply(grad, ctx.back, ctx.there), None, None
