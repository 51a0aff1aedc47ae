"""Convolutions of attacked ResNets by oneDNN, on a CPU: bias, shortcut and ReLU in one kernel, or a linear layer.

oneDNN multiplies matrices faster than it convolves: 1x1 convolutions are products of pixels, and of maps of a few
pixels, where most of a kernel sees zeros, those are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.networks import rows
from pagboost.networks.convolutions import ONE, Conv, Passed, Squares
from pagboost.networks.onednn import (
    IMAGES,
    PATCHES,
    THEN,
    InOrder,
    convolve,
    linear,
    multiply,
    order,
    order_matrix,
    order_transposed,
    transpose,
)

SUMMED = 16  # pixels of maps up to which a linear layer is faster though a shortcut's ReLU is apart from it


class OneDnnConv(Conv):
    """A convolution by weights in oneDNN's order, its gradient a transposed one by weights in an order of their own."""

    fills = 0

    def fill(self, weight: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor) -> None:
        super().fill(weight, scale, bias)
        self.fills += 1
        self.forwards, self.backwards = InOrder(), InOrder()

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        weight = self.forwards.of(x, lambda maps: order(self.weight, self.padding, self.stride, ONE, 1, maps))
        rest = (self.padding, self.stride, ONE, 1)
        if not self.relu:
            return convolve(x, weight, None, *rest, *THEN[""])
        if shortcut is None:
            return convolve(x, weight, self.bias, *rest, *THEN["relu"])
        if shortcut.shape[2:] == ONE:  # "could not create a memory", says torch 2.11 of a summand of one pixel
            return convolve(x, weight, self.bias, *rest, *THEN[""]).add_(shortcut).relu_()
        return convolve.binary(x, shortcut, weight, self.bias, *rest, "add", 1.0, *THEN["relu"])

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
        weight = self.backwards.of(grad, lambda maps: order_transposed(weight, *rest, maps))
        return transpose(grad, weight, None, *rest, *THEN[""])

    def _changes(self) -> bool:
        """Whether weights are filled in again and again: putting a matrix in order takes longer than it saves."""
        return self.fills > 1

    def _in_order(self, matrix: torch.Tensor, count: int) -> torch.Tensor:
        """As oneDNN reads it, for so many rows."""
        return matrix if self._changes() else order_matrix(matrix.contiguous(), count)


class OneDnnRows(OneDnnConv):
    """A convolution at stride 1, where that is faster a linear layer of rows of channels-last memory.

    A row is a pixel where the kernel is 1x1, and an image's maps where each of their pixels sees all others.
    """

    def fill(self, weight: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor) -> None:
        super().fill(weight, scale, bias)
        self.matrix = InOrder()

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        size = x.shape[2:]
        pixels = self._pixels(size)
        if not pixels or (shortcut is not None and size.numel() > SUMMED):
            return super().computed(x, shortcut)
        seen = rows.rows(x, pixels)
        weight = self.forwards.of(x, lambda _: self._in_order(self._matrix(x), IMAGES * size.numel() // pixels))
        bias = self.bias.expand(pixels, -1).flatten()  # no copy, of a pixel
        if not self.relu:
            out = linear(seen, weight)
        elif shortcut is None:
            out = linear(seen, weight, bias, "relu")
        else:
            out = multiply.binary(seen, rows.rows(shortcut, pixels), weight, bias, "add").relu_()
        return rows.maps(out, size, pixels)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        sides = size[2:]
        pixels = self._pixels(sides)
        if not pixels:
            return super().back(grad, size)
        count = IMAGES * sides.numel() // pixels
        weight = self.backwards.of(grad, lambda _: self._in_order(self._matrix(grad).T, count))
        return rows.maps(linear(rows.rows(grad, pixels), weight), sides, pixels)

    def _pixels(self, size: Sequence[int]) -> int:
        """In a row of maps of `size` (H, W); 0: no linear layer is faster."""
        kernel = self.weight.shape[2:]
        if kernel == ONE and self.padding == (0, 0):
            # bf16's products by a matrix out of order are no faster than its convolutions
            return int(not self._changes() or self.weight.dtype == torch.float32)
        return size[0] * size[1] if rows.sees_all(size, kernel, self.padding) else 0

    def _matrix(self, maps: torch.Tensor) -> torch.Tensor:
        """[O L, C L], of rows of L pixels; kept only where it is not put in order."""
        if self.weight.shape[2:] == ONE:
            return self.weight.flatten(1)

        def whole(shape: Sequence[int]) -> torch.Tensor:
            return rows.whole(self.weight, self.padding, shape[2:])

        return self.matrix.of(maps, whole) if self._changes() else whole(maps.shape)


class OneDnnPicked(OneDnnRows):
    """A shortcut's 1x1 convolution under a stride: one at stride 1 of the pixels that it sees."""

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__(conv, relu, device)
        self.apart, self.stride = self.stride, ONE

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        return super().computed(F.avg_pool2d(x, 1, self.apart), shortcut)

    def back_beside(self, side: torch.Tensor, other: Conv, grad: torch.Tensor, x: Passed) -> torch.Tensor:
        (down, across), maps = self.apart, other.back(grad, x.size)
        maps[:, :, ::down, ::across] += self.back(side, side.shape)
        return x.through(maps)


class OneDnnPatches(OneDnnConv):
    """A convolution under a stride; where few pixels come out, a linear layer of the patches that they see."""

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        kernel = self.weight.shape[2:]
        high, wide = size = rows.out(x.shape[2:], kernel, self.stride, self.padding)
        if high * wide > PATCHES or shortcut is not None or not self.relu:
            return super().computed(x, shortcut)
        weight = self.forwards.of(x, lambda _: self._in_order(self._matrix(), IMAGES * high * wide))
        seen = rows.patches(x, kernel, self.stride, self.padding)
        return rows.maps(linear(seen, weight, self.bias, "relu"), size)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        count = grad.shape[2:].numel()
        if count > PATCHES:
            return super().back(grad, size)
        weight = self.backwards.of(grad, lambda _: self._in_order(self._matrix().T, IMAGES * count))
        seen = linear(rows.rows(grad), weight)
        return rows.unpatched(seen, size, self.weight.shape[2:], self.stride, self.padding)

    def _matrix(self) -> torch.Tensor:
        """[O, K K C]"""
        return rows.rows(self.weight, self.weight.shape[2:].numel())


class OneDnnStem(OneDnnConv):
    """A strided convolution of images, whose gradient is one of their squares: less than half the time."""

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__(conv, relu, device)
        self.squares = Squares.of(conv)

    def fill(self, weight: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor) -> None:
        super().fill(weight, scale, bias)
        self.of_squares = self.squares.weight(self.weight)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        sides = torch.Size(side + self.squares.border for side in grad.shape[2:])
        return self.squares.images(self._transposed(grad, self.of_squares, sides), size)
