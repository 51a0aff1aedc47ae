"""A reference: real images as an extractor sees them, and the statistics that samples' are compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.metrics import comparison, frechet, kernel
from pagboost.metrics.comparison import USUAL, Also, Points
from pagboost.metrics.features import Extractor, Features
from pagboost.metrics.frechet import Gaussian
from pagboost.metrics.image_sets import members

OWN, OPENAI, GIVEN = "images", "openai", "given"  # whose statistics they are
SAVED = "a reference (made by make_reference.py)"
ROLE = "reference"  # names the draws of KID's subsets
KEYS = ("features", "mu", "sigma")
PAIR_KEYS = ("radii", "kernel_means", "kernel_mean")
SPATIAL_KEYS = ("mu_s", "sigma_s")


@dataclass(frozen=True)
class Facts:
    """What a reference was made of: results measured against references of other facts do not compare.

    image_shape: (H, W, C) of the images before the extractor resized them to input_size, and how; statistics: OWN,
    of the images that the features are of, OPENAI, of the full set that the images of an OpenAI batch are from, or
    GIVEN, of images that nobody has: then image_shape and k are None, and the extractor is what the user stated.
    distance: what the Fréchet distance is called where it is another network's than FID.
    """

    split: str
    extractor: str
    extractor_sha256: str
    input_size: int
    image_shape: tuple[int, ...] | None
    k: int | None
    resize: str = "bicubic"
    statistics: str = OWN
    distance: str | None = None


@dataclass(frozen=True)
class Reference:
    """gaussian: mean and covariance of features; spatial: those of spatial features, where there are.

    points: the features, float32 [N, D], with what precision, recall and KID need of their pairs; None of statistics
    alone.
    """

    points: Points | None
    gaussian: Gaussian
    facts: Facts
    spatial: Gaussian | None = None

    @property
    def features(self) -> torch.Tensor:
        """float32 [N, D]."""
        return self.points.features

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
    also: Also = USUAL,
) -> Reference:
    """The reference of a split's features; raises InputError for fewer than k + 1 images.

    published: (mean and covariance of pool3, of spatial features) of OpenAI's evaluator, in place of the features' own.
    also: what of pairs is asked for besides.
    """
    check_count(len(features), k, split)
    points = pairs_of(features.features, k, also)
    identity = (extractor.name, extractor.sha256, extractor.network.input_size)
    whose = OPENAI if published else OWN
    facts = Facts(split, *identity, tuple(image_shape), k, extractor.resize, whose, extractor.distance)
    if published:
        return Reference(points, published[0], facts, published[1])
    spatial = None if features.spatial is None else frechet.statistics(features.spatial)
    return Reference(points, frechet.statistics(features.features), facts, spatial)


def pairs_of(features: torch.Tensor, k: int, also: Also = USUAL) -> Points:
    """The points of a reference's features [N, D]; KID's subsets are as large as they are for many samples."""
    return comparison.points(features, ROLE, k=k, size=min(kernel.SIZE, len(features)), also=also)


def check_count(n: int, k: int, where: str) -> None:
    """Raise InputError for fewer than k + 1 images."""
    if n <= k:
        raise InputError(f"reference {where}: {n} samples, expected at least {k + 1} (k + 1)")


def save(path: str | Path, reference: Reference) -> None:
    """Write a reference as .npz, its facts as one JSON string; one of statistics alone without any features."""
    points = reference.points
    tensors = {} if points is None else {"features": points.features}
    tensors |= {"mu": reference.gaussian.mu, "sigma": reference.gaussian.sigma}
    if points is not None:
        tensors |= {"radii": points.radii, "kernel_means": points.kernel_means, "kernel_mean": points.kernel_mean}
    if reference.spatial is not None:
        tensors |= dict(zip(SPATIAL_KEYS, (reference.spatial.mu, reference.spatial.sigma), strict=True))
    stated = {key: value for key, value in asdict(reference.facts).items() if (key, value) != ("distance", None)}
    facts = np.array(json.dumps(stated, sort_keys=True))
    artifacts.save_arrays(path, {"facts": facts, **{key: value.cpu().numpy() for key, value in tensors.items()}})


def load(path: str | Path, device: torch.device | str = "cpu") -> Reference:
    """Read what `save` wrote; raises InputError naming the file if it is anything else, or holds NaN or infinity.

    Of a file without what is known of pairs, as earlier versions wrote, that is computed anew.
    """
    facts, found = facts_of(path), set(members(Path(path)))
    spatial = gaussian(path, *SPATIAL_KEYS, device=device) if found.issuperset(SPATIAL_KEYS) else None
    if facts.statistics == GIVEN:
        return Reference(None, gaussian(path, "mu", "sigma", device=device), facts, spatial)
    keys = KEYS + (PAIR_KEYS if found.issuperset(PAIR_KEYS) else ())
    arrays = artifacts.load_arrays(path, keys, SAVED)
    check_finite(path, arrays)
    features, mu, sigma, *of_pairs = (torch.from_numpy(array).to(device) for array in arrays.values())
    if of_pairs:
        radii, means, mean = of_pairs
        drawn = kernel.subsets(len(features), ROLE, len(means), min(kernel.SIZE, len(features))).to(device)
        points = Points(features, radii, drawn, means, mean, None)
    else:
        points = pairs_of(features, facts.k)
    fitted = Gaussian(mu, sigma)
    if facts.statistics == OWN and len(features) <= len(mu):  # whose root is at hand, in place of an eigenproblem
        fitted = frechet.statistics(features)
    return Reference(points, fitted, facts, spatial)


def moved(part: Any, device: torch.device) -> Any:
    """A reference, or a part of one, with all its tensors on a device; the others are shared."""
    if isinstance(part, torch.Tensor):
        return part.to(device)
    if is_dataclass(part):
        return replace(part, **{field.name: moved(getattr(part, field.name), device) for field in fields(part)})
    return {key: moved(value, device) for key, value in part.items()} if isinstance(part, Mapping) else part


def facts_of(path: str | Path) -> Facts:
    """What a saved reference was made of, without its features."""
    written = artifacts.load_arrays(path, ["facts"], SAVED)["facts"]
    with artifacts.readable(Path(path), SAVED):
        facts = json.loads(str(written))
        facts["image_shape"] = facts["image_shape"] and tuple(facts["image_shape"])
        return Facts(**{field.name: facts[field.name] for field in fields(Facts) if field.name in facts})


def gaussian(path: str | Path, *keys: str, device: torch.device | str = "cpu", dims: int | None = None) -> Gaussian:
    """The (mean, covariance) under two keys of an .npz, in float64; raises InputError unless they are of `dims`."""
    arrays = artifacts.load_arrays(path, keys, "statistics")
    mu, sigma = (arrays[key] for key in keys)
    dims = mu.size if dims is None else dims
    if mu.shape != (dims,) or sigma.shape != (dims, dims):
        found = f"{list(mu.shape)} and {list(sigma.shape)}"
        raise InputError(f"{path}: {keys[0]} and {keys[1]} are {found}, expected [{dims}] and [{dims}, {dims}]")
    for key, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise InputError(f"{path}: {key} is {array.dtype}, expected real numbers")
    check_finite(path, arrays)
    return Gaussian(*(torch.from_numpy(np.asarray(array, np.float64)).to(device) for array in (mu, sigma)))


def check_finite(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Raise InputError naming the file and the array that holds NaN or infinity."""
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(f"{path}: {key} holds NaN or infinity, expected finite numbers")
