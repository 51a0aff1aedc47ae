"""A reference: real images as an extractor sees them, and the statistics that samples' are compared with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.metrics import frechet
from pagboost.metrics.features import Extractor, Features
from pagboost.metrics.frechet import Gaussian
from pagboost.metrics.image_sets import members

OWN, OPENAI = "images", "openai"  # whose statistics they are
SAVED = "a reference (made by make_reference.py)"
KEYS = ("features", "mu", "sigma")
SPATIAL_KEYS = ("mu_s", "sigma_s")


@dataclass(frozen=True)
class Facts:
    """What a reference was made of: results measured against references of other facts do not compare.

    image_shape: (H, W, C) of the images before the extractor resized them to input_size, and how; statistics: OWN,
    of the images that the features are of, or OPENAI, of the full set that the images of an OpenAI batch are from.
    """

    split: str
    extractor: str
    extractor_sha256: str
    input_size: int
    image_shape: tuple[int, ...]
    k: int
    resize: str = "bicubic"
    statistics: str = OWN


@dataclass(frozen=True)
class Reference:
    """features: float32 [N, D]; gaussian: mean and covariance; spatial: those of spatial features, where there are."""

    features: torch.Tensor
    gaussian: Gaussian
    facts: Facts
    spatial: Gaussian | None = None

    def __len__(self) -> int:
        return len(self.features)


def make(
    features: Features,
    extractor: Extractor,
    *,
    split: str,
    image_shape: tuple[int, ...],
    k: int,
    published: tuple[Gaussian, Gaussian] | None = None,
) -> Reference:
    """The reference of a split's features; raises InputError for fewer than k + 1 images.

    published: (mean and covariance of pool3, of spatial features) of OpenAI's evaluator, in place of the features' own.
    """
    check_count(len(features), k, split)
    identity = (extractor.name, extractor.sha256, extractor.network.input_size)
    facts = Facts(split, *identity, tuple(image_shape), k, extractor.resize, OPENAI if published else OWN)
    if published:
        return Reference(features.features, published[0], facts, published[1])
    spatial = None if features.spatial is None else frechet.statistics(features.spatial)
    return Reference(features.features, frechet.statistics(features.features), facts, spatial)


def check_count(n: int, k: int, where: str) -> None:
    """Raise InputError for fewer than k + 1 images."""
    if n <= k:
        raise InputError(f"reference {where}: {n} samples, expected at least {k + 1} (k + 1)")


def save(path: str | Path, reference: Reference) -> None:
    """Write a reference as .npz, its facts as one JSON string."""
    tensors = {"features": reference.features, "mu": reference.gaussian.mu, "sigma": reference.gaussian.sigma}
    if reference.spatial is not None:
        tensors |= dict(zip(SPATIAL_KEYS, (reference.spatial.mu, reference.spatial.sigma), strict=True))
    facts = np.array(json.dumps(asdict(reference.facts), sort_keys=True))
    artifacts.save_arrays(path, {"facts": facts, **{key: value.cpu().numpy() for key, value in tensors.items()}})


def load(path: str | Path, device: torch.device | str = "cpu") -> Reference:
    """Read what `save` wrote; raises InputError naming the file if it is anything else, or holds NaN or infinity."""
    arrays, facts = artifacts.load_arrays(path, KEYS, SAVED), facts_of(path)
    check_finite(path, arrays)
    features, mu, sigma = (torch.from_numpy(arrays[key]).to(device) for key in KEYS)
    has_spatial = set(SPATIAL_KEYS) <= set(members(Path(path)))
    spatial = gaussian(path, *SPATIAL_KEYS, device=device) if has_spatial else None
    return Reference(features, Gaussian(mu, sigma), facts, spatial)


def facts_of(path: str | Path) -> Facts:
    """What a saved reference was made of, without its features."""
    written = artifacts.load_arrays(path, ["facts"], SAVED)["facts"]
    with artifacts.readable(Path(path), SAVED):
        facts = json.loads(str(written))
        facts["image_shape"] = tuple(facts["image_shape"])
        return Facts(**{field.name: facts[field.name] for field in fields(Facts) if field.name in facts})


def gaussian(path: str | Path, *keys: str, device: torch.device | str = "cpu", dims: int | None = None) -> Gaussian:
    """The (mean, covariance) under two keys of an .npz, in float64; raises InputError unless they are of `dims`."""
    arrays = artifacts.load_arrays(path, keys, "statistics")
    mu, sigma = (arrays[key] for key in keys)
    dims = mu.size if dims is None else dims
    if mu.shape != (dims,) or sigma.shape != (dims, dims):
        found = f"{list(mu.shape)} and {list(sigma.shape)}"
        raise InputError(f"{path}: {keys[0]} and {keys[1]} are {found}, expected [{dims}] and [{dims}, {dims}]")
    check_finite(path, arrays)
    return Gaussian(*(torch.from_numpy(np.asarray(array, np.float64)).to(device) for array in (mu, sigma)))


def check_finite(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Raise InputError naming the file and the array that holds NaN or infinity."""
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(f"{path}: {key} holds NaN or infinity, expected finite numbers")
