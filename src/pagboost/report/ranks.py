"""Rank correlation, for claims about order rather than size."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import pandas as pd

from pagboost.errors import InputError


def rank_correlation(x: Sequence[float], y: Sequence[float], where: str) -> float:
    """Spearman's rho, ties at their mean rank. Raises InputError where all values of a side are equal."""
    ranks = [pd.Series(values).rank().tolist() for values in (x, y)]
    try:
        return statistics.correlation(*ranks)
    except statistics.StatisticsError as error:
        raise InputError(f"{where}: all {len(x)} values are equal, expected different ones to rank") from error
