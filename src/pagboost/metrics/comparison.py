"""Precision, recall and KID against a reference: three passes over pairs, or two where the reference is kept.

Density, coverage and CMMD come from the same passes, where they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from pagboost.errors import InputError
from pagboost.metrics import bootstrap, kernel
from pagboost.metrics.density import Balls
from pagboost.metrics.kernel import SIZE, SUBSETS, GaussianProduct, KernelProduct
from pagboost.metrics.pairwise import TILE, Pairs
from pagboost.metrics.precision_recall import SPARE, Covers, Neighbours

FEW = 8  # as many times fewer pairs make up for many small passes


@dataclass(frozen=True)
class Also:
    """What is asked for besides: density and coverage with the reference's balls to the k-th neighbour; CMMD."""

    k: int | None = None
    cmmd: bool = False


USUAL = Also()


@dataclass(frozen=True)
class Resampled:
    """What R replicates of a set need: counts float64 [R, N] of the bootstrap; radii [N, R] in random halves (-1 for
    points outside) for recall; kernel_means float64 [R], the kernel's mean over pairs of different points;
    gaussian_means float64 [R], CMMD's over all pairs, where it is asked for.
    """

    counts: torch.Tensor
    radii: torch.Tensor
    kernel_means: torch.Tensor
    gaussian_means: torch.Tensor | None = None


@dataclass(frozen=True)
class Points:
    """Features [N, D] with what their own pairs tell.

    radii: float64 [N], to the k-th neighbour; members: [N, S] KID's subsets; kernel_means: float64 [S], the mean of
    the kernel over pairs of each subset, and kernel_mean over all pairs. Where they are asked for: wide, {density's k:
    its radii}, and gaussian_mean, of CMMD's kernel less 1 over all pairs.
    """

    features: torch.Tensor
    radii: torch.Tensor
    members: torch.Tensor
    kernel_means: torch.Tensor
    kernel_mean: torch.Tensor
    resampled: Resampled | None
    wide: Mapping[int, torch.Tensor] = field(default_factory=dict)
    gaussian_mean: torch.Tensor | None = None


def points(
    features: torch.Tensor,
    role: str,
    *,
    k: int,
    subsets: int = SUBSETS,
    size: int = SIZE,
    replicates: int = 0,
    also: Also = USUAL,
    tile: int = TILE,
) -> Points:
    """What compare needs of features [N, D] alone; one pass.

    role ("generated", "reference") names the draws of KID's subsets, so that the sets' draws are independent.
    replicates: how many resamplings compare is to evaluate, for generated points. also.k is for a reference.
    Raises InputError for fewer than k + 1 or `size` samples.
    """
    n, device = len(features), features.device
    check_wide(n, also)
    pairs = Pairs(features)
    # 4 k + 12 neighbours hold k of a random half of the points with probability 1 - 2e-5
    spare = 3 * k + 12 if replicates else SPARE
    neighbours = Neighbours(pairs, k, spare=max(spare, (also.k or 0) - k + SPARE))
    members = torch.cat((kernel.subsets(n, role, subsets, size), torch.ones(n, 1)), 1)
    if replicates:
        counts = bootstrap.resamplings(n, replicates)
        members = torch.cat((members, counts.T), 1)
    members = members.to(device)
    own = KernelProduct(pairs, members)
    weights = torch.ones(n, 1, device=device)
    if replicates:
        weights = torch.cat((weights, members[:, subsets + 1 :]), 1)
    near = [GaussianProduct(pairs, weights)] if also.cmmd else []
    pairs.visit(neighbours, own, *near, tile=tile)
    gaussian = kernel.mean_of_all(near[0].result, weights) if near else None
    means = kernel.mean_within(own.result, members)
    resampled = None
    if replicates:
        radii = neighbours.radii_within(bootstrap.halves(n, replicates))
        resampled = Resampled(
            counts.to(device).double(), radii, means[subsets + 1 :], gaussian[1:] if also.cmmd else None
        )
    return Points(
        features,
        neighbours.radii(),
        members[:, :subsets],
        means[:subsets],
        means[subsets],
        resampled=resampled,
        wide={also.k: neighbours.radii(also.k)} if also.k else {},
        gaussian_mean=gaussian[0] if also.cmmd else None,
    )


def check_wide(n: int, also: Also) -> None:
    """Raise InputError for fewer than k + 1 images of a reference, k density's."""
    if also.k and n <= also.k:
        raise InputError(f"density and coverage: {n} samples, expected at least {also.k + 1} (k + 1)")


