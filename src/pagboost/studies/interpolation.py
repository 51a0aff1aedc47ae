"""Image interpolation by a classifier's features (BIGRoC Sec. 4): lead one image to the features of another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from pagboost import attacks
from pagboost.errors import InputError

FeatureMaps = Callable[[torch.Tensor], list[torch.Tensor]]
PATH = 2.5  # length of the path over the radius: alpha = 2.5 eps / steps, Kawar App. E's rule (assumed for BIGRoC)


def features_of(network: torch.nn.Module, where: object) -> FeatureMaps:
    """x -> the network's features at several depths; InputError naming `where` for a network that has none."""
    if not hasattr(network, "feature_maps"):
        raise InputError(
            f"{where}: a {type(network).__name__} gives no feature maps, expected a network of kind resnet"
        )
    return network.feature_maps


def feature_distance(
    own: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor], weights: Sequence[float]
) -> torch.Tensor:
    """Eq. 3's sum_i w_i ||F_i - F'_i||_2 [N], each norm over the square root of its map's number of values.

    So a weight means the same for a large shallow map and a small deep one (assumed).
    """
    distances = [
        weight * attacks.l2_norm(f - g) / f[0].numel() ** 0.5 for weight, f, g in zip(weights, own, wanted, strict=True)
    ]
    return torch.stack(distances).sum(0)


def interpolate(
    feature_maps: FeatureMaps,
    source: torch.Tensor,
    target: torch.Tensor,
    *,
    ks: Sequence[float],
    weights: Sequence[float],
    steps: int,
) -> torch.Tensor:
    """The images [K, N, C, H, W] between source and target [N, C, H, W], all in [0, 1]: BIGRoC Eq. 3 by PGD.

    For each k in (0, 1] (Fig. 6) it starts at the source x_s and minimises `feature_distance` to the target x_t over
    ||delta||_2 <= eps = k ||x_t - x_s||_2 per image, steps of alpha = 2.5 eps / steps. weights: one per map of
    `feature_maps`, whose network must be frozen (attacks.frozen). No randomness. Raises InputError for images of
    different shapes, a pair that is twice the same image, k out of (0, 1], weights that do not fit, no steps.
    """
    distance = _checked_distance(source, target)
    if not ks or not all(0 < k <= 1 for k in ks):
        raise InputError(f"ks {list(ks)}: expected shares of the distance to the target, each in (0, 1]")
    if steps < 1:
        raise InputError(f"steps {steps}: expected at least 1")
    with torch.no_grad():
        wanted = feature_maps(target)
    _check_weights(weights, len(wanted))

    def loss_fn(x: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        return feature_distance(feature_maps(x), [f[pair] for f in wanted], weights)

    pairs = torch.arange(len(source), device=source.device).repeat(len(ks))
    eps = torch.outer(torch.tensor(ks, dtype=source.dtype, device=source.device), distance).flatten()
    moved = attacks.pgd(loss_fn, source[pairs], pairs, alpha=PATH * eps / steps, steps=steps, eps=eps)
    return moved.unflatten(0, (len(ks), len(source)))


def _checked_distance(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """||x_t - x_s||_2 [N]."""
    if source.shape != target.shape:
        raise InputError(
            f"source is {list(source.shape[1:])}, target {list(target.shape[1:])}: expected equal [C, H, W]"
        )
    distance = attacks.l2_norm(target - source)
    same = (distance == 0).nonzero().flatten().tolist()
    if same:
        raise InputError(f"pair {same[0]}: source and target are the same image, expected two")
    return distance


def _check_weights(weights: Sequence[float], maps: int) -> None:
    if len(weights) != maps or not all(0 <= weight < math.inf for weight in weights) or not any(weights):
        raise InputError(f"weights {list(weights)}: expected {maps}, one per feature map, 0 or more and not all 0")
