"""Precision, recall and KID against a reference: three passes over pairs, or two where the reference is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from pagboost.metrics import bootstrap, kernel
from pagboost.metrics.kernel import SIZE, SUBSETS, KernelProduct
from pagboost.metrics.pairwise import TILE, Pairs
from pagboost.metrics.precision_recall import SPARE, Covers, Neighbours


@dataclass(frozen=True)
class Resampled:
    """What R replicates of a set need: counts float64 [R, N] of the bootstrap; radii [N, R] in random halves (-1 for
    points outside) for recall; kernel_means float64 [R], the kernel's mean over pairs of different points.
    """

    counts: torch.Tensor
    radii: torch.Tensor
    kernel_means: torch.Tensor


@dataclass(frozen=True)
class Points:
    """Features [N, D] with what their own pairs tell.

    radii: float64 [N], to the k-th neighbour; members: [N, S] KID's subsets; kernel_means: float64 [S], the mean of
    the kernel over pairs of each subset, and kernel_mean over all pairs.
    """

    features: torch.Tensor
    radii: torch.Tensor
    members: torch.Tensor
    kernel_means: torch.Tensor
    kernel_mean: torch.Tensor
    resampled: Resampled | None


def points(
    features: torch.Tensor,
    role: str,
    *,
    k: int,
    subsets: int = SUBSETS,
    size: int = SIZE,
    replicates: int = 0,
    tile: int = TILE,
) -> Points:
    """What compare needs of features [N, D] alone; one pass.

    role ("generated", "reference") names the draws of KID's subsets, so that the sets' draws are independent.
    replicates: how many resamplings compare is to evaluate, for generated points.
    Raises InputError for fewer than k + 1 or `size` samples.
    """
    n, device = len(features), features.device
    pairs = Pairs(features)
    # 4 k + 12 neighbours hold k of a random half of the points with probability 1 - 2e-5
    neighbours = Neighbours(pairs, k, spare=3 * k + 12 if replicates else SPARE)
    members = torch.cat((kernel.subsets(n, role, subsets, size), torch.ones(n, 1)), 1)
    if replicates:
        counts = bootstrap.resamplings(n, replicates)
        members = torch.cat((members, counts.T), 1)
    members = members.to(device)
    own = KernelProduct(pairs, members)
    pairs.visit(neighbours, own, tile=tile)
    means = kernel.mean_within(own.result, members)
    resampled = None
    if replicates:
        radii = neighbours.radii_within(bootstrap.halves(n, replicates))
        resampled = Resampled(counts.to(device).double(), radii, means[subsets + 1 :])
    return Points(
        features, neighbours.radii(), members[:, :subsets], means[:subsets], means[subsets], resampled=resampled
    )


def resized(points: Points, role: str, size: int) -> Points:
    """The same points with KID's subsets of another size; one pass, or none where they have it already."""
    subsets = points.members.shape[1]
    if size == round(float(points.members[:, 0].sum())):
        return points
    pairs = Pairs(points.features)
    members = kernel.subsets(len(points.features), role, subsets, size).to(points.features.device)
    own = KernelProduct(pairs, members)
    pairs.visit(own)
    return replace(points, members=members, kernel_means=kernel.mean_within(own.result, members))


@dataclass(frozen=True)
class Comparison:
    """precision and recall in [0, 1]; kid, the mean over subsets, and kid_std; replicates: name -> float64 [R]."""

    precision: float
    recall: float
    kid: float
    kid_std: float
    replicates: dict[str, torch.Tensor]


def compare(generated: Points, reference: Points, *, tile: int = TILE) -> Comparison:
    """Generated against reference points of as many subsets; one pass.

    The reference is the same in all replicates. Those of precision and of KID (MMD^2 over all pairs, of the same
    expectation as the mean over subsets) repeat generated samples. Those of recall are random halves with radii of
    their own: a repeated sample would have radius 0, and kept radii give intervals of half the true width.
    """
    resampled = generated.resampled
    pairs = Pairs(generated.features, reference.features)
    covers = Covers(pairs, generated.radii, reference.radii, resampled.radii if resampled else None)
    everyone = torch.ones(len(reference.features), 1, device=reference.members.device)
    cross = KernelProduct(pairs, torch.cat((reference.members, everyone), 1))
    pairs.visit(covers, cross, tile=tile)
    between = kernel.mean_between(cross.result[:, :-1], generated.members, reference.members)
    kid = generated.kernel_means + reference.kernel_means - 2 * between
    replicates = {}
    if resampled:
        share = resampled.counts / len(generated.features)
        replicates["precision"] = share @ covers.inside.double()
        replicates["recall"] = (covers.hits > 0).double().mean(0)
        across = share @ cross.result[:, -1] / len(reference.features)
        replicates["kid"] = resampled.kernel_means + reference.kernel_mean - 2 * across
    return Comparison(
        precision=float(covers.inside.double().mean()),
        recall=float(covers.covered.double().mean()),
        kid=float(kid.mean()),
        kid_std=float(kid.std(correction=0)),
        replicates=replicates,
    )
