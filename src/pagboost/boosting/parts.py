"""A set in two parts: validation, which lengths are chosen on, and test, which is boosted and scored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from pagboost import artifacts, rng
from pagboost.boosting.sets import Opened
from pagboost.errors import InputError
from pagboost.files import npz
from pagboost.metrics.class_labels import EDM

VALIDATION, TEST = "validation", "test"
CHUNK = 256  # images that are read together


def rows_of(count: int, share: float, where: str) -> dict[str, np.ndarray]:
    """{part: its rows, ascending} of a set of `count`: a seeded draw, the same in every run.

    Raises InputError where a part would be empty.
    """
    first = round(share * count)
    if not 0 < first < count:
        raise InputError(f"{where}: {share:g} of {count} images is {first}, expected two parts with images")
    order = torch.randperm(count, generator=rng.generator("validation", count)).numpy()
    return {VALIDATION: np.sort(order[:first]), TEST: np.sort(order[first:])}


def write(opened: Opened, share: float, folder: Path) -> None:
    """Write both parts into a folder as they came: an .npz each, or folders of the same files under the same names.

    Labels go with them, of pictures as dataset.json; the images of an .npz keep their random streams.
    """
    for part, rows in rows_of(len(opened.samples), share, opened.source.where).items():
        if opened.names is None:
            own = opened.samples.with_images(np.empty((len(opened.samples), 0), np.uint8)).subset(rows)
            images = npz.Stream(np.dtype(np.uint8), (len(rows), *opened.samples.images.shape[1:]), _rows(opened, rows))
            artifacts.save_arrays(folder / f"{part}.npz", {**artifacts.arrays_of(own), "arr_0": images})
        else:
            _copy(opened, rows, folder / part)


def place(opened: Opened, folder: Path, part: str) -> Path:
    """Where a part of a set lies."""
    return folder / (f"{part}.npz" if opened.names is None else part)


def _rows(opened: Opened, rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(opened.samples), CHUNK):
        yield opened.samples.images[start : start + CHUNK][rows[(rows >= start) & (rows < start + CHUNK)] - start]


def _copy(opened: Opened, rows: np.ndarray, folder: Path) -> None:
    names = [opened.names[row] for row in rows]
    for name, content in opened.source.listing.read(only=set(names)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if opened.samples.labels is not None:
        pairs = zip(names, opened.samples.labels[rows].tolist(), strict=True)
        artifacts.save_json(folder / EDM, {"labels": [list(pair) for pair in pairs]})
