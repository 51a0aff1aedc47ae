"""What a few numbers are like: how two rows of them rank, how even shares are. Without torch, numpy and pandas."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from pagboost.errors import InputError


def rank_correlation(x: Sequence[float], y: Sequence[float], where: str) -> float:
    """Spearman's rho, ties at their mean rank. Raises InputError where all values of a side are equal."""
    try:
        return statistics.correlation(ranks(x), ranks(y))
    except statistics.StatisticsError as error:
        raise InputError(f"{where}: all {len(x)} values are equal, expected different ones to rank") from error


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each, from 1; equal ones share the mean of theirs."""
    ordered = sorted(values)
    first = {value: i for i, value in reversed(list(enumerate(ordered, 1)))}
    return [first[value] + (ordered.count(value) - 1) / 2 for value in values]


def total_variation(shares: Sequence[float]) -> float:
    """Total variation distance of class shares from the uniform distribution: 0 for equal shares, at most 1 - 1/K."""
    return sum(abs(share - 1 / len(shares)) for share in shares) / 2
