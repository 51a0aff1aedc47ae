"""Passes over pairs: what tiles cover, and what their products are worth."""

from __future__ import annotations

import pytest
import torch

from pagboost.metrics.pairwise import Pairs
from pagboost.networks import onednn


class Collect:
    """Tiles as they come."""

    def __init__(self) -> None:
        self.tiles: list[tuple[slice, slice, torch.Tensor]] = []

    def take(self, rows: slice, columns: slice, product: torch.Tensor) -> None:
        self.tiles.append((rows, columns, product))


def normal(n: int, dims: int = 30, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dims, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("tile", [1, 50, 64, 10**6])
def test_every_pair_is_visited_once(tile: int) -> None:
    pairs, collect, seen = Pairs(normal(20), normal(13, seed=1)), Collect(), torch.zeros(20, 13)
    pairs.visit(collect, tile=tile)
    for rows, columns, product in collect.tiles:
        seen[rows, columns] += 1
        assert product.numel() <= tile
    assert bool((seen == 1).all())


@pytest.mark.parametrize("tile", [1, 50, 10**6])
def test_a_sets_own_pairs_are_visited_in_one_order(tile: int) -> None:
    pairs, collect, seen = Pairs(normal(20)), Collect(), torch.zeros(20, 20)
    pairs.visit(collect, tile=tile)
    for rows, columns, _ in collect.tiles:
        seen[rows, columns] += 1
        if rows != columns:
            seen[columns, rows] += 1
    assert bool((seen == 1).all())


def test_products_are_around_the_second_sets_mean() -> None:
    a, b = normal(5).double(), normal(7, seed=1).double() + 3
    collect = Collect()
    Pairs(a, b).visit(collect)
    torch.testing.assert_close(collect.tiles[0][2], (a - b.mean(0)) @ (b - b.mean(0)).T)


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("spread", [1.0, 20.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_squared_distances_are_within_their_bound(dtype: torch.dtype, spread: float, offset: float) -> None:
    """What deciding only close calls in float64 rests on; and the bound is of use: far below the distances."""
    centres = spread * normal(3, 200, seed=2)
    a, b = ((normal(n, 200, seed=n) + centres[torch.arange(n) % 3] + offset).to(dtype) for n in (40, 50))
    pairs, collect = Pairs(a, b), Collect()
    pairs.visit(collect, tile=400)
    for rows, columns, product in collect.tiles:
        true = (a[rows, None].double() - b[columns].double()).square().sum(2)
        error = pairs.error(rows, columns)
        assert (pairs.squared(rows, columns, product).double() - true).abs().max() <= error <= 1e-3 * true.mean()


def test_exact_distances() -> None:
    a = torch.tensor([[3.0, 4.0], [1e6, 1e-3]])
    b = torch.tensor([[0.0, 0.0], [1e6, 2e-3]])
    found = Pairs(a, b).exact(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]))
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([5, 1e-3, 1e6], rel=1e-6)
    assert Pairs(a).exact(torch.tensor([1]), torch.tensor([1])).item() == 0


def test_low_matmul_precision_is_set_aside_and_put_back() -> None:
    class Look:
        def take(self, *_: object) -> None:
            assert torch.get_float32_matmul_precision() == "highest"

    former = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        Pairs(normal(5)).visit(Look())
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(former)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("library", ["onednn", "torch"])
def test_a_product_by_either_library(dtype, library, monkeypatch) -> None:
    if library == "torch":
        monkeypatch.setattr(onednn, "multiply", None)
    a, b = normal(70).to(dtype), normal(40, seed=1).to(dtype)
    found, expected = onednn.product(a[::2], b), a[::2].double() @ b.double().T
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    assert onednn.product(a.to("meta"), b.to("meta")).shape == (70, 40)
