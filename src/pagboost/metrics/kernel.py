"""Maximum mean discrepancies: KID's, unbiased under k(x, y) = (x.y / D + 1)^3 (Bińkowski et al. 2018), and CMMD's.

CMMD's (Jayasumana et al. 2024) is MMD^2 under k(x, y) = exp(-|x - y|^2 / (2 sigma^2)), sigma = 10, times 1000, with
pairs of a point with itself, as in the authors' code. It is CMMD where the features are CLIP's, of unit length.
"""

from __future__ import annotations

import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.metrics.pairwise import Pairs
from pagboost.networks import onednn

SUBSETS, SIZE = 100, 1000  # KID's paper's
SIGMA, SCALE = 10, 1000  # CMMD's paper's


class KernelProduct:
    """Consumer: K @ members [N, C] without holding K [N, M]; a set's own K has no diagonal, as MMD's unbiased sums."""

    def __init__(self, pairs: Pairs, members: torch.Tensor) -> None:
        self.pairs, self.members = pairs, members.to(pairs.dtype)
        # x.y from centred products: (x - c).(y - c) + (x - c).c + (y - c).c + c.c
        self.gamma = 1 / pairs.b.shape[1]
        self.a_term = self.gamma * (pairs.a_along + pairs.centre @ pairs.centre) + 1
        self.b_term = self.gamma * pairs.b_along
        self.result = torch.zeros(len(pairs.a), members.shape[1], dtype=torch.float64, device=pairs.a.device)

    def take(self, rows: slice, columns: slice, product: torch.Tensor) -> None:
        kernel = torch.add(self.a_term[rows, None], product, alpha=self.gamma).add_(self.b_term[columns]).pow_(3)
        if self.pairs.symmetric and rows == columns:
            kernel.fill_diagonal_(0)
        elif self.pairs.symmetric:
            self.result[columns] += _weighed(kernel.T, self.members[rows])
        self.result[rows] += _weighed(kernel, self.members[columns])


class GaussianProduct:
    """Consumer: (K - 1) @ weights [N, C], K Gaussian, a set's own K with its diagonal.

    MMD is the same of K and of K - 1, whose small numbers keep their digits: CLIP's features are so near each other
    that K is 1 up to a hundredth.
    """

    def __init__(self, pairs: Pairs, weights: torch.Tensor) -> None:
        self.pairs, self.weights = pairs, weights.to(pairs.dtype)
        self.result = torch.zeros(len(pairs.a), weights.shape[1], dtype=torch.float64, device=pairs.a.device)

    def take(self, rows: slice, columns: slice, product: torch.Tensor) -> None:
        squared = self.pairs.squared(rows, columns, product).clamp_min_(0)
        if self.pairs.symmetric and rows == columns:
            squared.fill_diagonal_(0)
        kernel = squared.mul_(-1 / (2 * SIGMA**2)).expm1_()
        if self.pairs.symmetric and rows != columns:
            self.result[columns] += _weighed(kernel.T, self.weights[rows])
        self.result[rows] += _weighed(kernel, self.weights[columns])


def _weighed(kernel: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """kernel [R, M] @ weights [M, C]; the smaller one first, as that is fast for few columns and many."""
    return onednn.product(weights.T, kernel).T


def mean_of_all(product: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean of K - 1 over all pairs of a set [C], a point with itself too, from (K - 1) @ weights."""
    return (product * weights).sum(0) / weights.sum(0, dtype=torch.float64).square()


def subsets(n: int, role: str, count: int = SUBSETS, size: int = SIZE) -> torch.Tensor:
    """Members [n, count], 1 or 0, of seeded random subsets of n points; `role` keeps two sets' draws apart.

    Raises InputError where n points hold no subset of that size, or a subset no pair.
    """
    if not 2 <= size <= n:
        raise InputError(f"kid: subsets of {size} of {n} {role} samples, expected 2 to {n} (kid_size)")
    draws = rng.generator("kid", role, n, count, size)
    members = torch.zeros(n, count)
    for column in members.unbind(1):
        column[torch.randperm(n, generator=draws)[:size]] = 1
    return members


def mean_within(product: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """Mean of k over pairs of different points of each subset [C], from K @ members; weights count as repetitions."""
    pairs = members.sum(0, dtype=torch.float64).square() - members.square().sum(0, dtype=torch.float64)
    return (product * members).sum(0) / pairs


def mean_between(product: torch.Tensor, members: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Mean of k over pairs of a subset and its counterpart [C], from K @ others."""
    pairs = members.sum(0, dtype=torch.float64) * others.sum(0, dtype=torch.float64)
    return (product * members).sum(0) / pairs
