"""Fréchet distance against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from pagboost.metrics import frechet
from pagboost.metrics.frechet import Gaussian


def gaussian(mu: np.ndarray, sigma: np.ndarray) -> Gaussian:
    return Gaussian(torch.from_numpy(mu), torch.from_numpy(sigma))


def random_covariance(generator: np.random.Generator, dim: int, rank: int) -> np.ndarray:
    factor = generator.standard_normal((dim, rank))
    return factor @ factor.T / rank


def test_statistics_are_numpys_mean_and_unbiased_covariance() -> None:
    features = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)
    fitted = frechet.statistics(torch.from_numpy(features))
    assert fitted.mu.dtype == fitted.sigma.dtype == torch.float64
    np.testing.assert_allclose(fitted.mu, features.astype(np.float64).mean(0), atol=1e-12)
    np.testing.assert_allclose(fitted.sigma, np.cov(features.astype(np.float64), rowvar=False), atol=1e-12)


def test_statistics_survive_an_offset_that_swamps_float32() -> None:
    features = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) * 0.5 + 4096
    fitted = frechet.statistics(features)
    np.testing.assert_allclose(fitted.sigma, np.cov(features.double().numpy(), rowvar=False), rtol=1e-9)


def test_diagonal_covariances() -> None:
    """sum (mu_a - mu_b)^2 + sum (s_a - s_b)^2 over standard deviations s."""
    a = gaussian(np.array([0.0, 1.0, 2.0]), np.diag([1.0, 4.0, 9.0]))
    b = gaussian(np.array([1.0, 1.0, 0.0]), np.diag([4.0, 4.0, 1.0]))
    assert frechet.distance(a, b) == pytest.approx(1 + 4 + (1 + 0 + 4), abs=1e-10)


def test_full_rank_agrees_with_scipys_square_root() -> None:
    generator = np.random.default_rng(1)
    first, second = (random_covariance(generator, 12, 40) for _ in range(2))
    mu = generator.standard_normal(12)
    root = scipy.linalg.sqrtm(first @ second).real
    expected = mu @ mu + np.trace(first + second - 2 * root)
    assert frechet.distance(gaussian(mu, first), gaussian(0 * mu, second)) == pytest.approx(expected, rel=1e-9)


def test_a_common_rotation_changes_nothing() -> None:
    generator = np.random.default_rng(2)
    rotation, _ = np.linalg.qr(generator.standard_normal((3, 3)))
    first, second = np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 4.0, 1.0])
    turned = (gaussian(np.zeros(3), rotation @ sigma @ rotation.T) for sigma in (first, second))
    assert frechet.distance(*turned) == pytest.approx(5.0, abs=1e-9)


def test_rank_deficient_covariances() -> None:
    """Gaussians in orthogonal subspaces: tr (S_a S_b)^(1/2) = 0; in one shared direction: the 1-d formula."""
    e = np.eye(6)
    orthogonal = frechet.distance(
        gaussian(np.zeros(6), 2.0 * np.outer(e[0], e[0])), gaussian(np.zeros(6), 3.0 * np.outer(e[1], e[1]))
    )
    assert orthogonal == pytest.approx(5.0, abs=1e-6)
    direction = np.ones(6) / np.sqrt(6)
    shared = frechet.distance(
        gaussian(np.zeros(6), 4.0 * np.outer(direction, direction)), gaussian(direction, np.outer(direction, direction))
    )
    assert shared == pytest.approx(1 + (2 - 1) ** 2, abs=1e-6)


def test_fewer_samples_than_dimensions() -> None:
    """For sets that differ by a shift alone the distance is the shift's square, however singular the covariance."""
    features = torch.randn(20, 100, generator=torch.Generator().manual_seed(3))
    shift = torch.full((100,), 0.3)
    a, b = frechet.statistics(features), frechet.statistics(features + shift)
    assert frechet.distance(a, b) == pytest.approx(100 * 0.09, rel=1e-5)


def test_symmetric_and_zero_on_itself() -> None:
    generator = torch.Generator().manual_seed(4)
    a = frechet.statistics(torch.randn(60, 10, generator=generator))
    b = frechet.statistics(torch.randn(80, 10, generator=generator) * 2 + 1)
    assert frechet.distance(a, b) == pytest.approx(frechet.distance(b, a), rel=1e-10)
    assert 0 <= frechet.distance(a, a) < 1e-7
    assert frechet.distance(a, b) > 1
