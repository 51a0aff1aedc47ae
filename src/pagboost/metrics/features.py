"""Feature extractors and the one pass that every metric of a sample set is computed from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn

from pagboost import artifacts, images, runtime
from pagboost.errors import InputError
from pagboost.metrics import public
from pagboost.metrics.image_sets import ImageSet, InMemory, ahead
from pagboost.metrics.public import PUBLIC
from pagboost.networks import given
from pagboost.networks.function import FromFunction, FunctionFeatures
from pagboost.networks.given import EXTRACTOR


@runtime_checkable
class FeatureNetwork(Protocol):
    """What a network offers to be measured with; it resizes images [N, C, H, W] in [0, 1] to input_size itself.

    It may have fixed(device) -> FeatureNetwork: the same function, to rounding, of weights that no longer change.
    """

    in_channels: int
    input_size: int

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(features [N, D], logits [N, K]) of one pass, and spatial features [N, E] where the network has any.

        Features alone of a network that has no logits: then nothing that is of logits can be had.
        """


class Pooled(nn.Module):
    """A ResNet as a feature network: its last stage averaged over places, of images resized to its training size."""

    def __init__(self, network: nn.Module, input_size: int) -> None:
        super().__init__()
        self.network, self.input_size, self.in_channels = network, input_size, network.model.conv1.in_channels

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(features [N, D], logits [N, K]) of x [N, C, H, W] in [0, 1], from one pass."""
        pooled = self.network.feature_maps(images.resize(x, self.input_size))[-1].mean((2, 3))
        return pooled, self.network.model.fc(pooled)


@dataclass(frozen=True)
class Extractor:
    """A feature network and what identifies it in a protocol: the name and sha256 of its weights, how it resizes."""

    name: str
    sha256: str
    network: FeatureNetwork

    @property
    def resize(self) -> str:
        """How the network brings images to its input size: bicubic (antialiased, images.resize) unless it says."""
        return getattr(self.network, "resize", "bicubic")

    @property
    def distance(self) -> str | None:
        """What the Fréchet distance of its features is called where it is another network's than FID: FD-NETWORK."""
        return getattr(self.network, "distance", None)


@dataclass(frozen=True)
class Features:
    """What an extractor sees in N images: features float32 [N, D], logits [N, K], spatial [N, E] where it has any."""

    features: torch.Tensor
    logits: torch.Tensor | None = None
    spatial: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def subset(self, rows: torch.Tensor) -> Features:
        """The given rows, int64."""
        return Features(*(None if part is None else part[rows] for part in (self.features, self.logits, self.spatial)))


def load_extractor(source: str | Path, weights: Mapping[str, str] = public.NONE) -> Extractor:
    """An extractor in eval mode on the CPU: a weights file of this project, or a public network.

    source: a .safetensors file (a classifier, a ResNet's pooled features, a converted public network), a function that
    returns one (networks.given), or one of PUBLIC. weights: {name: PATH or URL} of public ones (public.weights_file).
    Raises InputError for a file that is neither a classifier nor a public network, or has no features.
    """
    if str(source) in PUBLIC:
        path = public.weights_file(str(source), weights)
        return Extractor(str(source), artifacts.file_hash(path), public.network(str(source), path))
    if Path(source).suffix != ".safetensors" and not given.is_function(source):
        raise InputError(f"{source}: no extractor, expected {', '.join(PUBLIC)}, a .safetensors file or a function")
    network, description, name, sha256 = given.load(source, ("classifier", "pretrained", EXTRACTOR), kind=EXTRACTOR)
    size = description.get("dataset", {}).get("size")
    foreign = isinstance(network, FromFunction)
    if foreign and description["kind"] == EXTRACTOR:
        network = FunctionFeatures(network, network.input_size or size).eval()
    elif hasattr(network, "feature_maps") and not foreign:  # where its pooled features are, and their logits, we know
        if size is None:
            raise InputError(f"{source}: does not say the size of its training images, expected dataset.size")
        network = Pooled(network, size).eval()
    if not isinstance(network, FeatureNetwork):
        raise InputError(
            f"{source}: a {type(network).__name__} has no features(x), expected an extractor such as a cnn"
        )
    return Extractor(name, sha256, network)


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


class Seen:
    """What an extractor sees in n images that come batch by batch, in full fp32 whatever the caller's settings.

    Raises InputError for a wrong number of channels, and non-finite features; `where` names the images.
    """

    def __init__(self, extractor: Extractor, n: int, channels: int, device: torch.device, where: str) -> None:
        if channels != extractor.network.in_channels:
            raise InputError(
                f"{where}: images of {channels} channels, extractor {extractor.name} expects "
                f"{extractor.network.in_channels}"
            )
        self.extractor, self.n, self.device, self.where = extractor, n, device, where
        network = extractor.network.to(device=device, memory_format=torch.channels_last).eval()
        self.network = network.fixed(device) if hasattr(network, "fixed") else network
        self.parts: list[torch.Tensor] = []
        self.done = 0

    def add(self, x: torch.Tensor) -> None:
        """The next images, float32 [n, C, H, W] in [0, 1]."""
        with torch.inference_mode(), _full_precision(self.device):
            seen = self.network.features(x.to(self.device))
            self.parts = self.parts or [part.new_empty(self.n, part.shape[1]) for part in seen]
            for part, rows in zip(self.parts, seen, strict=True):
                part[self.done : self.done + len(x)] = rows
        self.done += len(x)

    def features(self) -> Features:
        """Those of all n images."""
        broken = ~torch.stack([_finite(part) for part in self.parts]).all(0)
        if bool(broken.any()):
            raise InputError(
                f"{self.where}: extractor {self.extractor.name} gives NaN or infinity for {int(broken.sum())} of "
                f"{self.n} images, expected finite features"
            )
        return Features(*self.parts)


def extract(
    extractor: Extractor,
    stored: ImageSet | np.ndarray,
    batch_size: int,
    device: torch.device,
    where: str = "images",
) -> Features:
    """Features and logits of images, in full fp32 whatever the caller's settings, on `device`.

    stored: an ImageSet, or uint8 [N, H, W, C], which `where` names in errors. Independent of batch_size up to rounding.
    Images that hold only 0 and 1 are warned of in the log.
    Raises InputError for images that are not uint8, a wrong number of channels, and non-finite features.
    """
    source = InMemory(stored, where) if isinstance(stored, np.ndarray) else stored
    n, seen = len(source), Seen(extractor, len(source), source.shape[2], device, source.where)
    brightest: list[np.uint8] = []  # of each batch

    def prepared() -> Iterator[torch.Tensor]:
        for batch in source.batches(batch_size):
            brightest.append(batch.max())
            yield images.to_float(batch)

    for x in runtime.progress(ahead(prepared()), f"features ({extractor.name})", -(-n // batch_size)):
        seen.add(x)
    artifacts.warn_if_binary(np.array(brightest), source.where)
    return seen.features()


def _finite(part: torch.Tensor) -> torch.Tensor:
    """Which rows [N] of [N, D] are finite, in memory of N."""
    return torch.cat([rows.isfinite().all(1) for rows in part.split(4096)])
