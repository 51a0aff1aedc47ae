"""Bootstrap confidence intervals (Efron 1979) of metrics of a sample set against a fixed reference.

Each module offers the metric under resampling (`replicates`); what it costs is said there.
"""

from __future__ import annotations

import torch

from pagboost import rng
from pagboost.errors import InputError

LEVEL = 0.95


def resamplings(n: int, count: int) -> torch.Tensor:
    """int64 [count, n]: how often each of n samples is drawn in `count` seeded draws of n with replacement."""
    draws = rng.generator("bootstrap", n)
    return torch.stack([torch.bincount(torch.randint(n, (n,), generator=draws), minlength=n) for _ in range(count)])


def halves(n: int, count: int) -> torch.Tensor:
    """bool [count, n]: `count` seeded random halves of n samples, the odd one left out.

    For metrics that repeated samples break. A statistic's spread over halves drawn without replacement is that over
    sets of n (random half-sampling, McCarthy 1969), as its spread over n draws with replacement is.
    """
    draws = rng.generator("halves", n)
    members = torch.zeros(count, n, dtype=torch.bool)
    for row in members:
        row[torch.randperm(n, generator=draws)[: n // 2]] = True
    return members


def interval(
    value: float,
    replicates: torch.Tensor,
    level: float = LEVEL,
    bounds: tuple[float, float] = (-float("inf"), float("inf")),
) -> tuple[float, float]:
    """(low, high) around a metric's value from its replicates [R]: their percentiles, shifted to have mean `value`.

    A resampled set holds fewer different images, which by itself raises FID and lowers recall: that shift is bias of
    the resampling, not spread, and unremoved it can leave the value outside of its own interval. `bounds` are the
    metric's: the shift does not carry the interval past them.
    Raises InputError for fewer replicates than the level has percentiles for (40 at 0.95).
    """
    needed = round(2 / (1 - level))
    if len(replicates) < needed:
        raise InputError(f"bootstrap: {len(replicates)} replicates, expected at least {needed} for level {level:g}")
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = torch.quantile(replicates.double().cpu(), tails) + (value - float(replicates.double().mean()))
    return max(float(low), bounds[0]), min(float(high), bounds[1])
