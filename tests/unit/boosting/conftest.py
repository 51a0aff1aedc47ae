"""A guide, and pictures on a disk that it can boost: small, in class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pagboost import networks
from pagboost.boosting.guide import Guide
from pagboost.sources import pictures

PLACES = ("cat/0", "cat/more/1", "dog/2", "dog/3", "owl/10", "owl/4", "owl/9")  # in the order of names


@pytest.fixture
def guide(classifier: torch.nn.Module) -> Guide:
    """The tiny classifier as a guide of 8x8 grey images into three classes."""
    return Guide(classifier, num_classes=3, channels=1, size=8, l0=1.0)


@pytest.fixture
def weights(classifier: torch.nn.Module, cnn_spec: dict, tmp_path: Path) -> Path:
    """The same as a file."""
    dataset = {"num_classes": 3, "channels": 1, "size": 8}
    networks.save(tmp_path / "guide.safetensors", classifier, cnn_spec, {"kind": "classifier", "dataset": dataset})
    return tmp_path / "guide.safetensors"


@pytest.fixture
def pixels() -> np.ndarray:
    """Seven grey images, uint8 [7, 8, 8, 1]."""
    return np.random.default_rng(1).integers(0, 256, (7, 8, 8, 1), np.uint8)


@pytest.fixture
def folder(pixels: np.ndarray, tmp_path: Path) -> Path:
    """They as PNGs (one of them a BMP) in the class folders cat, dog and owl."""
    for place, image in zip(PLACES, pixels, strict=True):
        path = tmp_path / "pictures" / f"{place}.{'bmp' if place == 'dog/2' else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures.image_of(image).save(path)
    return tmp_path / "pictures"
