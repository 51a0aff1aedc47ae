"""Improved precision and recall (Kynkäänniemi et al. 2019): manifolds as unions of k-nearest-neighbour balls.

Tiles in the features' precision settle nearly all comparisons; those within its rounding error are made in float64.
The result is that of float64 throughout, at the speed of float32.
"""

from __future__ import annotations

import torch

from pagboost.errors import InputError
from pagboost.metrics.pairwise import PAIRS, TILE, Pairs

SPARE = 4  # candidates beyond the k-th neighbour, to tell when rounding cannot have hidden a nearer one


class Neighbours:
    """Consumer of a set's own pairs: the nearest candidates of each point, then its radius.

    Of pairs of two sets: the nearest of the second set to each point of the first.
    Raises InputError for fewer than k + 1 points (k of a second set).
    """

    def __init__(self, pairs: Pairs, k: int, spare: int = SPARE) -> None:
        n, device = len(pairs.a), pairs.a.device
        self.others = len(pairs.b) - pairs.symmetric  # a point is no neighbour of its own
        if self.others < k:
            raise InputError(f"precision and recall: {len(pairs.b)} samples, expected at least {k + 1} (k + 1)")
        self.pairs, self.k = pairs, k
        shape = (n, min(k + spare, self.others))
        self.nearest = torch.full(shape, torch.inf, dtype=pairs.dtype, device=device)
        self.index = torch.zeros(shape, dtype=torch.long, device=device)

    def take(self, rows: slice, columns: slice, product: torch.Tensor) -> None:
        squared = self.pairs.squared(rows, columns, product)
        if self.pairs.symmetric and rows == columns:
            squared.fill_diagonal_(torch.inf)
        elif self.pairs.symmetric:
            self._merge(columns, rows, squared.T)
        self._merge(rows, columns, squared)

    def _merge(self, rows: slice, columns: slice, squared: torch.Tensor) -> None:
        count = self.nearest.shape[1]
        nearest, index = squared.topk(min(count, squared.shape[1]), largest=False)
        nearest = torch.cat((self.nearest[rows], nearest), 1)
        index = torch.cat((self.index[rows], index + columns.start), 1)
        self.nearest[rows], order = nearest.topk(count, largest=False)
        self.index[rows] = index.gather(1, order)

    def radii(self, k: int | None = None) -> torch.Tensor:
        """Distance [N] of each point to its k-th nearest other one, float64; another k must leave spare candidates."""
        k = self.k if k is None else k
        twice = 2 * self.pairs.unit * (self.pairs.a_squared + self.pairs.b_squared.amax())[:, None]
        # the k-th true distance is among those whose computed squares lie within two errors of the k-th computed one
        close = (self.nearest - self.nearest[:, k - 1, None]).abs() <= twice
        found = self.nearest.double().clamp_min(0).sqrt()
        found[close] = self.pairs.exact(torch.nonzero(close)[:, 0], self.index[close])
        result = found.kthvalue(k).values
        # a point that is no candidate is no nearer than the last candidate, up to rounding
        everyone = self.index.shape[1] == self.others
        sure = (result == 0) | (result.square() < (self.nearest - twice)[:, -1]) | everyone
        for i in torch.nonzero(~sure)[:, 0]:
            result[i] = self._distances(i).kthvalue(k).values
        return result

    def closest(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(distance float64 [N], number [N]) of each point's nearest one; of several as near, the first candidate."""
        radii, (n, count) = self.radii(1), self.index.shape
        rows = torch.arange(n, device=radii.device).repeat_interleave(count)
        same = self.pairs.exact(rows, self.index.reshape(-1)).view(n, count) == radii[:, None]
        found = self.index.gather(1, same.byte().argmax(1, keepdim=True))[:, 0]
        for i in torch.nonzero(~same.any(1))[:, 0]:
            found[i] = self._distances(i).argmin()
        return radii, found

    def _distances(self, i: torch.Tensor) -> torch.Tensor:
        """Distances [M] of one point, a scalar int64, to all others; of its own set, infinity to itself."""
        every = torch.arange(len(self.pairs.b), device=i.device)
        distances = self.pairs.exact(i.expand(len(every)), every)
        if self.pairs.symmetric:
            distances[i] = torch.inf
        return distances

    def radii_within(self, parts: torch.Tensor) -> torch.Tensor:
        """Radii [N, R] in R parts of the set (bool [R, N]) from the candidates, in the tiles' precision; -1 outside.

        A point with fewer than k candidates in a part gets the distance of the last one.
        """
        columns = []
        for part in parts.to(self.index.device):
            enough = part[self.index].cumsum(1) >= self.k
            kth = torch.where(enough.any(1), enough.int().argmax(1), enough.shape[1] - 1)
            squared = self.nearest.gather(1, kth[:, None])[:, 0]
            columns.append(torch.where(part, squared.clamp_min(0).sqrt(), -1))
        return torch.stack(columns, 1)


class Covers:
    """Consumer of generated x reference pairs: who lies within whose ball.

    inside [N]: generated samples within a reference ball; covered [M]: reference samples within a generated ball;
    hits [M, R]: by how many of the generated balls of each replicate, radii `replicates` [N, R], in tile precision.
    """

    def __init__(
        self,
        pairs: Pairs,
        generated_radii: torch.Tensor,
        reference_radii: torch.Tensor,
        replicates: torch.Tensor | None = None,
    ) -> None:
        n, m, device = len(pairs.a), len(pairs.b), pairs.a.device
        self.pairs, self.generated_radii, self.reference_radii = pairs, generated_radii, reference_radii
        self.inside = torch.zeros(n, dtype=torch.bool, device=device)
        self.covered = torch.zeros(m, dtype=torch.bool, device=device)
        self.replicates = torch.empty(n, 0, device=device) if replicates is None else replicates
        self.hits = torch.zeros(m, self.replicates.shape[1], dtype=torch.int32, device=device)

    def take(self, rows: slice, columns: slice, product: torch.Tensor) -> None:
        squared = self.pairs.squared(rows, columns, product)
        self.inside[rows] |= within(self.pairs, rows, columns, squared, self.reference_radii[None, columns]).any(1)
        covering = within(self.pairs, rows, columns, squared, self.generated_radii[rows, None])
        self.covered[columns] |= covering.any(0)
        if self.replicates.shape[1]:
            self._count(squared, self.replicates[rows], self.hits[columns])

    @staticmethod
    def _count(squared: torch.Tensor, radii: torch.Tensor, hits: torch.Tensor) -> None:
        """Add to hits [columns, R] the balls, of radii [rows, R], that each pair of a tile lies in."""
        reach = radii.amax(1, keepdim=True)
        i, j = torch.nonzero((squared <= reach.square()) & (reach >= 0), as_tuple=True)
        size = max(1, PAIRS // radii.shape[1])
        for rows, columns in zip(i.split(size), j.split(size), strict=True):
            distances = squared[rows, columns].clamp_min(0).sqrt()
            hits.index_add_(0, columns, (distances[:, None] <= radii[rows]).int())


def within(
    pairs: Pairs, rows: slice, columns: slice, squared: torch.Tensor, radii: torch.Tensor, closed: bool = True
) -> torch.Tensor:
    """distance <= radius (closed balls), or < (open ones), for each pair of a tile [rows, columns]."""
    limit = radii.square().to(squared.dtype)
    error = pairs.error(rows, columns) + pairs.unit * limit.amax()
    sure = limit - error
    result = squared <= sure if closed else squared < sure
    i, j = torch.nonzero((squared <= limit + error) ^ result, as_tuple=True)
    if len(i):
        distances, own = pairs.exact(i + rows.start, j + columns.start), radii.expand_as(squared)[i, j]
        result[i, j] = distances <= own if closed else distances < own
    return result


def radii(features: torch.Tensor, k: int, tile: int = TILE) -> torch.Tensor:
    """Distance [N] of each of features [N, D] to its k-th nearest other one, float64; a duplicate is another one.

    Raises InputError for fewer than k + 1 samples.
    """
    pairs = Pairs(features)
    neighbours = Neighbours(pairs, k)
    pairs.visit(neighbours, tile=tile)
    return neighbours.radii()


def precision_recall(
    generated: torch.Tensor, reference: torch.Tensor, reference_radii: torch.Tensor, k: int, tile: int = TILE
) -> tuple[float, float]:
    """(precision, recall) of generated [N, D] against reference [M, D] features, both in [0, 1].

    Precision: the share of generated samples within some reference sample's ball; recall: the share of reference
    samples within some generated sample's ball. `reference_radii` = radii(reference, k); k should be the same there.
    """
    pairs = Pairs(generated, reference)
    covers = Covers(pairs, radii(generated, k, tile), reference_radii)
    pairs.visit(covers, tile=tile)
    return float(covers.inside.double().mean()), float(covers.covered.double().mean())
