"""Feature extractors and the one pass that every metric of a sample set is computed from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from pagboost import artifacts, images, networks, runtime
from pagboost.errors import InputError


@runtime_checkable
class FeatureNetwork(Protocol):
    """What a network offers to be measured with; it resizes images [N, C, H, W] in [0, 1] to input_size itself."""

    in_channels: int
    input_size: int

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(features [N, D], logits [N, K]) of one pass."""


@dataclass(frozen=True)
class Extractor:
    """A feature network and what identifies it in a protocol: the name of its weights file and that file's sha256."""

    name: str
    sha256: str
    network: FeatureNetwork


@dataclass(frozen=True)
class Features:
    """What an extractor sees in N images: features float32 [N, D] and logits float32 [N, K]."""

    features: torch.Tensor
    logits: torch.Tensor

    def __len__(self) -> int:
        return len(self.features)

    def subset(self, rows: torch.Tensor) -> Features:
        """The given rows, int64."""
        return Features(self.features[rows], self.logits[rows])


def load_extractor(path: str | Path) -> Extractor:
    """The extractor of a weights file, in eval mode on the CPU.

    Raises InputError for a file that is neither a classifier nor a public network, or has no features.
    """
    network, _ = networks.load(path, kinds=("classifier", "pretrained"))
    if not isinstance(network, FeatureNetwork):
        raise InputError(f"{path}: a {type(network).__name__} has no features(x), expected an extractor such as a cnn")
    return Extractor(Path(path).stem, artifacts.file_hash(path), network)


@contextlib.contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """fp32 with all its bits whatever the caller has set; TF32, cuDNN's default, keeps 10 of its 23."""
    former = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
            torch.autocast(device.type, enabled=False),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(former)


def extract(
    extractor: Extractor, stored: np.ndarray, batch_size: int, device: torch.device, where: str = "images"
) -> Features:
    """Features and logits of uint8 images [N, H, W, C], in full fp32 whatever the caller's settings, on `device`.

    `where` names the images in errors. Independent of batch_size up to rounding.
    Raises InputError for images that are not uint8, a wrong number of channels, and non-finite features.
    """
    network = extractor.network
    if stored.dtype != np.uint8 or stored.ndim != 4:
        raise InputError(f"{where}: {stored.dtype} {list(stored.shape)}, expected uint8 images [N, H, W, C]")
    if stored.shape[3] != network.in_channels:
        raise InputError(
            f"{where}: images of {stored.shape[3]} channels, extractor {extractor.name} expects {network.in_channels}"
        )
    network = network.to(device=device, memory_format=torch.channels_last).eval()
    starts = range(0, len(stored), batch_size)
    with torch.inference_mode(), _full_precision(device):
        passes = [
            network.features(images.to_float(stored[start : start + batch_size]).to(device))
            for start in runtime.progress(starts, f"features ({extractor.name})")
        ]
    features, logits = (torch.cat(parts) for parts in zip(*passes, strict=True))
    broken = ~(features.isfinite().all(1) & logits.isfinite().all(1))
    if bool(broken.any()):
        raise InputError(
            f"{where}: extractor {extractor.name} gives NaN or infinity for {int(broken.sum())} of {len(stored)} "
            "images, expected finite features"
        )
    return Features(features, logits)