def completed(points: Points, also: Also) -> Points:
    """A reference's points with what is asked for besides, which a saved one has not; one pass, or none."""
    k, cmmd = (None if also.k in points.wide else also.k), also.cmmd and points.gaussian_mean is None
    if not k and not cmmd:
        return points
    check_wide(len(points.features), also)
    pairs, weights = Pairs(points.features), torch.ones(len(points.features), 1, device=points.features.device)
    neighbours = [Neighbours(pairs, k)] if k else []
    near = [GaussianProduct(pairs, weights)] if cmmd else []
    pairs.visit(*neighbours, *near)
    return replace(
        points,
        wide={**points.wide, k: neighbours[0].radii()} if k else points.wide,
        gaussian_mean=kernel.mean_of_all(near[0].result, weights)[0] if cmmd else points.gaussian_mean,
    )


def resized(points: Points, role: str, size: int) -> Points:
    """The same points with KID's subsets of another size.

    No pass where they have it already; one over the pairs of each subset, where these are few among all; else one over
    all pairs.
    """
    n, subsets = points.members.shape
    if size == round(float(points.members[:, 0].sum())):
        return points
    members = kernel.subsets(n, role, subsets, size).to(points.features.device)
    if FEW * subsets * size**2 < n**2:
        means = torch.cat([_kernel_means(points.features[one.bool()], one[one.bool(), None]) for one in members.T])
    else:
        means = _kernel_means(points.features, members)
    return replace(points, members=members, kernel_means=means)


def _kernel_means(features: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """The kernel's mean over pairs of each subset [C] of features [N, D], members [N, C]; one pass."""
    pairs = Pairs(features)
    own = KernelProduct(pairs, members)
    pairs.visit(own)
    return kernel.mean_within(own.result, members)


@dataclass(frozen=True)
class Comparison:
    """precision and recall in [0, 1]; kid, the mean over subsets, and kid_std; replicates: name -> float64 [R].

    also: density (0 or more), coverage in [0, 1] and cmmd, where they are asked for.
    """

    precision: float
    recall: float
    kid: float
    kid_std: float
    replicates: dict[str, torch.Tensor]
    also: dict[str, float] = field(default_factory=dict)


def compare(generated: Points, reference: Points, *, also: Also = USUAL, tile: int = TILE) -> Comparison:
    """Generated against reference points of as many subsets; one pass. Both have what `also` asks for.

    The reference is the same in all replicates. Those of precision and of KID (MMD^2 over all pairs, of the same
    expectation as the mean over subsets), of density and CMMD repeat generated samples. Those of recall are random
    halves with radii of their own: a repeated sample would have radius 0, and kept radii give intervals of half the
    true width. Those of coverage: see Balls.
    """
    resampled = generated.resampled
    pairs = Pairs(generated.features, reference.features)
    covers = Covers(pairs, generated.radii, reference.radii, resampled.radii if resampled else None)
    everyone = torch.ones(len(reference.features), 1, device=reference.members.device)
    cross = KernelProduct(pairs, torch.cat((reference.members, everyone), 1))
    balls = [Balls(pairs, reference.wide[also.k])] if also.k else []
    near = [GaussianProduct(pairs, everyone)] if also.cmmd else []
    pairs.visit(covers, cross, *balls, *near, tile=tile)
    between = kernel.mean_between(cross.result[:, :-1], generated.members, reference.members)
    kid = generated.kernel_means + reference.kernel_means - 2 * between
    replicates = {}
    if resampled:
        share = resampled.counts / len(generated.features)
        replicates["precision"] = share @ covers.inside.double()
        replicates["recall"] = (covers.hits > 0).double().mean(0)
        across = share @ cross.result[:, -1] / len(reference.features)
        replicates["kid"] = resampled.kernel_means + reference.kernel_mean - 2 * across
    besides = {}
    if also.k:
        each = balls[0].density(also.k)
        besides |= {"density": float(each.mean()), "coverage": balls[0].coverage()}
        if resampled:
            replicates |= {"density": share @ each, "coverage": balls[0].coverage_replicates(resampled.counts)}
    if also.cmmd:
        nearness = near[0].result[:, 0] / len(reference.features)
        own = generated.gaussian_mean + reference.gaussian_mean
        besides["cmmd"] = kernel.SCALE * float(own - 2 * nearness.mean())
        if resampled:
            within = resampled.gaussian_means + reference.gaussian_mean
            replicates["cmmd"] = kernel.SCALE * (within - 2 * share @ nearness)
    return Comparison(
        precision=float(covers.inside.double().mean()),
        recall=float(covers.covered.double().mean()),
        kid=float(kid.mean()),
        kid_std=float(kid.std(correction=0)),
        replicates=replicates,
        also=besides,
    )
