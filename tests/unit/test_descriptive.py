from __future__ import annotations

import pytest

from pagboost.descriptive import rank_correlation, ranks, total_variation
from pagboost.errors import InputError


def test_equal_values_share_the_mean_of_their_ranks():
    assert ranks([3.0, 1.0, 2.0, 2.0, 9.0]) == [4, 1, 2.5, 2.5, 5]
    assert ranks([7, 7, 7]) == [2, 2, 2]


def test_rank_correlation_is_spearmans():
    from scipy import stats

    x, y = [3.0, 1.0, 2.0, 2.0, 9.0], [10.0, -5.0, 7.0, 8.0, 8.0]
    assert rank_correlation(x, y, "x") == pytest.approx(stats.spearmanr(x, y).statistic)
    with pytest.raises(InputError, match=r"claims\.c: all 3 values are equal"):
        rank_correlation([1, 2, 3], [4, 4, 4], "claims.c")


@pytest.mark.parametrize(
    ("shares", "distance"), [([0.25] * 4, 0), ([1, 0, 0, 0], 0.75), ([0.5, 0.5, 0, 0], 0.5), ([0.6, 0.4], 0.1)]
)
def test_total_variation_distance_from_equal_shares(shares, distance):
    assert total_variation(shares) == pytest.approx(distance)
