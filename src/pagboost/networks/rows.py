"""Convolutions as products of matrices: of what rows of maps' channels-last memory they are linear layers.

A row is a pixel where the kernel is 1x1, an image's maps where these are so small that each of their pixels sees all
others, and otherwise the patch that a pixel sees which comes out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import torch
import torch.nn.functional as F

Pair = Sequence[int]  # of rows and columns


def rows(maps: torch.Tensor, pixels: int = 1) -> torch.Tensor:
    """[N H W / pixels, pixels C] of maps [N, C, H, W], which share their memory where it is channels-last."""
    return maps.permute(0, 2, 3, 1).reshape(-1, pixels * maps.shape[1])


def maps(rows: torch.Tensor, size: Pair, pixels: int = 1) -> torch.Tensor:
    """Maps of `size` (H, W), in channels-last memory, of their rows of so many pixels."""
    return rows.view(-1, *size, rows.shape[1] // pixels).permute(0, 3, 1, 2)


def out(size: Pair, kernel: Pair, stride: Pair, padding: Pair) -> tuple[int, ...]:
    """(H', W') of what a convolution makes of maps of `size` (H, W)."""
    return tuple((size[i] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in range(2))


def sees_all(size: Pair, kernel: Pair, padding: Pair) -> bool:
    """Whether as many pixels come out of a convolution at stride 1 as go in, and each sees all of these."""
    return all(2 * padding[i] == kernel[i] - 1 and size[i] <= padding[i] + 1 for i in range(2))


def whole(weight: torch.Tensor, padding: Pair, size: Pair) -> torch.Tensor:
    """[H W O, H W C]: what a convolution by a weight [O, C, K, K] does to maps of `size`, where `sees_all`."""
    height, width = size
    matrix = weight.new_empty(height, width, len(weight), height, width, weight.shape[1])
    for (i, j), part in _parts(weight, padding, size):
        matrix[i, j] = part
    return matrix.view(height * width * len(weight), -1)


def unwhole(matrix: torch.Tensor, shape: torch.Size, padding: Pair, size: Pair) -> torch.Tensor:
    """The gradient of a weight of `shape` [O, C, K, K], in channels-last memory, of that of its `whole` matrix."""
    weight = matrix.new_zeros(shape).contiguous(memory_format=torch.channels_last)
    matrix = matrix.view(*size, shape[0], *size, shape[1])
    for (i, j), part in _parts(weight, padding, size):
        part += matrix[i, j]
    return weight


def _parts(weight: torch.Tensor, padding: Pair, size: Pair) -> Iterator[tuple[Pair, torch.Tensor]]:
    """(pixel that comes out, the part [O, H, W, C] of a weight by which it sees all pixels), one after another."""
    (height, width), (down, across) = size, padding
    kernel = weight.permute(0, 2, 3, 1)
    for i, j in product(range(height), range(width)):
        yield (i, j), kernel[:, down - i : down - i + height, across - j : across - j + width]


def patches(x: torch.Tensor, kernel: Pair, stride: Pair, padding: Pair) -> torch.Tensor:
    """[N H' W', K K C]: of maps [N, C, H, W], what each pixel that comes out of a convolution sees."""
    down, across = padding
    seen = _windows(F.pad(x.permute(0, 2, 3, 1), (0, 0, across, across, down, down)), kernel, stride)
    return seen.reshape(seen.shape[:3].numel(), -1).contiguous()  # windows of whole rows of maps overlap in memory


def unpatched(seen: torch.Tensor, size: torch.Size, kernel: Pair, stride: Pair, padding: Pair) -> torch.Tensor:
    """The gradient of maps of `size` [N, C, H, W], in channels-last memory, of that of their `patches`."""
    n, channels, high, wide = size
    down, across = padding
    padded = seen.new_zeros(n, high + 2 * down, wide + 2 * across, channels)
    windows = _windows(padded, kernel, stride)
    seen = seen.view(windows.shape)
    for i, j in product(*map(range, kernel)):
        windows[:, :, :, i, j] += seen[:, :, :, i, j]  # windows overlap: one of their places at a time
    return padded[:, down : down + high, across : across + wide].contiguous().permute(0, 3, 1, 2)


def _windows(maps: torch.Tensor, kernel: Pair, stride: Pair) -> torch.Tensor:
    """[N, H', W', K, K, C], a view of maps [N, H, W, C]."""
    return maps.unfold(1, kernel[0], stride[0]).unfold(2, kernel[1], stride[1]).permute(0, 1, 2, 4, 5, 3)
