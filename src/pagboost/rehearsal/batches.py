"""Made-up batches of images in OpenAI's formats: samples, labelled or not, and references with statistics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pagboost import artifacts, rng
from pagboost.metrics.published import DIMS, SPATIAL_DIMS
from pagboost.rehearsal.pictures import noise

REFERENCE = 16  # images of a reference


def channels_of(dataset: Mapping[str, Any]) -> int:
    """Of a data set's images."""
    return 1 if dataset["source"] == "sklearn_digits" else dataset["options"].get("channels", 3)


def write_samples(path: Path, dataset: Mapping[str, Any], count: int, labelled: bool) -> None:
    """arr_0 uint8 [N, S, S, C], and arr_1 int64 [N] where there are labels."""
    images = noise(count, dataset["size"], dataset["size"], channels_of(dataset), path.name)
    arrays = {"arr_0": images}
    if labelled:
        arrays["arr_1"] = np.arange(count) % dataset["num_classes"]
    _save(path, arrays)


def write_reference(path: Path, dataset: Mapping[str, Any], openai: bool) -> None:
    """Images; OpenAI's has the statistics of a full set, of Inception's pool3 and spatial features, beside them."""
    arrays = {"arr_0": noise(REFERENCE, dataset["size"], dataset["size"], channels_of(dataset), path.name)}
    if openai:
        for end, dims in (("", DIMS), ("_s", SPATIAL_DIMS)):
            draws = np.random.Generator(np.random.PCG64(rng.derive("rehearsal", dims)))
            spread = draws.standard_normal((dims, 64)) / 8
            arrays |= {f"mu{end}": draws.random(dims), f"sigma{end}": spread @ spread.T + np.eye(dims)}
    _save(path, arrays)


def _save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with artifacts.atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
