"""FID at infinity: sizes, the fit, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pagboost.errors import InputError
from pagboost.metrics import frechet
from pagboost.metrics.extrapolation import extrapolate, sizes
from pagboost.metrics.frechet import Gaussian


def standard(dims: int) -> Gaussian:
    return Gaussian(torch.zeros(dims).double(), torch.eye(dims).double())


def normal(n: int, dims: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dims, generator=torch.Generator().manual_seed(seed))


def test_sizes() -> None:
    assert sizes(50_000, 2048)[0] == 5000  # the paper's
    assert sizes(10_000, 2048)[0] == 4096
    assert sizes(1000, 2048)[0] == 500
    assert sizes(100, 5, points=4) == [10, 40, 70, 100]


def test_finite_sets_of_the_reference_itself_have_no_distance_at_infinity() -> None:
    features = normal(3000)
    found = extrapolate(features, standard(8))
    at_n = frechet.distance(frechet.statistics(features), standard(8))
    assert found.values[-1] == pytest.approx(at_n, rel=1e-9)  # the last subset is the whole set
    assert found.values[0] > 5 * found.values[-1]
    assert abs(found.infinity) < at_n


def test_a_real_distance_remains() -> None:
    """Means 1 apart in one direction: the squared distance 1, seen as more by finite sets."""
    features = torch.stack([normal(500, seed=seed) for seed in range(12)])
    features[..., 0] += 1
    found = [extrapolate(x, standard(8)) for x in features]
    plain, infinite = (np.mean(x) for x in ([f.values[-1] for f in found], [f.infinity for f in found]))
    assert abs(infinite - 1) < 0.7 * abs(plain - 1)


def test_the_fit_is_a_line_in_one_over_n() -> None:
    found = extrapolate(normal(400), standard(8), points=6)
    slope, intercept = np.polyfit(1 / np.array(found.sizes), found.values, 1)
    assert len(found.sizes) == len(found.values) == 6 and slope > 0
    assert found.infinity == pytest.approx(intercept)
    assert extrapolate(normal(400), standard(8), points=6) == found


@pytest.mark.parametrize(("n", "points"), [(3, 15), (50, 1)])
def test_too_little_to_fit(n: int, points: int) -> None:
    with pytest.raises(InputError, match=f"fid at infinity: {n} samples and {points} sizes, expected at least 4 and 2"):
        extrapolate(normal(n), standard(8), points)
