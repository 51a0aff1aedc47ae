"""Convolutions of attacked ResNets by oneDNN, on a CPU: bias, shortcut and ReLU in one kernel, or a linear layer.

oneDNN multiplies matrices faster than it convolves: 1x1 convolutions are products of pixels, and of maps of a few
pixels, where most of a kernel sees zeros, those are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.networks.convolutions import CL, ONE, Conv, Squares
from pagboost.networks.onednn import (
    THEN,
    InOrder,
    convolve,
    multiply,
    order,
    order_matrix,
    order_transposed,
    transpose,
)

FEW = 4  # pixels that come out under a stride, up to which a linear layer of what they see is faster
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

    def _in_order(self, matrix: torch.Tensor, rows: int) -> torch.Tensor:
        return matrix if self._changes() else order_matrix(matrix.contiguous(), rows)


class OneDnnRows(OneDnnConv):
    """A convolution at stride 1, where that is faster a linear layer of rows of channels-last memory.

    A row is a pixel where the kernel is 1x1, and an image's maps where each of their pixels sees all others.
    """

    def fill(self, weight: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor) -> None:
        super().fill(weight, scale, bias)
        self.matrix = InOrder()

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        pixels = self._row(x.shape[2:])
        if not pixels or (shortcut is not None and x.shape[2:].numel() > SUMMED):
            return super().computed(x, shortcut)
        rows = _rows(x, pixels)
        weight = self.forwards.of(x, lambda maps: self._in_order(self._matrix(x), _count(maps) // pixels))
        if not self.relu:
            out = multiply(rows, weight, None, *THEN[""])
        elif shortcut is None:
            out = multiply(rows, weight, self.bias.repeat(pixels), *THEN["relu"])
        else:
            out = multiply.binary(rows, _rows(shortcut, pixels), weight, self.bias.repeat(pixels), "add").relu_()
        return _maps(out, x.shape[2:], pixels)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        pixels = self._row(size[2:])
        if not pixels:
            return super().back(grad, size)
        weight = self.backwards.of(grad, lambda maps: self._in_order(self._matrix(grad).T, _count(maps) // pixels))
        return _maps(multiply(_rows(grad, pixels), weight, None, *THEN[""]), size[2:], pixels)

    def _row(self, size: Sequence[int]) -> int:
        """Pixels in a row of maps of `size` (H, W); 0: no linear layer is faster."""
        kernel = self.weight.shape[2:]
        if kernel == ONE and self.padding == (0, 0):
            # bf16's products by a matrix out of order are no faster than its convolutions
            return int(not self._changes() or self.weight.dtype == torch.float32)
        same = all(2 * self.padding[i] == kernel[i] - 1 for i in range(2))
        return size[0] * size[1] if same and all(size[i] <= self.padding[i] + 1 for i in range(2)) else 0

    def _matrix(self, maps: torch.Tensor) -> torch.Tensor:
        """[O L, C L], of rows of L pixels."""
        if self.weight.shape[2:] == ONE:
            return self.weight.flatten(1)
        return self.matrix.of(maps, lambda shape: whole(self.weight, self.padding, shape[2:]))


class OneDnnPicked(OneDnnRows):
    """A 1x1 convolution under a stride: one at stride 1 of the pixels that it sees."""

    def __init__(self, conv: nn.Conv2d, relu: bool, device: torch.device) -> None:
        super().__init__(conv, relu, device)
        self.apart, self.stride = self.stride, ONE

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        return super().computed(F.avg_pool2d(x, 1, self.apart), shortcut)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        maps = torch.empty(size, dtype=grad.dtype, device=grad.device, memory_format=CL).zero_()
        down, across = self.apart
        maps[:, :, ::down, ::across] = super().back(grad, grad.shape)
        return maps


class OneDnnPatches(OneDnnConv):
    """A convolution under a stride; where few pixels come out, a linear layer of the patches that they see."""

    def computed(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> torch.Tensor:
        size = self._size(x.shape[2:])
        if size[0] * size[1] > FEW or shortcut is not None or not self.relu:
            return super().computed(x, shortcut)
        weight = self.forwards.of(x, lambda maps: self._in_order(self._matrix(), maps[0] * size[0] * size[1]))
        seen = patches(x, self.weight.shape[2:], self.stride, self.padding)
        return _maps(multiply(seen, weight, self.bias, *THEN["relu"]), size)

    def back(self, grad: torch.Tensor, size: torch.Size) -> torch.Tensor:
        if grad.shape[2:].numel() > FEW:
            return super().back(grad, size)
        weight = self.backwards.of(grad, lambda maps: self._in_order(self._matrix().T, _count(maps)))
        seen = multiply(_rows(grad), weight, None, *THEN[""])
        return patched(seen, size, self.weight.shape[2:], self.stride, self.padding)

    def _size(self, size: Sequence[int]) -> list[int]:
        """(H', W') of what comes out of maps of `size` (H, W)."""
        kernel = self.weight.shape[2:]
        return [(size[i] + 2 * self.padding[i] - kernel[i]) // self.stride[i] + 1 for i in range(2)]

    def _matrix(self) -> torch.Tensor:
        """[O, K K C]"""
        return self.weight.permute(0, 2, 3, 1).flatten(1)


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


def whole(weight: torch.Tensor, padding: Sequence[int], size: Sequence[int]) -> torch.Tensor:
    """[H W O, H W C]: what a convolution by a weight [O, C, K, K] does to channels-last maps of `size` (H, W).

    As many pixels come out, and each sees all that go in.
    """
    (height, width), (down, across) = size, padding
    kernel = weight.permute(0, 2, 3, 1)
    matrix = weight.new_empty(height, width, len(weight), height, width, weight.shape[1])
    for i, j in product(range(height), range(width)):
        matrix[i, j] = kernel[:, down - i : down - i + height, across - j : across - j + width]
    return matrix.flatten(3).flatten(0, 2)


def patches(x: torch.Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> torch.Tensor:
    """[N H' W', K K C]: of maps [N, C, H, W], what each pixel that comes out of a convolution sees."""
    down, across = padding
    maps = F.pad(x.permute(0, 2, 3, 1), (0, 0, across, across, down, down))
    seen = _windows(maps, kernel, stride)
    return seen.reshape(seen.shape[:3].numel(), -1)


def patched(
    seen: torch.Tensor, size: torch.Size, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> torch.Tensor:
    """The gradient of maps of `size` [N, C, H, W], in channels-last memory, of that of their `patches`."""
    n, channels, high, wide = size
    down, across = padding
    maps = seen.new_zeros(n, high + 2 * down, wide + 2 * across, channels)
    windows = _windows(maps, kernel, stride)
    seen = seen.view(windows.shape)
    for i, j in product(*map(range, kernel)):
        windows[:, :, :, i, j] += seen[:, :, :, i, j]  # windows overlap: one of their places at a time
    return maps[:, down : down + high, across : across + wide].contiguous().permute(0, 3, 1, 2)


def _windows(maps: torch.Tensor, kernel: Sequence[int], stride: Sequence[int]) -> torch.Tensor:
    """[N, H', W', K, K, C], a view of maps [N, H, W, C]."""
    return maps.unfold(1, kernel[0], stride[0]).unfold(2, kernel[1], stride[1]).permute(0, 1, 2, 4, 5, 3)


def _count(maps: Sequence[int]) -> int:
    """Pixels of maps [N, C, H, W]."""
    return maps[0] * maps[2] * maps[3]


def _rows(maps: torch.Tensor, pixels: int = 1) -> torch.Tensor:
    """[N H W / pixels, pixels C] of maps [N, C, H, W], which share their memory where it is channels-last."""
    return maps.permute(0, 2, 3, 1).reshape(-1, pixels * maps.shape[1])


def _maps(rows: torch.Tensor, size: Sequence[int], pixels: int = 1) -> torch.Tensor:
    """Maps of `size` (H, W), in channels-last memory, of their rows."""
    return rows.view(-1, *size, rows.shape[1] // pixels).permute(0, 3, 1, 2)
