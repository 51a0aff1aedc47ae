"""Where a walk leaves an image (a boost's `stop`): at the level that real images have, as the guide sees them.

reference: the joint model's l0, one for all (Golan Sec. 1: image-dependent early stopping). ranks, not in the papers:
the k-th lowest of a class's n images, k from 0, stops where a real image of its rank would be, at the quantile
(k + 1/2) / n of the logits f_c of the real images of that class. One that is there already stays as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from pagboost.artifacts import SampleSet
from pagboost.boosting.guide import Guide, check, logits_in_batches
from pagboost.errors import InputError
from pagboost.options.boosts import Boost


def with_real(
    guide: Guide,
    boost: Boost,
    real: SampleSet | None,
    side: int,
    batch_size: int,
    device: torch.device,
    where: str = "real images",
) -> Guide:
    """The guide, knowing the logits of the real images that `stop: ranks` compares with; as it is for other boosts.

    side: of the images to boost, in pixels. Raises InputError for a boost by ranks without real images, or the other
    way round, and for real images that the guide cannot judge or that are of another size.
    """
    if boost.stop != "ranks":
        if real is not None:
            raise InputError(f"{where}: the boost ranks nothing (boost.stop: {boost.stop or 'null'}), expected none")
        return guide
    if real is None:
        raise InputError("boost.stop: ranks, expected real images to rank by (--real)")
    check(guide, real, where)
    if real.images.shape[1] != side:
        raise InputError(f"{where}: images of {real.images.shape[1]} pixels a side, expected {side} (the samples')")
    own = target_logits(guide, real, boost.resolution, batch_size, device)
    classes = range(guide.num_classes)
    return dataclasses.replace(guide, real=[np.sort(own[real.labels == c]) for c in classes])


def target_logits(
    guide: Guide, samples: SampleSet, resolution: int | None, batch_size: int, device: torch.device
) -> np.ndarray:
    """f_c(x) [N] of each image's own class, float64."""
    batches = logits_in_batches(guide, samples, resolution, batch_size, device)
    own = (np.take_along_axis(logits.numpy(), samples.labels[rows, None], 1)[:, 0] for rows, logits in batches)
    return np.concatenate(list(own))


def rank_levels(logits: np.ndarray, labels: np.ndarray, real: Sequence[np.ndarray]) -> np.ndarray:
    """The logit [N] at which each image stops; logits [N] and labels [N] are of a whole set.

    `real`: of each class, logits of real images. Equal logits are ranked in the set's order.
    Raises InputError for a class without real images.
    """
    levels = np.empty(len(logits))
    for c in np.unique(labels):
        if not len(real[c]):
            raise InputError(f"real images: none is of class {c}, expected some of every class that is boosted towards")
        rows = np.flatnonzero(labels == c)
        ascending = rows[np.argsort(logits[rows], kind="stable")]
        levels[ascending] = np.quantile(real[c], (np.arange(len(rows)) + 0.5) / len(rows))
    return levels


def levels_of(
    guide: Guide, boost: Boost, samples: SampleSet, batch_size: int, device: torch.device
) -> np.ndarray | None:
    """rank_levels of a set under `stop: ranks`, of the whole set whatever its batches; None for other boosts."""
    if boost.stop != "ranks":
        return None
    if guide.real is None:
        raise InputError("boost.stop: ranks, expected real images to rank by (--real)")
    own = target_logits(guide, samples, boost.resolution, batch_size, device)
    return rank_levels(own, samples.labels, guide.real)
