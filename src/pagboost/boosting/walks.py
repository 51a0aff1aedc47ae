"""Boosting generated images with a guide's gradients: Golan et al. 2024 Alg. 2 and 3, BIGRoC Alg. 2."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from msgspec.structs import replace

from pagboost import attacks, images, objectives, rng, runtime
from pagboost.artifacts import SampleSet
from pagboost.boosting.guide import Guide, check
from pagboost.boosting.stops import levels_of
from pagboost.errors import InputError
from pagboost.networks.frozen import frozen_copy
from pagboost.options.boosts import StepBoost


def scaled(boost: StepBoost, size: int, guide_size: int) -> StepBoost:
    """The boost for images of `size` pixels a side: alpha and eps times size / guide_size, in linf unchanged.

    So a pixel changes as much; lengths are stated at the size the guide was trained at. A raw alpha is no length but a
    factor of the gradient, and stays: how far such a step goes is the gradient's to say, at every size.
    """
    ratio = size / guide_size if boost.norm == "l2" else 1.0
    alpha = boost.alpha if boost.direction == "raw" else boost.alpha * ratio
    return replace(boost, alpha=alpha, eps=None if boost.eps is None else boost.eps * ratio)


def loss_of(guide: Guide, boost: StepBoost) -> attacks.LossFn:
    """The loss a walk minimises: loss_fn(x, y) -> loss [N], or (loss, stop [N]) where the boost stops images.

    The guide sees x resized (antialiased) to the boost's resolution, and gradients pass through the resize. An image
    stops when softplus(f_c) has reached l0 (Golan Sec. 1: image-dependent early stopping), or f_c the image's own
    level: under `stop: ranks` y is [N, 2], labels and levels.
    """
    objective = objectives.objective(boost.objective, guide.l0)
    if boost.stop == "reference" and guide.l0 is None:
        raise InputError("boost.stop: reference, and the guide's weights carry no l0, expected those of a joint model")

    def loss_fn(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        level = None
        if boost.stop == "ranks":
            y, level = y[:, 0].long(), y[:, 1]
        logits = guide.network(x if boost.resolution is None else images.resize(x, boost.resolution))
        loss = objective(logits, y)
        if boost.stop is None:
            return loss
        if level is None:
            return loss, objectives.bce_generated(logits, y).detach() >= guide.l0
        return loss, objectives.target_logit(logits, y).detach() >= level

    return loss_fn


def walk(
    guide: Guide,
    boost: StepBoost,
    x: torch.Tensor,
    y: torch.Tensor,
    streams: rng.SampleStreams,
    steps: int,
    levels: torch.Tensor | None = None,
    loss_fn: attacks.LossFn | None = None,
) -> Iterator[torch.Tensor]:
    """Yield the boosted images after each of `steps` steps; x float32 [N, C, H, W] in [0, 1], y int64 [N].

    levels float64 [N]: where images stop under `stop: ranks` (stops.levels_of). They travel with the labels, so that
    both follow an image when stopped ones leave the batch.
    loss_fn: `loss_of` the two, where it is kept from walk to walk.
    SGLD is not clipped on the way: clip each yielded x to [0, 1] (images.to_uint8 does).
    """
    loss_fn, boost = loss_fn or loss_of(guide, boost), scaled(boost, x.shape[-1], guide.size)
    y = y if levels is None else torch.stack([y.double(), levels], 1)
    shared = {"alpha": boost.alpha, "steps": steps, "direction": "raw" if boost.direction == "raw" else boost.norm}
    if boost.sampler == "sgld":
        return attacks.sgld_walk(loss_fn, x, y, noise=streams.randn, noise_std=boost.noise_std, **shared)
    return attacks.pgd_walk(loss_fn, x, y, eps=boost.eps, norm=boost.norm, **shared)


def in_batches(
    guide: Guide,
    boost: StepBoost,
    samples: SampleSet,
    steps: Sequence[int],
    batch_size: int,
    device: torch.device,
    levels: np.ndarray | None = None,
    starts: Sequence[int] | None = None,
    before: int = 0,
) -> Iterator[tuple[slice, dict[int, np.ndarray]]]:
    """Yield (rows, {number of steps: their boosted images}) of each batch, from one walk of max(steps).

    Starts from the stored uint8 images and returns uint8 images of the same shape and order. Each image depends on
    itself, its label and its own random stream only (within one grey level, where the backend's arithmetic depends on
    the shape of a batch); under `stop: ranks` on its rank in this set too, unless levels float64 [N] say where each
    stops. starts: the first rows of the batches that are wanted, ascending; None: of all; before: how many were done
    before, for progress. The set is read in order, and no more than a batch of it is held.
    """
    check(guide, samples, "samples")
    guide.network.to(device, memory_format=torch.channels_last)
    starts, last = range(0, len(samples), batch_size) if starts is None else starts, max(steps)
    with attacks.frozen(guide.network):
        levels = levels_of(guide, boost, samples, batch_size, device) if levels is None else levels
        walked = dataclasses.replace(guide, network=frozen_copy(guide.network, device))
        loss_fn = attacks.Repeated(loss_of(walked, boost))

        def moments() -> Iterator[tuple[slice, int, torch.Tensor]]:
            for start in starts:
                rows = slice(start, min(start + batch_size, len(samples)))
                part = samples.subset(rows)
                x, y = images.to_float(part.images).to(device), torch.from_numpy(part.labels).to(device)
                own = None if levels is None else torch.from_numpy(levels[rows]).to(device)
                streams = rng.SampleStreams("sgld", *part.streams(), device)
                yield rows, 0, x
                moving = walk(walked, boost, x, y, streams, last, own, loss_fn)
                for done in range(1, last + 1):
                    with runtime.autocast(device):
                        current = next(moving)
                    yield rows, done, current

        found: dict[int, np.ndarray] = {}
        total, first = ((before + len(starts)) * (last + 1), before * (last + 1))
        for rows, done, current in runtime.progress(moments(), f"boosting, {boost.objective}", total, first):
            if done in steps:
                found[done] = images.to_uint8(current)
            if done == last:
                yield rows, found
                found = {}


def walk_samples(
    guide: Guide,
    boost: StepBoost,
    samples: SampleSet,
    steps: Sequence[int],
    batch_size: int,
    device: torch.device,
    levels: np.ndarray | None = None,
) -> dict[int, SampleSet]:
    """The boosted set after each number of steps in `steps` (see in_batches): images alone are new."""
    results = {count: np.empty(samples.images.shape, np.uint8) for count in steps}
    for rows, found in in_batches(guide, boost, samples, steps, batch_size, device, levels):
        for count, boosted in found.items():
            results[count][rows] = boosted
    return {count: samples.with_images(pixels) for count, pixels in results.items()}


def boost_samples(
    guide: Guide,
    boost: StepBoost,
    samples: SampleSet,
    steps: int,
    batch_size: int,
    device: torch.device,
    levels: np.ndarray | None = None,
) -> SampleSet:
    """The set after `steps` steps (see walk_samples)."""
    return walk_samples(guide, boost, samples, [steps], batch_size, device, levels)[steps]
