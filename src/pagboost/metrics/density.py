"""Density and coverage (Naeem et al. 2020): how many balls of the reference a sample lies in, and which are not empty.

Balls reach to the k-th nearest other reference image, as those of precision, and are open, as in the authors' code: of
a set against itself density is 1 then. They need no balls of the samples, which an outlier among these would widen.
"""

from __future__ import annotations

import torch

from pagboost.metrics.pairwise import Pairs
from pagboost.metrics.precision_recall import within

K = 5  # the paper's


class Balls:
    """Consumer of generated x reference pairs: who lies within which ball of the reference, radii float64 [M].

    count [N]: in how many balls each generated sample lies; filled [M]: how many lie in each ball; one [M]: which of
    them, any.
    """

    def __init__(self, pairs: Pairs, radii: torch.Tensor) -> None:
        self.pairs, self.radii = pairs, radii
        self.count = torch.zeros(len(pairs.a), dtype=torch.int64, device=pairs.a.device)
        self.filled, self.one = (torch.zeros(len(pairs.b), dtype=torch.int64, device=pairs.a.device) for _ in range(2))

    def take(self, rows: slice, columns: slice, product: torch.Tensor) -> None:
        squared = self.pairs.squared(rows, columns, product)
        found = within(self.pairs, rows, columns, squared, self.radii[None, columns], closed=False)
        self.count[rows] += found.sum(1)
        some = found.sum(0)
        self.filled[columns] += some
        self.one[columns] = torch.where(some > 0, found.byte().argmax(0) + rows.start, self.one[columns])

    def density(self, k: int) -> torch.Tensor:
        """What each sample [N] adds to density, which is their mean: count / k, float64."""
        return self.count.double() / k

    def coverage(self) -> float:
        """The share of balls that some sample lies in."""
        return float((self.filled > 0).double().mean())

    def coverage_replicates(self, counts: torch.Tensor) -> torch.Tensor:
        """Coverage [R] of R resamplings, counts float64 [R, N] times each sample, linear around the value.

        A sample's part is the share of balls that it alone lies in: what coverage loses without it. So the spread is
        the jackknife's, which on average is not too narrow (Efron & Stein 1981); those of repeated samples and of
        halves can be two thirds of the true one where coverage is low.
        """
        alone = self.filled == 1
        part = torch.zeros(len(self.count), dtype=torch.float64, device=alone.device)
        part.index_add_(0, self.one[alone], torch.full_like(part[:1], 1 / len(alone)).expand(int(alone.sum())))
        return self.coverage() + (counts - 1) @ part
