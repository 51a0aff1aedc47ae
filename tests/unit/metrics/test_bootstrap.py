"""Resampling and the intervals made of it."""

from __future__ import annotations

import pytest
import torch

from pagboost.errors import InputError
from pagboost.metrics import frechet
from pagboost.metrics.bootstrap import halves, interval, resamplings


def test_resamplings_are_seeded_draws_with_replacement() -> None:
    counts = resamplings(200, 50)
    assert counts.shape == (50, 200) and counts.dtype == torch.int64
    assert bool((counts.sum(1) == 200).all())
    assert float((counts == 0).double().mean()) == pytest.approx((1 - 1 / 200) ** 200, abs=0.02)
    assert torch.equal(counts, resamplings(200, 50))
    assert torch.equal(counts[:10], resamplings(200, 10))  # more replicates add to those there are
    assert not torch.equal(counts[0], counts[1])


def test_halves_hold_half_of_the_samples_once() -> None:
    members = halves(51, 30)
    assert members.shape == (30, 51) and members.dtype == torch.bool
    assert members.sum(1).tolist() == [25] * 30
    assert torch.equal(members, halves(51, 30))
    assert len({tuple(row.tolist()) for row in members}) == 30


def test_both_resamplings_have_the_spread_of_a_mean() -> None:
    """sd(x) / sqrt(n), as close as 2,000 replicates tell."""
    x = torch.randn(100, generator=torch.Generator().manual_seed(0)).double()
    expected = float(x.std(correction=0)) / 10
    assert float((resamplings(100, 2000).double() @ x / 100).std()) == pytest.approx(expected, rel=0.06)
    assert float((halves(100, 2000).double() @ x / 50).std()) == pytest.approx(expected, rel=0.06)


def test_interval_stays_within_the_metrics_bounds() -> None:
    assert interval(0.9, torch.linspace(-1, 1, 100), bounds=(0.0, 1.0)) == (0, 1)


def test_interval_by_hand() -> None:
    """Replicates 0 .. 100 have the percentiles 2.5 and 97.5 and the mean 50; around 7 these are -40.5 and 54.5."""
    assert interval(7.0, torch.arange(101.0)) == pytest.approx((-40.5, 54.5))
    assert interval(7.0, torch.arange(101.0), level=0.8) == pytest.approx((-33, 47))


def test_a_biased_resampling_does_not_move_the_interval() -> None:
    replicates = torch.linspace(-1, 1, 100)
    assert interval(3.0, replicates + 10) == pytest.approx(interval(3.0, replicates))


def test_fids_interval_covers_its_expectation() -> None:
    """Over 60 sets of 80 samples, 95% intervals hold the mean FID of such sets about that often."""
    draws = torch.Generator().manual_seed(0)
    reference = frechet.statistics(torch.randn(2000, 3, generator=draws))
    everything = torch.randn(60, 80, 3, generator=draws) * torch.tensor([1.0, 1.5, 0.7]) + 0.5
    counts = resamplings(80, 60)
    values = [frechet.distance(frechet.statistics(x), reference) for x in everything]
    expected = sum(values) / len(values)
    intervals = [
        interval(value, frechet.replicates(x, reference, counts)) for value, x in zip(values, everything, strict=True)
    ]
    covered = sum(low <= expected <= high for low, high in intervals) / len(values)
    assert 0.85 <= covered <= 1
    width = sum(high - low for low, high in intervals) / len(values)
    spread = torch.tensor(values).quantile(torch.tensor([0.025, 0.975])).diff().item()
    assert width == pytest.approx(spread, rel=0.3)


def test_too_few_replicates() -> None:
    with pytest.raises(InputError, match=r"bootstrap: 39 replicates, expected at least 40 for level 0.95"):
        interval(0.0, torch.zeros(39))
