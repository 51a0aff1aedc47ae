"""Boosting generated images with a guide's gradients: Golan et al. 2024 Alg. 2 and 3, BIGRoC Alg. 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace

from pagboost import attacks, images, objectives, rng, runtime
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.networks.folding import folded
from pagboost.options.boosts import StepBoost


@dataclass(frozen=True)
class Guide:
    """A classifier or joint model in eval mode, and the facts of its weights.

    channels and size (a side, in pixels) are those of the images it was trained on; l0 is None but for joint models.
    """

    network: torch.nn.Module
    num_classes: int
    channels: int
    size: int
    l0: float | None = None

    @classmethod
    def of(cls, network: torch.nn.Module, description: Mapping[str, Any]) -> Guide:
        """From what networks.load returns; the guide is a folded copy (see networks.folding)."""
        dataset = description["dataset"]
        return cls(folded(network), dataset["num_classes"], dataset["channels"], dataset["size"], description.get("l0"))


def scaled(boost: StepBoost, size: int, guide_size: int) -> StepBoost:
    """The boost for images of `size` pixels a side: alpha and eps times size / guide_size, in linf unchanged.

    So a pixel changes as much; lengths are stated at the size the guide was trained at.
    """
    ratio = size / guide_size if boost.norm == "l2" else 1.0
    return replace(boost, alpha=boost.alpha * ratio, eps=None if boost.eps is None else boost.eps * ratio)


def loss_of(guide: Guide, boost: StepBoost) -> attacks.LossFn:
    """The loss a walk minimises: loss_fn(x, y) -> loss [N], or (loss, stop [N]) with stop_at_reference.

    The guide sees x resized (antialiased) to the boost's resolution, and gradients pass through the resize. An image
    whose softplus(f_c) has reached l0 stops (Golan Sec. 1: image-dependent early stopping).
    """
    objective = objectives.objective(boost.objective, guide.l0)
    if boost.stop_at_reference and guide.l0 is None:
        raise InputError("stop_at_reference: the guide's weights carry no l0, expected those of a joint model")

    def loss_fn(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        logits = guide.network(x if boost.resolution is None else images.resize(x, boost.resolution))
        loss = objective(logits, y)
        if not boost.stop_at_reference:
            return loss
        return loss, objectives.bce_generated(logits, y).detach() >= guide.l0

    return loss_fn


def walk(
    guide: Guide, boost: StepBoost, x: torch.Tensor, y: torch.Tensor, streams: rng.SampleStreams, steps: int
) -> Iterator[torch.Tensor]:
    """Yield the boosted images after each of `steps` steps; x float32 [N, C, H, W] in [0, 1].

    SGLD is not clipped on the way: clip each yielded x to [0, 1] (images.to_uint8 does).
    """
    loss_fn, boost = loss_of(guide, boost), scaled(boost, x.shape[-1], guide.size)
    if boost.sampler == "sgld":
        return attacks.sgld_walk(
            loss_fn, x, y, alpha=boost.alpha, steps=steps, noise=streams.randn, noise_std=boost.noise_std
        )
    return attacks.pgd_walk(loss_fn, x, y, alpha=boost.alpha, steps=steps, eps=boost.eps, norm=boost.norm)


def check_images(guide: Guide, samples: SampleSet, where: str) -> None:
    """Raise InputError unless the images are square and have the guide's channels."""
    height, width, channels = samples.images.shape[1:]
    if height != width:
        raise InputError(f"{where}: images of {height}x{width} pixels, expected square ones")
    if channels != guide.channels:
        raise InputError(f"{where}: images have {channels} channels, expected {guide.channels} (the guide's)")


def check(guide: Guide, samples: SampleSet, where: str) -> None:
    """Raise InputError unless the guide can boost these samples: channels fit, labels are there and in range."""
    check_images(guide, samples, where)
    if samples.labels is None:
        raise InputError(f"{where}: has no labels (arr_1), expected the class to boost each image towards")
    if len(samples) and samples.labels.max() >= guide.num_classes:
        raise InputError(
            f"{where}: holds label {samples.labels.max()}, expected 0..{guide.num_classes - 1} (the guide's)"
        )


def walk_samples(
    guide: Guide, boost: StepBoost, samples: SampleSet, steps: Sequence[int], batch_size: int, device: torch.device
) -> dict[int, SampleSet]:
    """The boosted set after each number of steps in `steps`, from one walk of max(steps) per batch.

    Starts from the stored uint8 images and returns uint8 images of the same shape, labels and order. Each image
    depends on itself, its label and its own random stream only (within one grey level, where the backend's
    arithmetic depends on the shape of a batch).
    """
    check(guide, samples, "samples")
    results = {count: np.empty_like(samples.images) for count in steps}
    guide.network.to(device, memory_format=torch.channels_last)
    starts = range(0, len(samples), batch_size)
    with attacks.frozen(guide.network), runtime.autocast(device):
        for start in runtime.progress(starts, f"boosting, {boost.objective}"):
            rows = slice(start, start + batch_size)
            part = samples.subset(rows)
            streams = rng.SampleStreams("sgld", *part.streams(), device)
            x, y = images.to_float(part.images).to(device), torch.from_numpy(part.labels).to(device)
            if 0 in results:
                results[0][rows] = part.images
            for done, current in enumerate(walk(guide, boost, x, y, streams, max(steps)), start=1):
                if done in results:
                    results[done][rows] = images.to_uint8(current)
    return {count: samples.with_images(pixels) for count, pixels in results.items()}


def boost_samples(
    guide: Guide, boost: StepBoost, samples: SampleSet, steps: int, batch_size: int, device: torch.device
) -> SampleSet:
    """The set after `steps` steps (see walk_samples)."""
    return walk_samples(guide, boost, samples, [steps], batch_size, device)[steps]
