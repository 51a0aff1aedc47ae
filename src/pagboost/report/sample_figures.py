"""Generated images and their boosted selves: the first samples of each class, never picked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.report import choices, pictures
from pagboost.report.cells import RAW, boosts_of, name_of, reason, samples_file

ROWS = ("before", "after", "|difference|")
BLOCK_CELL = 48  # blocks hold many images: two of ten digits beside each other are as wide as a page
APART = 16  # between blocks

Spec = Mapping[str, Any]  # a figure of a paper
Names = Mapping[str, Mapping[str, str]]
EMPTY = -1  # the position of a sample that a class does not have


def first_of_each_class(labels: np.ndarray, classes: Sequence[int], count: int, first: int = 0) -> np.ndarray:
    """Positions [classes * count], class by class, of `count` samples of each class from its number `first` on.

    A class that has fewer leaves the rest EMPTY: a figure never fills up with others.
    """
    positions = np.full((len(classes), count), EMPTY)
    for row, number in zip(positions, classes, strict=True):
        own = np.flatnonzero(labels == number)[first : first + count]
        row[: len(own)] = own
    return positions.ravel()


def at(images: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, C] at `positions`, white where EMPTY."""
    shown = images[np.maximum(positions, 0)]
    shown[positions == EMPTY] = 255
    return shown


def load_pair(results: str | Path, generator: str, boost: str) -> tuple[SampleSet, SampleSet]:
    """(raw, boosted) samples of one cell. Raises InputError unless both hold the same samples in the same order."""
    source, path = (samples_file(results, generator, name) for name in (RAW, boost))
    before, after = artifacts.load_samples(source), artifacts.load_samples(path)
    same = before.images.shape == after.images.shape and before.same_streams(after)
    if not same or (before.labels is not None and not np.array_equal(before.labels, after.labels)):
        raise InputError(f"{path}: holds other samples than the set it was boosted from, expected the same in order")
    if after.labels is None:
        raise InputError(f"{path}: has no arr_1, expected the labels it was boosted towards to order a figure by")
    return before, after


def before_after(
    spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]
) -> tuple[Image.Image, str]:
    """One block of three rows per panel, before, after and what changed; columns ordered by class.

    An unlabelled generator's samples are ordered by the classes they were boosted towards.
    """
    margin = pictures.margin_of(ROWS)
    parts, titles = [], []
    for panel in spec["panels"]:
        generator, boost = panel["generator"], panel["boost"]
        title, available = _title(names, results, unavailable, generator, boost)
        titles.append(title)
        parts.append(pictures.line(title))
        if available:
            before, after = load_pair(results, generator, boost)
            shown = first_of_each_class(after.labels, classes_of(spec), spec["images_per_class"], spec.get("first", 0))
            pair = at(before.images, shown), at(after.images, shown)
            rows = (*pair, np.abs(pair[1].astype(np.int16) - pair[0]).astype(np.uint8))
            drawn = [
                pictures.named(name, pictures.grid(row[None]), margin) for name, row in zip(ROWS, rows, strict=True)
            ]
            parts.append(pictures.above(drawn))
    caption = f"{'; '.join(titles)}. Rows: {', '.join(ROWS)}. Columns: {selection(spec)}"
    return pictures.above(parts, pictures.GAP), caption


def blocks(spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]) -> tuple[Image.Image, str]:
    """Per panel a block of generated images and, beside it, the same images under each of the panel's boosts.

    A row of a block is a class; with `per_row`, each class has blocks of its own, with so many images in a row.
    """
    per_row = spec.get("per_row", spec["images_per_class"])
    groups = [[number] for number in classes_of(spec)] if "per_row" in spec else [classes_of(spec)]
    parts, titles = [], []
    for panel in spec["panels"]:
        generator, order, sets = panel["generator"], None, []
        for boost in boosts_of(panel):
            title, available = _title(names, results, unavailable, generator, boost)
            titles.append(title)
            if not available:
                parts.append(pictures.line(title))
                continue
            before, after = load_pair(results, generator, boost)
            if order is None:
                order = after.labels
                sets.append(("generated", before.images))
            sets.append((names["boosts"][boost], after.images))
        for group in groups if sets else []:
            shown = first_of_each_class(order, group, spec["images_per_class"], spec.get("first", 0))
            columns = [_block(name, at(images, shown), per_row) for name, images in sets]
            head = name_of(names, generator, RAW) + (f", class {group[0]}" if "per_row" in spec else "")
            parts += [pictures.line(head), pictures.beside(columns, APART)]
    together = "Blocks: generated, then boosted, image by image in the same places"
    return pictures.above(parts, pictures.GAP), f"{'; '.join(titles)}. {together}: {selection(spec)}"


def _block(name: str, images: np.ndarray, per_row: int) -> Image.Image:
    return pictures.above([pictures.line(name), pictures.grid(pictures.in_rows(images, per_row), BLOCK_CELL)])


def _title(
    names: Names, results: str | Path, unavailable: Mapping[str, str], generator: str, boost: str
) -> tuple[str, bool]:
    """What a panel shows and the settings it was boosted with, or why there is none; and whether there is one."""
    title = name_of(names, generator, boost)
    why = reason(generator, boost, unavailable)
    if why is not None:
        return f"{title}: not available, {why}", False
    return f"{title}, {choices.load(results, generator, boost).settings()}", True


def classes_of(spec: Spec) -> list[int]:
    """The classes a figure shows, in order."""
    return list(range(spec["classes"])) if isinstance(spec["classes"], int) else spec["classes"]


def selection(spec: Spec) -> str:
    """Which samples a figure shows, in words."""
    count, skipped, classes = spec["images_per_class"], spec.get("first", 0), spec["classes"]
    which = f"each of {classes} classes" if isinstance(classes, int) else f"classes {', '.join(map(str, classes))}"
    after = f" after number {skipped}" if skipped else ""
    samples = "first sample" if count == 1 else f"first {count} samples"
    return (
        f"the {samples}{after} of {which}, not selected, enlarged without interpolation; a class with fewer samples "
        "leaves places empty."
    )
