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


def test_fewer_samples_than_dimensions_need_no_larger_eigenproblem() -> None:
    """The thin root gives what the covariance itself gives."""
    generator = torch.Generator().manual_seed(5)
    a = frechet.statistics(torch.randn(20, 50, generator=generator))
    b = frechet.statistics(torch.randn(200, 50, generator=generator) * 1.5 + 0.2)
    assert a.root.shape == (50, 20) and b.root.shape == (50, 50)
    bare = Gaussian(a.mu, a.sigma)
    assert bare.root.shape == (50, 19)  # 20 samples around their mean
    torch.testing.assert_close(bare.root @ bare.root.T, a.sigma)
    for other in (a, b):
        assert frechet.distance(a, other) == pytest.approx(frechet.distance(bare, other), rel=1e-9, abs=1e-6)


def test_rounding_noise_of_empty_directions_is_not_counted() -> None:
    """Features of 5 dimensions turned into 200: the same distance to 1e-11, where square roots of noise cost 1e-6."""
    generator = torch.Generator().manual_seed(6)
    a, b = (torch.randn(300, 5, generator=generator).double() * scale for scale in (1.0, 1.1))
    turn = torch.linalg.qr(torch.randn(200, 5, generator=generator).double()).Q.T
    expected = frechet.distance(frechet.statistics(a), frechet.statistics(b))
    wide = frechet.distance(frechet.statistics(a @ turn), frechet.statistics(b @ turn))
    assert wide == pytest.approx(expected, rel=1e-11)


def test_sets_without_any_spread() -> None:
    a, b = (frechet.statistics(torch.full((n, 3), value)) for n, value in ((9, 1.0), (2, 3.0)))
    assert frechet.distance(a, b) == frechet.distance(b, a) == pytest.approx(12)
    spread = frechet.statistics(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))
    assert frechet.distance(a, spread) == pytest.approx(
        float((1 - spread.mu).square().sum() + spread.sigma.trace()), rel=1e-12
    )


@pytest.mark.parametrize("dims", [4, 40, 700])
def test_counts_repeat_samples(dims: int) -> None:
    """With more and with fewer samples than dimensions, and over more than one panel of columns."""
    generator = torch.Generator().manual_seed(7)
    features = torch.randn(30, dims, generator=generator)
    counts = torch.randint(0, 4, (30,), generator=generator)
    weighted, repeated = (
        frechet.statistics(features, counts),
        frechet.statistics(features[torch.arange(30).repeat_interleave(counts)]),
    )
    torch.testing.assert_close(weighted.mu, repeated.mu)
    torch.testing.assert_close(weighted.sigma, repeated.sigma)


def test_a_covariance_of_several_panels_and_row_blocks() -> None:
    features = torch.randn(1500, 1100, generator=torch.Generator().manual_seed(8))
    np.testing.assert_allclose(
        frechet.statistics(features).sigma, np.cov(features.double().numpy(), rowvar=False), atol=1e-12
    )


def test_replicates_are_distances_of_resampled_sets() -> None:
    generator = torch.Generator().manual_seed(9)
    features, reference = torch.randn(40, 5, generator=generator), torch.randn(90, 5, generator=generator)
    counts = torch.stack([torch.ones(40), 2 * torch.arange(40.0).remainder(2)])
    fitted = frechet.statistics(reference)
    expected = [
        frechet.distance(frechet.statistics(x), fitted) for x in (features, features[1::2].repeat_interleave(2, 0))
    ]
    assert frechet.replicates(features, fitted, counts).tolist() == pytest.approx(expected, rel=1e-10)
