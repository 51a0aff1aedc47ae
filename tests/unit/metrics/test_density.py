"""Density and coverage by their definition and by prdc, from the pass of precision and recall."""

from __future__ import annotations

import pytest
import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.metrics import bootstrap, comparison
from pagboost.metrics.comparison import Also, compare, completed, points
from pagboost.metrics.precision_recall import radii

K = 5


def sets(kind: str = "random", n: int = 150, m: int = 180) -> tuple[torch.Tensor, torch.Tensor]:
    """float64 generated [n, 8] and reference [m, 8]."""
    draws = rng.generator("density", kind)
    a, b = (torch.randn(size, 8, generator=draws).double() for size in (n, m))
    a = 0.8 * a + 0.3
    if kind == "copies":  # of reference images, and images that are there twice
        a[:40], b[m // 2 : m // 2 + 20] = b[:40], b[:20].clone()
    return a, b


def compared(a: torch.Tensor, b: torch.Tensor, tile: int = 900, replicates: int = 0) -> comparison.Comparison:
    options = {"k": 3, "subsets": 5, "size": 20, "tile": tile}
    generated = points(a, "generated", replicates=replicates, **options)
    return compare(generated, points(b, "reference", also=Also(K), **options), also=Also(K), tile=tile)


def by_definition(a: torch.Tensor, b: torch.Tensor) -> tuple[float, float]:
    """Naeem et al. 2020, equations 3 and 5, with open balls."""
    distances = (a[:, None].double() - b.double()).square().sum(2).sqrt()
    own = (b[:, None].double() - b.double()).square().sum(2).sqrt()
    within = distances < own.sort(1).values[:, K]  # the 0th is the point itself
    return float(within.sum(1).double().mean() / K), float(within.any(0).double().mean())


@pytest.mark.parametrize("tile", [1, 900, 1 << 21])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["random", "copies"])
def test_by_brute_force(kind: str, dtype: torch.dtype, tile: int) -> None:
    a, b = (x.to(dtype)[slice(20, 60) if tile == 1 else slice(None)] for x in sets(kind))
    found = compared(a, b, tile).also
    assert (found["density"], found["coverage"]) == pytest.approx(by_definition(a, b), abs=1e-12)
    assert 0 < found["coverage"] <= 1 and found["density"] != found["coverage"]


def test_by_prdc() -> None:
    prdc = pytest.importorskip("prdc")
    a, b = sets()
    theirs = prdc.compute_prdc(b.numpy(), a.numpy(), K)
    found = compared(a, b).also
    assert (found["density"], found["coverage"]) == pytest.approx((theirs["density"], theirs["coverage"]), abs=1e-12)


def test_density_of_a_set_against_itself_is_one() -> None:
    _, b = sets()
    assert compared(b, b).also == {"density": 1.0, "coverage": 1.0}


def test_precision_recall_and_kid_are_what_they_are_without() -> None:
    a, b = sets()
    options = {"k": 3, "subsets": 5, "size": 20}
    plain = compare(points(a, "generated", replicates=4, **options), points(b, "reference", **options))
    both = compared(a, b, 1 << 21, replicates=4)
    assert (plain.precision, plain.recall, plain.kid) == (both.precision, both.recall, both.kid)
    for name, drawn in plain.replicates.items():
        assert torch.equal(drawn, both.replicates[name])


def test_a_reference_that_was_saved_without_gets_what_it_lacks() -> None:
    _, b = sets()
    options, also = {"k": 3, "subsets": 5, "size": 20}, Also(K, cmmd=True)
    made, saved = points(b, "reference", also=also, **options), points(b, "reference", **options)
    later = completed(saved, also)
    assert torch.equal(later.wide[K], made.wide[K]) and torch.equal(later.wide[K], radii(b, K))
    assert torch.equal(completed(later, Also(2)).wide[2], radii(b, 2))
    assert later.gaussian_mean == pytest.approx(float(made.gaussian_mean), rel=1e-12)
    assert completed(later, also) is later and completed(saved, Also()) is saved


def test_replicates() -> None:
    a, b = sets()
    found = compared(a, b, replicates=3)
    within = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") < radii(b, K)
    alone = (within & (within.sum(0) == 1)).double().sum(1) / len(b)  # what coverage loses without a sample
    for r, row in enumerate(bootstrap.resamplings(len(a), 3)):
        rows = torch.arange(len(a)).repeat_interleave(row)
        assert float(found.replicates["density"][r]) == pytest.approx(float(within[rows].sum(1).double().mean()) / K)
        expected = found.also["coverage"] + float(((row - 1) * alone).sum())
        assert float(found.replicates["coverage"][r]) == pytest.approx(expected)


def test_the_spread_of_coverage_is_not_too_narrow() -> None:
    """Over 60 sets of one distribution; the jackknife's variance is the true one or more, on average."""
    draws = rng.generator("coverage's spread")
    b = torch.randn(150, 6, generator=draws)
    values, spreads = [], []
    for _ in range(60):
        found = compared(torch.randn(60, 6, generator=draws) * 0.8 + 0.3, b, 1 << 21, replicates=60)
        values.append(found.also["coverage"])
        spreads.append(float(found.replicates["coverage"].std()))
    true, estimated = float(torch.tensor(values).std()), sum(spreads) / len(spreads)
    assert 0.85 * true < estimated < 2 * true


def test_fewer_images_than_neighbours() -> None:
    with pytest.raises(InputError, match=r"density and coverage: 5 samples, expected at least 6 \(k \+ 1\)"):
        points(sets()[1][:5], "reference", k=3, subsets=2, size=4, also=Also(K))
