"""A reference: real images as an extractor sees them, with all that metrics need computed once and stored."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch

from pagboost import artifacts
from pagboost.metrics import frechet, precision_recall
from pagboost.metrics.features import Extractor, Features
from pagboost.metrics.frechet import Gaussian


@dataclass(frozen=True)
class Facts:
    """What a reference was made of: results measured against references of other facts do not compare.

    image_shape: (H, W, C) of the images before the extractor resized them to input_size.
    """

    split: str
    extractor: str
    extractor_sha256: str
    input_size: int
    image_shape: tuple[int, ...]
    k: int


@dataclass(frozen=True)
class Reference:
    """features: float32 [N, D]; gaussian: their mean and covariance; radii: float64 [N], to the k-th neighbour."""

    features: torch.Tensor
    gaussian: Gaussian
    radii: torch.Tensor
    facts: Facts

    def __len__(self) -> int:
        return len(self.features)


def make(features: Features, extractor: Extractor, *, split: str, image_shape: tuple[int, ...], k: int) -> Reference:
    """The reference of a split's features; raises InputError for fewer than k + 1 images."""
    return Reference(
        features=features.features,
        radii=precision_recall.radii(features.features, k),
        gaussian=frechet.statistics(features.features),
        facts=Facts(split, extractor.name, extractor.sha256, extractor.network.input_size, tuple(image_shape), k),
    )


def save(path: str | Path, reference: Reference) -> None:
    """Write a reference as .npz, its facts as one JSON string."""
    tensors = {
        "features": reference.features,
        "mu": reference.gaussian.mu,
        "sigma": reference.gaussian.sigma,
        "radii": reference.radii,
    }
    facts = np.array(json.dumps(asdict(reference.facts), sort_keys=True))
    artifacts.save_arrays(path, {"facts": facts, **{key: value.cpu().numpy() for key, value in tensors.items()}})


def load(path: str | Path, device: torch.device | str = "cpu") -> Reference:
    """Read what `save` wrote; raises InputError naming the file if it is anything else."""
    what = "a reference (made by make_reference.py)"
    arrays = artifacts.load_arrays(path, ("features", "mu", "sigma", "radii", "facts"), what)
    with artifacts.readable(Path(path), what):
        written = json.loads(str(arrays.pop("facts")))
        written["image_shape"] = tuple(written["image_shape"])
        facts = Facts(**{field.name: written[field.name] for field in fields(Facts)})
    tensors = {key: torch.from_numpy(array).to(device) for key, array in arrays.items()}
    return Reference(
        features=tensors["features"],
        gaussian=Gaussian(tensors["mu"], tensors["sigma"]),
        radii=tensors["radii"],
        facts=facts,
    )
