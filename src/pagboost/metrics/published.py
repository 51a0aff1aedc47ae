"""Statistics that others computed: of an OpenAI batch's full set, and files that hold mu and sigma alone.

pytorch-fid's --save-stats, EDM's fid-refs and clean-fid's statistics are such files. None says which network and
which resize it was made with: whoever evaluates states it, and the protocol tells that it was stated so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from pagboost.errors import InputError
from pagboost.metrics import reference
from pagboost.metrics.features import Extractor, Features
from pagboost.metrics.frechet import Gaussian
from pagboost.metrics.image_sets import members
from pagboost.metrics.public import PUBLIC
from pagboost.metrics.reference import GIVEN, SPATIAL_KEYS, Facts, Reference

DIMS, SPATIAL_DIMS = 2048, 2023  # pool3's and mixed_6/conv's
ASYMMETRY = 1e-4  # of the largest variance: float32's rounding stays far below it
STATED = (
    "--extractor that they were made with: inception (pytorch-fid's), openai (EDM's fid-refs), clean (clean-fid's), "
    "dinov2 (dgm-eval's), edm2 or a .safetensors file"
)


def openai_statistics(source: str, extractor: Extractor, device: torch.device) -> tuple[Gaussian, Gaussian]:
    """(pool3's, spatial features') Gaussian of an OpenAI batch: of its full set, by OpenAI's evaluator."""
    if extractor.resize != "tensorflow":
        raise InputError(
            f"{source}: statistics of OpenAI's evaluator, extractor {extractor.name} resizes as {extractor.resize}, "
            "expected --extractor openai (TensorFlow's resize)"
        )
    pool3 = reference.gaussian(source, "mu", "sigma", device=device, dims=DIMS)
    return pool3, reference.gaussian(source, *SPATIAL_KEYS, device=device, dims=SPATIAL_DIMS)


def statistics_alone(source: str, extractor: Extractor, device: torch.device, split: str) -> Reference:
    """The reference of a file of mu [D] and sigma [D, D] (mu_s, sigma_s too, if it has them), without any points.

    Raises InputError for statistics that are not of the extractor's features, and for a sigma that is no covariance.
    """
    public = extractor.name in PUBLIC and PUBLIC[extractor.name].weights == "inception"
    pool = reference.gaussian(source, "mu", "sigma", device=device, dims=DIMS if public else None)
    check_covariance(pool, source, "sigma")
    spatial = None
    if {*SPATIAL_KEYS} <= set(members(Path(source))):
        spatial = reference.gaussian(source, *SPATIAL_KEYS, device=device, dims=SPATIAL_DIMS if public else None)
        check_covariance(spatial, source, SPATIAL_KEYS[1])
    identity = (extractor.name, extractor.sha256, extractor.network.input_size)
    facts = Facts(split, *identity, None, None, extractor.resize, GIVEN, extractor.distance)
    return Reference(None, pool, facts, spatial)


def check_covariance(gaussian: Gaussian, source: str, key: str) -> None:
    """Raise InputError for a sigma that is not symmetric, or has a negative variance in any direction."""
    sigma = gaussian.sigma
    scale = sigma.abs().amax()
    if bool((sigma - sigma.T).abs().amax() > ASYMMETRY * scale):
        raise InputError(f"{source}: {key} is not symmetric, expected a covariance")
    if bool((sigma.diagonal() < 0).any()):
        raise InputError(f"{source}: {key} has a variance of {float(sigma.diagonal().amin()):.3g}, expected 0 or more")
    missing = gaussian.root.square().sum() - sigma.trace()  # of eigenvalues below 0, which a root leaves out
    if bool(missing > ASYMMETRY * sigma.trace()):
        raise InputError(f"{source}: {key} has eigenvalues below 0, expected a covariance")


def check_dims(against: Reference, features: torch.Tensor, extractor: Extractor, label: str) -> None:
    """Raise InputError unless features [N, D] are of as many numbers as a reference's statistics."""
    known, seen = len(against.gaussian.mu), features.shape[1]
    if known != seen:
        raise InputError(
            f"reference {label}: statistics of {known} features, extractor {extractor.name} gives {seen}, expected the "
            f"{STATED}"
        )


def not_available(against: Reference, seen: Features, also: Sequence[str] = ()) -> dict[str, str]:
    """{metric: why it cannot be had}; empty for a reference of images and an extractor with logits.

    seen: of the samples, who may have sFID's features; also: metrics of pairs that are asked for besides.
    A metric that needs what statistics alone do not hold is named, never left out without a word.
    """
    missing = {}
    if seen.logits is None:
        reason = "needs logits, the extractor gives features alone"
        missing |= dict.fromkeys(("inception_score", "inception_score_std"), reason)
    if against.points is not None:
        return missing
    reason = "needs the reference's images or features, the file holds statistics (mu, sigma) alone"
    missing |= dict.fromkeys(("precision", "recall", "kid", "kid_std", *also), reason)
    if seen.spatial is not None and against.spatial is None:
        missing["sfid"] = "needs statistics of spatial features (mu_s, sigma_s), the file holds none"
    return missing
