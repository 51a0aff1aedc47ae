"""KID's and CMMD's kernel sums against the matrix they stand for."""

from __future__ import annotations

import pytest
import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.metrics import bootstrap, kernel
from pagboost.metrics.comparison import Also, compare, points
from pagboost.metrics.pairwise import Pairs


def normal(n: int, seed: int, dims: int = 6) -> torch.Tensor:
    return torch.randn(n, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def matrix(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3


def product(members: torch.Tensor, a: torch.Tensor, b: torch.Tensor | None = None, tile: int = 50) -> torch.Tensor:
    pairs = Pairs(a, b)
    consumer = kernel.KernelProduct(pairs, members)
    pairs.visit(consumer, tile=tile)
    return consumer.result


@pytest.mark.parametrize("tile", [1, 50, 10**6])
def test_product_with_the_kernel_matrix(tile: int) -> None:
    a, b = normal(20, 0) + 2, normal(15, 1) - 1
    members = normal(15, 2, 4)
    torch.testing.assert_close(product(members, a, b, tile), matrix(a, b) @ members)
    own = matrix(b, b).fill_diagonal_(0)
    torch.testing.assert_close(product(members, b, tile=tile), own @ members)


def test_float32_tiles_are_summed_in_float64() -> None:
    a = normal(200, 0).float() + 5
    ones = torch.ones(200, 1)
    expected = matrix(a.double(), a.double()).fill_diagonal_(0).sum(1, keepdim=True)
    found = product(ones, a)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_means_over_subsets_and_over_repetitions_by_hand() -> None:
    """Points 0, 1, 2 in one dimension: k(0, 1) = k(0, 2) = 1, k(1, 2) = 27."""
    points = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    members = torch.tensor([[1.0, 1, 0], [0, 1, 1], [1, 1, 1], [2, 1, 0], [0, 1, 2]]).T
    found = kernel.mean_within(product(members, points), members)
    assert found.tolist() == pytest.approx([1, 27, 29 / 3, 1, 27])
    others = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 0, 1]]).T
    found = kernel.mean_between(product(others, points, points), members, others)
    assert found.tolist() == pytest.approx([1, (8 + 27) / 2, (1 + 27 + 125) / 3, (2 + 2 + 1 + 27) / 6, (27 + 250) / 3])


def test_subsets_are_seeded_and_apart_for_each_role() -> None:
    members = kernel.subsets(50, "generated", 20, 7)
    assert members.shape == (50, 20) and set(members.unique().tolist()) == {0, 1}
    assert members.sum(0).tolist() == [7] * 20
    assert torch.equal(members, kernel.subsets(50, "generated", 20, 7))
    assert not torch.equal(members, kernel.subsets(50, "reference", 20, 7))
    assert len({tuple(column.tolist()) for column in members.T}) == 20


@pytest.mark.parametrize("size", [1, 51])
def test_subsets_that_cannot_be_drawn(size: int) -> None:
    with pytest.raises(InputError, match=rf"kid: subsets of {size} of 50 generated samples, expected 2 to 50"):
        kernel.subsets(50, "generated", 3, size)


@pytest.mark.parametrize("tile", [1, 300, 1 << 21])
def test_cmmd_is_mmd_under_a_gaussian_kernel_with_pairs_of_a_point_with_itself(tile: int) -> None:
    """Jayasumana et al. 2024 as their code computes it, written out; CLIP's features are of unit length."""
    draws = rng.generator("cmmd")
    a, b = (torch.nn.functional.normalize(torch.randn(n, 12, generator=draws) + 1, dim=1) for n in (30, 40))

    def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.exp(-torch.cdist(x.double(), y.double()).square() / (2 * 10**2)).mean()

    expected = 1000 * float(kernel(a, a) + kernel(b, b) - 2 * kernel(a, b))
    also, options = Also(cmmd=True), {"k": 3, "subsets": 5, "size": 20, "tile": tile}
    generated = points(a, "generated", replicates=2, also=also, **options)
    found = compare(generated, points(b, "reference", also=also, **options), also=also, tile=tile)
    assert found.also == {"cmmd": pytest.approx(expected, rel=1e-5)}
    for r, row in enumerate(bootstrap.resamplings(30, 2)):
        drawn = a[torch.arange(30).repeat_interleave(row)]
        expected = 1000 * float(kernel(drawn, drawn) + kernel(b, b) - 2 * kernel(drawn, b))
        assert float(found.replicates["cmmd"][r]) == pytest.approx(expected, rel=1e-5)


def test_cmmd_of_a_set_against_itself_is_zero() -> None:
    a = torch.randn(30, 12, generator=rng.generator("cmmd"))
    also, options = Also(cmmd=True), {"k": 3, "subsets": 5, "size": 20, "also": Also(cmmd=True)}
    found = compare(points(a, "generated", **options), points(a, "reference", **options), also=also)
    assert found.also["cmmd"] == pytest.approx(0, abs=1e-6)
