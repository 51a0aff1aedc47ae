from __future__ import annotations

import pytest

from pagboost.errors import InputError
from pagboost.report.ranks import rank_correlation


def test_rank_correlation_is_spearmans():
    from scipy import stats

    x, y = [3.0, 1.0, 2.0, 2.0, 9.0], [10.0, -5.0, 7.0, 8.0, 8.0]
    assert rank_correlation(x, y, "x") == pytest.approx(stats.spearmanr(x, y).statistic)
    with pytest.raises(InputError, match=r"claims\.c: all 3 values are equal"):
        rank_correlation([1, 2, 3], [4, 4, 4], "claims.c")
