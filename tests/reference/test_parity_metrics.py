"""The same features through published packages: pytorch-fid, clean-fid, torch-fidelity (>= 0.4) and prdc."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from pagboost import rng
from pagboost.metrics import comparison, frechet
from pagboost.metrics.inception_score import inception_score, split_scores
from pagboost.metrics.precision_recall import precision_recall, radii

DIMS, RANK, K = 48, 6, 3
KINDS = ("random", "low-rank", "clustered", "duplicated")
BASIS, CENTRES = torch.randn(RANK + 4, DIMS, generator=rng.generator("parity")).double().split((RANK, 4))


def features(kind: str, n: int, role: int) -> torch.Tensor:
    """float64 [n, DIMS]; two roles differ in place and in scale."""
    draws = rng.generator("parity", kind, role)
    scale = 1 + 0.1 * role
    if kind == "low-rank":
        return torch.randn(n, RANK, generator=draws).double() * scale @ BASIS + 0.1 * role
    points = torch.randn(n, DIMS, generator=draws).double() * scale + 0.1 * role
    if kind == "clustered":
        return points + 5 * CENTRES[torch.arange(n) % 4]
    if kind == "duplicated":
        points[n // 2 :] = points[: n - n // 2].clone()
    return points


def both(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    return features(kind, 200, 1), features(kind, 240, 2)


def published(package: str, a: torch.Tensor, b: torch.Tensor) -> float:
    """Fréchet distance of two float64 feature sets by a package, from its own statistics where it has any."""
    moments = [(x.numpy().mean(0), np.cov(x.numpy(), rowvar=False)) for x in (a, b)]
    if package == "torch_fidelity":
        metric = pytest.importorskip("torch_fidelity.metric_fid")
        pair = [metric.fid_features_to_statistics(x) for x in (a, b)]
        return metric.fid_statistics_to_metric(*pair, verbose=False)["frechet_inception_distance"]
    name = {"pytorch_fid": "calculate_frechet_distance", "cleanfid": "frechet_distance"}[package]
    module = pytest.importorskip({"pytorch_fid": "pytorch_fid.fid_score", "cleanfid": "cleanfid.fid"}[package])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's, of the packages' use of sqrtm
        return float(getattr(module, name)(*moments[0], *moments[1]))


def own(a: torch.Tensor, b: torch.Tensor) -> float:
    return frechet.distance(frechet.statistics(a), frechet.statistics(b))


PACKAGES = pytest.mark.parametrize("package", ["pytorch_fid", "cleanfid", "torch_fidelity"])


@PACKAGES
@pytest.mark.parametrize("kind", ["random", "clustered", "duplicated"])
def test_frechet(package: str, kind: str) -> None:
    a, b = both(kind)
    assert own(a, b) == pytest.approx(published(package, a, b), rel=1e-6)


@PACKAGES
def test_frechet_of_fewer_samples_than_dimensions(package: str) -> None:
    a, b = (x[: DIMS // 2] for x in both("random"))
    assert own(a, b) == pytest.approx(published(package, a, b), rel=1e-6)


@PACKAGES
def test_frechet_of_low_rank_features(package: str) -> None:
    """The packages' square roots lift the noise of empty directions (2e-6 of the distance here), this project's not.

    So: to 1e-6 of them inside the subspace, to 1e-10 of that result in all dimensions.
    """
    a, b = both("low-rank")
    shared = torch.linalg.qr(torch.cat((BASIS, torch.ones(1, DIMS).double())).T).Q  # the roles' offset is along ones
    inside = own(a @ shared, b @ shared)
    assert own(a, b) == pytest.approx(inside, rel=1e-10)
    subtracted = float(frechet.statistics(a).sigma.trace() + frechet.statistics(b).sigma.trace())
    assert published(package, a, b) == pytest.approx(inside, abs=1e-6 * subtracted)


def test_inception_score() -> None:
    metric = pytest.importorskip("torch_fidelity.metric_isc")
    logits = 3 * torch.randn(1000, 20, generator=rng.generator("parity", "logits"))
    shuffled = logits[torch.randperm(1000, generator=rng.generator("inception score"))]
    theirs = metric.isc_features_to_metric(shuffled, splits=10, shuffle=False)
    assert inception_score(logits) == pytest.approx(theirs["inception_score_mean"], rel=1e-9)
    assert float(split_scores(logits).std(correction=0)) == pytest.approx(theirs["inception_score_std"], rel=1e-6)


def kid(a: torch.Tensor, b: torch.Tensor, subsets: int, size: int) -> tuple[comparison.Comparison, np.ndarray]:
    """(comparison, row indices [2, subsets, size] that it drew)."""
    options = {"k": K, "subsets": subsets, "size": size}
    generated = comparison.points(a, "generated", **options)
    reference = comparison.points(b, "reference", **options)
    drawn = [[torch.nonzero(m)[:, 0].tolist() for m in x.members.T] for x in (generated, reference)]
    return comparison.compare(generated, reference), np.array(drawn)


@pytest.mark.parametrize("kind", KINDS)
def test_kid_on_the_same_subsets(kind: str) -> None:
    metric = pytest.importorskip("torch_fidelity.metric_kid")
    a, b = both(kind)
    result, drawn = kid(a, b, subsets=7, size=50)
    options = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None}
    theirs = [
        metric.kernel_mmd(a.numpy()[i], b.numpy()[j], **options, kid_kernel_poly_coef0=1)
        for i, j in zip(*drawn, strict=True)
    ]
    assert result.kid == pytest.approx(np.mean(theirs), rel=1e-9)
    assert result.kid_std == pytest.approx(np.std(theirs), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_kid_of_the_whole_sets_and_within_the_spread_of_subsets(kind: str) -> None:
    """Subsets of all samples leave nothing to chance; of 50, the packages' own draws agree within 4 standard errors."""
    metric = pytest.importorskip("torch_fidelity.metric_kid")
    a, b = features(kind, 200, 1), features(kind, 200, 2)
    options = {"verbose": False, "rng_seed": 0}
    theirs = metric.kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=200, **options)
    whole, _ = kid(a, b, subsets=2, size=200)
    assert whole.kid == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert whole.kid_std == pytest.approx(0, abs=1e-9)
    theirs = metric.kid_features_to_metric(a, b, kid_subsets=100, kid_subset_size=50, **options)
    ours, _ = kid(a, b, subsets=100, size=50)
    spread = theirs["kernel_inception_distance_std"]
    assert ours.kid == pytest.approx(theirs["kernel_inception_distance_mean"], abs=4 * spread * (2 / 100) ** 0.5)
    assert ours.kid_std == pytest.approx(spread, rel=0.5)


