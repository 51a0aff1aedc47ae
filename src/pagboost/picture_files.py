"""Single pictures in files: read from a PNG, a JPG or a sample file, written as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pagboost import artifacts
from pagboost.errors import InputError

MODES = {"L": "L", "1": "L", "RGB": "RGB", "P": "RGB"}


def load(text: str) -> np.ndarray:
    """uint8 [H, W, C], C = 1 or 3, of a picture file (grey or RGB), or of `file.npz:index` (a sample file's image).

    Raises InputError naming the file for one that is missing, no picture or of another colour mode, and for an index
    out of range.
    """
    file, _, index = text.rpartition(":")
    if file.endswith(".npz"):
        samples = artifacts.load_samples(file)
        if not (index.isdecimal() and int(index) < len(samples)):
            raise InputError(f"{text}: index {index}, expected 0..{len(samples) - 1} (the file's images)")
        return samples.images[int(index)]
    with artifacts.readable(Path(text), "a picture (PNG, JPG or FILE.npz:INDEX)"), Image.open(text) as picture:
        if picture.mode not in MODES:
            raise InputError(f"{text}: colour mode {picture.mode}, expected a grey or RGB picture")
        pixels = np.array(picture.convert(MODES[picture.mode]))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with artifacts.atomic(path) as temporary:
        picture.save(temporary, format="PNG")
