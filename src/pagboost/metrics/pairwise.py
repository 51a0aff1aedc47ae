"""All pairs of two feature sets in tiles: one product of each pair serves every metric, in memory of one tile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from math import isqrt
from typing import Protocol

import torch

from pagboost.networks import onednn

TILE = 1 << 21  # pairs at a time; a pass holds about ten arrays of that many numbers
ROWS = 512  # points at a time
PAIRS = 1 << 18  # coordinates at a time, where single pairs are looked at in float64


class Consumer(Protocol):
    """What a pass feeds."""

    def take(self, rows: slice, columns: slice, product: torch.Tensor) -> None:
        """(a[rows] - centre) (b[columns] - centre)^T, which is not to be changed."""


class Pairs:
    """Features a [N, D] against b [M, D], or against themselves: then every unordered pair once, i = j included.

    Products are taken in the features' own precision (float32 at least) around b's mean, as distances far from the
    origin would lose their digits. `exact` gives the distances that are too close to call in float64.
    """

    def __init__(self, a: torch.Tensor, b: torch.Tensor | None = None) -> None:
        self.symmetric = b is None
        self.a, self.b = a, (a if b is None else b)
        self.dtype = torch.promote_types(torch.promote_types(a.dtype, self.b.dtype), torch.float32)
        self.centre = self.b.to(self.dtype).mean(0)
        with full_precision(a.device):
            self.a_squared, self.a_along = self._norms(self.a)
            self.b_squared, self.b_along = (self.a_squared, self.a_along) if self.symmetric else self._norms(self.b)
        # |fl(u.v) - u.v| <= D eps/2 |u| |v| for any order of summation; 32 more for the roundings around it
        self.unit = (self.b.shape[1] + 32) * torch.finfo(self.dtype).eps / 2

    def _norms(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(|x - c|^2, (x - c).c) of each point x, c the centre; [N] each."""
        parts = (part.to(self.dtype) - self.centre for part in points.split(ROWS))
        pairs = [(part @ self.centre, part.square_().sum(1)) for part in parts]
        along, squared = zip(*pairs, strict=True)
        return torch.cat(squared), torch.cat(along)

    def visit(self, *consumers: Consumer, tile: int = TILE) -> None:
        """One pass: each tile of at most `tile` pairs (or one pair) is computed once and handed to every consumer."""
        side = min(max(1, isqrt(tile)), max(len(self.a), len(self.b)))
        left, right = (self.centre.new_empty(side, len(self.centre)) for _ in range(2))
        with torch.no_grad(), full_precision(self.a.device):
            for i in range(0, len(self.a), side):
                rows = slice(i, min(i + side, len(self.a)))
                x = torch.sub(self.a[rows], self.centre, out=left[: rows.stop - i])
                for j in range(i if self.symmetric else 0, len(self.b), side):
                    columns = slice(j, min(j + side, len(self.b)))
                    own = self.symmetric and i == j
                    y = x if own else torch.sub(self.b[columns], self.centre, out=right[: columns.stop - j])
                    product = onednn.product(x, y)
                    for consumer in consumers:
                        consumer.take(rows, columns, product)

    def squared(self, rows: slice, columns: slice, product: torch.Tensor) -> torch.Tensor:
        """Squared distances of a tile, each within `error` of the true one."""
        return torch.add(self.a_squared[rows, None], product, alpha=-2).add_(self.b_squared[columns])

    def error(self, rows: slice, columns: slice) -> torch.Tensor:
        """Bound on the rounding error of a tile's squared distances, a scalar."""
        return self.unit * (self.a_squared[rows].amax() + self.b_squared[columns].amax())

    def exact(self, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """Distances [P] of pairs (a_i, b_j) from differences in float64: 0 for duplicates, and equal pairs tie."""
        size = max(1, PAIRS // self.b.shape[1])
        parts = zip(i.split(size), j.split(size), strict=True)
        found = [(self.a[m].double() - self.b[n].double()).square().sum(1).sqrt() for m, n in parts]
        return torch.cat(found)


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """fp32 with all its bits, which the error bound counts on, whatever the caller has set."""
    former = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(former)