def test_kid_of_float32_features() -> None:
    """Tiles in float32 lose less than 1e-4 of a KID as small as papers report."""
    a, b = both("random")
    double, _ = kid(a, b, subsets=7, size=50)
    single, _ = kid(a.float(), b.float(), subsets=7, size=50)
    assert single.kid == pytest.approx(double.kid, rel=1e-4)


def manifold(a: torch.Tensor, b: torch.Tensor) -> tuple[float, float]:
    return precision_recall(a, b, radii(b, K), K)


def brute_force(a: torch.Tensor, b: torch.Tensor, closed: bool = True) -> tuple[float, float]:
    """The definition with differences in float64; `closed`: whether a ball holds its boundary, as the paper's does."""

    def distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x[:, None].double() - y.double()).square().sum(2).sqrt()

    def covered(points: torch.Tensor, balls: torch.Tensor) -> float:
        sizes = distances(balls, balls).sort(1).values[:, K]  # the 0th is the point itself
        d = distances(points, balls)
        return float(((d <= sizes) if closed else (d < sizes)).any(1).double().mean())

    return covered(a, b), covered(b, a)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_precision_and_recall_by_brute_force(kind: str, dtype: torch.dtype) -> None:
    a, b = (x.to(dtype) for x in both(kind))
    assert manifold(a, b) == pytest.approx(brute_force(a, b), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_precision_and_recall_by_prdc(kind: str) -> None:
    """prdc's balls are open and the paper's closed: they differ where a duplicate has radius 0, so not here."""
    prdc = pytest.importorskip("prdc")
    a, b = both(kind)
    theirs = prdc.compute_prdc(b.numpy(), a.numpy(), K)
    assert manifold(a, b) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_precision_and_recall_by_torch_fidelity(kind: str) -> None:
    """Up to 0.3 torch-fidelity took its first input for the real set, which swaps the two (its issue 58)."""
    metric = pytest.importorskip("torch_fidelity.metric_prc")
    a, b = both(kind)
    found = metric.prc_features_to_metric(a, b, prc_neighborhood=K, prc_batch_size=64, verbose=False)
    theirs = (found["precision"], found["recall"])
    fidelity = pytest.importorskip("torch_fidelity")
    old = tuple(int(part) for part in fidelity.__version__.split(".")[:2]) < (0, 4)
    assert manifold(a, b) == pytest.approx(theirs[::-1] if old else theirs, abs=1e-6)


def test_the_two_are_told_apart() -> None:
    """Parity of precision and recall would show nothing where they are equal."""
    pairs = {kind: manifold(*both(kind)) for kind in KINDS}
    assert all(abs(precision - recall) > 0.02 for precision, recall in pairs.values()), pairs
