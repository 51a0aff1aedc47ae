"""A guide: the network whose gradients boosting follows, what is known of it, and the images it can be asked about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pagboost import images
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.networks.folding import folded


@dataclass(frozen=True)
class Guide:
    """A classifier or joint model in eval mode, and the facts of its weights.

    channels and size (a side, in pixels) are those of the images it was trained on; l0 is None but for joint models.
    real: what a boost with `stop: ranks` compares with (stops.with_real): of each class c the logits f_c of real
    images, ascending.
    """

    network: torch.nn.Module
    num_classes: int
    channels: int
    size: int
    l0: float | None = None
    real: Sequence[np.ndarray] | None = None

    @classmethod
    def of(cls, network: torch.nn.Module, description: Mapping[str, Any]) -> Guide:
        """From what networks.load returns; the guide is a folded copy (see networks.folding)."""
        dataset = description["dataset"]
        return cls(folded(network), dataset["num_classes"], dataset["channels"], dataset["size"], description.get("l0"))


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


def logits_of(
    guide: Guide, samples: SampleSet, resolution: int | None, batch_size: int, device: torch.device
) -> torch.Tensor:
    """All of logits_in_batches as one [N, K]; of a thousand classes they take 8 kB an image."""
    found = torch.empty(0)
    for rows, logits in logits_in_batches(guide, samples, resolution, batch_size, device):
        if not rows.start:
            found = logits.new_empty(len(samples), logits.shape[1])
        found[rows] = logits
    return found


@torch.no_grad()
def logits_in_batches(
    guide: Guide, samples: SampleSet, resolution: int | None, batch_size: int, device: torch.device
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield (rows, the guide's logits [n, K] of them), in full fp32, float64 on the CPU; `resolution` as of a boost."""
    network = guide.network.to(device, memory_format=torch.channels_last).eval()
    for start in range(0, len(samples), batch_size):
        rows = slice(start, start + batch_size)
        x = images.to_float(samples.images[rows]).to(device)
        yield rows, network(x if resolution is None else images.resize(x, resolution)).double().cpu()
