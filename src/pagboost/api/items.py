"""Images that come one by one: a torch Dataset, or a list of pictures such as a diffusers pipeline returns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from pagboost.api import arrays
from pagboost.errors import InputError
from pagboost.metrics import class_labels
from pagboost.metrics.class_labels import Labels

MODES = ("L", "RGB")


class Items:
    """An ImageSet of what has a length and gives an item for each number: an image, or (image, label, …).

    An image is a Pillow picture (L or RGB), uint8 [H, W, C] or [H, W], or floats [C, H, W] in [0, 1]; all are of one
    shape. Items are read in order, one at a time, in memory of a batch. Raises InputError naming the item otherwise.
    """

    def __init__(self, items: Sequence[Any] | torch.utils.data.Dataset, where: str) -> None:
        numbered = hasattr(items, "__len__") and hasattr(items, "__getitem__")
        if not numbered or isinstance(items, Mapping):
            raise InputError(f"{where}: {type(items).__name__} has no length or no items by number, {EXPECTED}")
        if not len(items):
            raise InputError(f"{where}: is empty, expected images")
        self.items, self.where = items, where
        self.shape: tuple[int, ...] = ()
        self.shape = self._image(0).shape
        self.seeds = np.zeros(len(items), np.int64)

    def __len__(self) -> int:
        return len(self.items)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        for start in range(0, len(self), size):
            yield np.stack([self._image(i) for i in range(start, min(start + size, len(self)))])

    def labels(self, key: str | None = None) -> Labels | None:
        """The second of each item, all of them integers; None where the first item is an image alone."""
        if not _has_label(self.items[0]):
            return None
        return class_labels.checked([self._label(i) for i in range(len(self))], (), self.where)

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for batch in self.batches(1):
            digest.update(batch.tobytes())
        return digest.hexdigest()

    def _image(self, i: int) -> np.ndarray:
        item, where = self.items[i], f"{self.where}: item {i}"
        image = item[0] if isinstance(item, (tuple, list)) and len(item) else item
        if isinstance(image, Image.Image):
            if image.mode not in MODES:
                raise InputError(f"{where}: a picture of mode {image.mode}, expected {' or '.join(MODES)} (convert it)")
            image = np.asarray(image)
        if not arrays.is_array(image):
            raise InputError(f"{where}: {type(image).__name__}, {EXPECTED}")
        if image.ndim == 2 and str(image.dtype).endswith("uint8"):
            image = image[..., None]
        pixels = arrays.stored(image[None], where)[0]
        if self.shape and pixels.shape != self.shape:
            raise InputError(f"{where}: [H, W, C] is {list(pixels.shape)}, expected {list(self.shape)} as the first")
        return pixels

    def _label(self, i: int) -> int:
        item = self.items[i]
        label = item[1] if _has_label(item) else None
        try:
            return int(label.item() if arrays.is_array(label) else label.__index__())
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            said = " ".join(repr(label).split())[:40]  # a tensor's has several lines
            raise InputError(f"{self.where}: item {i}: label {said}, expected an integer") from error


def _has_label(item: Any) -> bool:
    return isinstance(item, (tuple, list)) and len(item) > 1


EXPECTED = (
    "expected a path, a tensor or array of images, a SampleSet, or a Dataset or list of pictures, arrays or "
    "(image, label)"
)
