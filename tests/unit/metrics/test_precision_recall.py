"""Precision and recall against brute force and configurations solved by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pagboost.errors import InputError
from pagboost.metrics.precision_recall import precision_recall, radii


def brute_force(generated: np.ndarray, reference: np.ndarray, k: int) -> tuple[float, float]:
    """The definition, point by point."""

    def ball(points: np.ndarray, i: int) -> float:
        others = np.delete(points, i, axis=0)
        return np.sort(np.linalg.norm(others - points[i], axis=1))[k - 1]

    def share_inside(queries: np.ndarray, manifold: np.ndarray) -> float:
        sizes = [ball(manifold, i) for i in range(len(manifold))]
        return np.mean(
            [any(np.linalg.norm(q - m) <= r for m, r in zip(manifold, sizes, strict=True)) for q in queries]
        ).item()

    return share_inside(generated, reference), share_inside(reference, generated)


def measure(generated: np.ndarray, reference: np.ndarray, k: int, **options: int) -> tuple[float, float]:
    generated, reference = (torch.from_numpy(a.astype(np.float32)) for a in (generated, reference))
    return precision_recall(generated, reference, radii(reference, k), k, **options)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_brute_force_on_points_with_duplicates(k: int, seed: int) -> None:
    """Points of a coarse integer grid: many duplicates and ties, and arithmetic that is exact either way."""
    generator = np.random.default_rng(seed)
    reference = generator.integers(0, 6, (60, 3))
    generated = generator.integers(2, 9, (45, 3))
    assert len(np.unique(reference, axis=0)) < len(reference)
    expected = brute_force(generated, reference, k)
    assert measure(generated, reference, k) == pytest.approx(expected, abs=1e-12)
    assert 0 < expected[0] < 1 and 0 < expected[1] < 1


def test_by_hand_on_a_line() -> None:
    """Reference 0, 1, 2 with k = 1 has balls of radius 1: [-1, 3]. Generated 3, 3.5, 10 has radii 0.5, 0.5, 6.5."""
    generated, reference = np.array([[3.0], [3.5], [10.0]]), np.array([[0.0], [1.0], [2.0]])
    assert radii(torch.from_numpy(reference), 1).tolist() == [1, 1, 1]
    assert radii(torch.from_numpy(generated), 1).tolist() == [0.5, 0.5, 6.5]
    assert measure(generated, reference, 1) == pytest.approx((1 / 3, 0.0))


def test_precision_and_recall_are_not_swapped() -> None:
    """Generated from one mode of two: every sample is real (precision 1), half of the modes are missed (recall 1/2)."""
    generator = np.random.default_rng(0)
    mode = generator.standard_normal((50, 2))
    reference = np.concatenate([mode, generator.standard_normal((50, 2)) + 1000])
    assert measure(mode, reference, 3) == (1.0, 0.5)
    assert measure(reference, mode, 3) == (0.5, 1.0)


def test_duplicates_have_radius_zero_however_large_their_features() -> None:
    """Far from the origin, |a|^2 + |b|^2 - 2ab of equal vectors is rounding noise, not 0."""
    point = torch.randn(1, 64, generator=torch.Generator().manual_seed(0)) * 100
    assert radii(point.repeat(5, 1), 3).tolist() == [0] * 5
    assert precision_recall(point.repeat(4, 1), point.repeat(5, 1), torch.zeros(5), 3) == (1.0, 1.0)


def clusters(n: int, spread: float, seed: int, dims: int = 64) -> torch.Tensor:
    """float32 points around three centres about 1 apart in each coordinate."""
    centres = torch.randn(3, dims, generator=torch.Generator().manual_seed(99))
    points = spread * torch.randn(n, dims, generator=torch.Generator().manual_seed(seed))
    return centres[torch.arange(n) % 3] + points


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-4])
def test_clusters_too_tight_for_float32_products(spread: float) -> None:
    """Float32 products lose distances below 1e-3 of the spacing of the clusters: float64 has to decide, and does."""
    generated, reference = clusters(60, 0.9 * spread, 0).numpy(), clusters(90, spread, 1).numpy()
    expected = brute_force(generated.astype(np.float64), reference.astype(np.float64), 3)
    assert measure(generated, reference, 3, tile=500) == pytest.approx(expected, abs=1e-12)
    assert 0 < expected[1] < expected[0] < 1


def test_radii_are_exact_where_candidates_are_not() -> None:
    """All points of a cluster look alike in float32; each radius is still the k-th distance in float64."""
    points = clusters(60, 1e-4, 2)
    distances = (points[:, None].double() - points.double()).square().sum(2).sqrt()
    assert torch.equal(radii(points, 3, tile=300), distances.sort(1).values[:, 3])


def test_a_set_covers_itself() -> None:
    """Every k-th neighbour lies on its ball's boundary, which belongs to the ball: ties are decided alike."""
    points = clusters(60, 1.0, 3)
    for part in (points, points[::3], points + 1000):
        assert precision_recall(part, part.clone(), radii(part, 1), 1, tile=100) == (1.0, 1.0)
    shifted = points[:40]
    on_boundary = precision_recall(shifted, points[20:], radii(points[20:], 3), 3)
    assert on_boundary == pytest.approx(brute_force(shifted.double().numpy(), points[20:].double().numpy(), 3))


def test_own_distance_is_excluded_but_a_duplicate_counts() -> None:
    points = torch.tensor([[0.0], [0.0], [5.0]])
    assert radii(points, 1).tolist() == [0, 0, 5]
    assert radii(points, 2).tolist() == [5, 5, 5]


@pytest.mark.parametrize("tile", [1, 70, 333, 10**6])
def test_memory_bound_does_not_change_the_result(tile: int) -> None:
    generator = np.random.default_rng(1)
    reference, generated = generator.standard_normal((50, 8)), generator.standard_normal((37, 8)) * 0.8 + 0.3
    points = torch.from_numpy(reference)
    torch.testing.assert_close(radii(points, 3, tile=tile), radii(points, 3), rtol=1e-12, atol=0)
    assert measure(generated, reference, 3, tile=tile) == measure(generated, reference, 3)


def test_too_few_samples() -> None:
    with pytest.raises(InputError, match=r"3 samples, expected at least 4 \(k \+ 1\)"):
        radii(torch.zeros(3, 2), 3)
