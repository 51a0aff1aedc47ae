"""Where one of two paired images is better: the rule behind a choice of examples (Kawar et al. 2023, Fig. 6)."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pagboost.errors import InputError


def margins(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """By how much [N] images a beat their counterparts b: the smaller of two advantages, positive where both agree.

    The advantages are a greater log_probability and a smaller distance, each in units of its root mean square over
    all pairs. Equal measurements of all pairs are no advantage.
    """
    gains = (a["log_probability"] - b["log_probability"], b["distance"] - a["distance"])
    scaled = [gain / gain.square().mean().sqrt().clamp_min(torch.finfo(gain.dtype).tiny) for gain in gains]
    return torch.minimum(*scaled)


def nearest_of_class(features: torch.Tensor, y: torch.Tensor, real: torch.Tensor, real_y: torch.Tensor) -> torch.Tensor:
    """Distance [N] of features [N, D] to the nearest of the real ones [M, D] that share its class.

    Raises InputError for a class without real images.
    """
    distance = features.new_empty(len(features))
    for label in y.unique():
        own, others = y == label, real[real_y == label]
        if not len(others):
            raise InputError(f"real images: none of class {int(label)}, expected some to compare with")
        pairs = torch.cdist(features[own], others, compute_mode="donot_use_mm_for_euclid_dist")
        distance[own] = pairs.amin(1)
    return distance
