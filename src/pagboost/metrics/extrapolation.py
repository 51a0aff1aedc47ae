"""FID without its finite-sample bias (Chong & Forsyth 2020): FID_n = FID_inf + c / n to first order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.metrics.frechet import Gaussian, distance, statistics

POINTS = 15  # the paper's


@dataclass(frozen=True)
class Extrapolation:
    """FID at infinity, and what it was read off: FID of a random subset of each size. The last size is the set's."""

    infinity: float
    sizes: list[int]
    values: list[float]


def sizes(n: int, dims: int, points: int = POINTS) -> list[int]:
    """Evenly spaced subset sizes up to n, from n / 10 as the paper's 5,000 of 50,000.

    Below two samples per dimension FID bends away from a line in 1 / n: sizes start there, but at n / 2 at the latest.
    """
    start = min(max(n / 10, 2 * dims), n / 2)
    return [round(size) for size in np.linspace(start, n, points)]


def extrapolate(
    features: torch.Tensor,
    reference: Gaussian,
    points: int = POINTS,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Extrapolation:
    """FID_inf of features [N, D] against a reference by least squares over `points` sizes; costs as many distances.

    `progress` wraps the loop over the sizes. The bias of the reference's own finite size stays: it is part of the
    protocol. Subsets are seeded, one permutation each. FID_inf estimates may fall below 0.
    Raises InputError for fewer than 4 samples or 2 sizes.
    """
    n, dims = features.shape
    if n < 4 or points < 2:
        raise InputError(f"fid at infinity: {n} samples and {points} sizes, expected at least 4 and 2")
    chosen = sizes(n, dims, points)
    values = []
    for i, size in enumerate(progress(chosen)):
        rows = torch.randperm(n, generator=rng.generator("fid at infinity", n, i))[:size].to(features.device)
        values.append(distance(statistics(features[rows]), reference))
    _, intercept = np.polyfit(1 / np.array(chosen), values, 1)
    return Extrapolation(float(intercept), chosen, values)
