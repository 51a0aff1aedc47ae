"""Improved precision and recall (Kynkäänniemi et al. 2019): manifolds as unions of k-nearest-neighbour balls."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pagboost.errors import InputError

TILE = 1 << 23  # distances at a time: 64 MiB for each of the few intermediate results


def _distances(a: torch.Tensor, b: torch.Tensor, tile: int) -> Iterator[tuple[slice, torch.Tensor]]:
    """(rows of a, L2 distances [rows, len(b)]) in float64, at most `tile` distances (or one row) at a time."""
    a, b = a.double(), b.double()
    b_squared = b.square().sum(1)
    height = max(1, tile // len(b))
    for start in range(0, len(a), height):
        rows = slice(start, min(start + height, len(a)))
        scale = a[rows].square().sum(1)[:, None] + b_squared
        squared = torch.addmm(scale, a[rows], b.T, alpha=-2)
        # |a|^2 + |b|^2 - 2ab leaves rounding noise where a = b, but duplicates must be at distance 0; what else falls
        # under the bound is closer than float32 features can tell
        yield rows, squared.where(squared > 1e-12 * scale, 0).sqrt()


def radii(features: torch.Tensor, k: int, tile: int = TILE) -> torch.Tensor:
    """Distance [N] of each of features [N, D] to its k-th nearest other one, float64; a duplicate is another one.

    Raises InputError for fewer than k + 1 samples.
    """
    if len(features) <= k:
        raise InputError(f"precision and recall: {len(features)} samples, expected at least {k + 1} (k + 1)")
    result = torch.empty(len(features), dtype=torch.float64, device=features.device)
    for rows, distances in _distances(features, features, tile):
        own = torch.arange(rows.start, rows.stop, device=features.device)[:, None]
        distances.scatter_(1, own, torch.inf)
        result[rows] = distances.topk(k, largest=False).values.amax(1)
    return result


def precision_recall(
    generated: torch.Tensor, reference: torch.Tensor, reference_radii: torch.Tensor, k: int, tile: int = TILE
) -> tuple[float, float]:
    """(precision, recall) of generated [N, D] against reference [M, D] features, both in [0, 1].

    Precision: the share of generated samples within some reference sample's ball; recall: the share of reference
    samples within some generated sample's ball. `reference_radii` = radii(reference, k); k should be the same there.
    """
    generated_radii = radii(generated, k, tile)
    inside = torch.empty(len(generated), dtype=torch.bool, device=generated.device)
    covered = torch.zeros(len(reference), dtype=torch.bool, device=generated.device)
    for rows, distances in _distances(generated, reference, tile):
        inside[rows] = (distances <= reference_radii).any(1)
        covered |= (distances <= generated_radii[rows, None]).any(0)
    return float(inside.double().mean()), float(covered.double().mean())
