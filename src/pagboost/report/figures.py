"""Before and after: the first samples of each class, their boosted selves, and what changed; never picked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.report.cells import RAW, name_of, reason, samples_file
from pagboost.report.measured import chosen_steps

CELL = 64  # at least this many pixels per shown image: 16 px digits are enlarged by whole factors, never interpolated
GAP = 4
MARGIN = 84  # left of the rows, for their names
LINE = 20
ROWS = ("before", "after", "|difference|")


def first_of_each_class(labels: np.ndarray, classes: int, count: int, first: int = 0) -> np.ndarray:
    """Positions [classes * count], class by class, of `count` samples of each class from its number `first` on.

    Raises InputError if a class has too few samples: a figure never fills up with others.
    """
    rows = []
    for number in range(classes):
        own = np.flatnonzero(labels == number)[first : first + count]
        if len(own) < count:
            raise InputError(f"class {number} has fewer than {first + count} samples, expected as many for a figure")
        rows.append(own)
    return np.concatenate(rows)


def triple(before: SampleSet, after: SampleSet, where: str) -> np.ndarray:
    """uint8 [3, N, H, W, C]: images before, after, and their absolute difference on the same scale.

    Raises InputError unless both hold the same samples (labels and streams) in the same order.
    """
    same = before.images.shape == after.images.shape and all(
        np.array_equal(a, b)
        for a, b in zip((before.labels, *before.streams()), (after.labels, *after.streams()), strict=True)
    )
    if not same:
        raise InputError(f"{where}: holds other samples than the set it was boosted from, expected the same in order")
    difference = np.abs(after.images.astype(np.int16) - before.images.astype(np.int16)).astype(np.uint8)
    return np.stack([before.images, after.images, difference])


def grid(images: np.ndarray) -> np.ndarray:
    """uint8 [R, N, H, W, C] to one RGB picture [.., .., 3]: R rows of N images, enlarged by nearest neighbour."""
    factor = max(1, -(-CELL // images.shape[2]))
    large = images.repeat(factor, axis=2).repeat(factor, axis=3)
    large = np.broadcast_to(large, (*large.shape[:4], 3))
    framed = np.pad(large, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    rows, columns, height, width, _ = framed.shape
    return framed.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)


def figure(
    paper: Mapping[str, Any], name: str, results: str | Path, unavailable: Mapping[str, str]
) -> tuple[Image.Image, str]:
    """(picture, caption) of a figure of a paper: one block of three rows per panel, columns ordered by class.

    A panel the scale cannot have is a line with its reason. The caption names generator, boost and steps. Raises
    InputError for missing samples or steps and for a pair that is not the same samples.
    """
    if name not in paper["figures"]:
        raise InputError(f"figures: no figure {name} in {paper['key']}, expected one of: {', '.join(paper['figures'])}")
    spec = paper["figures"][name]
    blocks, titles = [], []
    for panel in spec["panels"]:
        generator, boost = panel["generator"], panel["boost"]
        title = name_of(paper["names"], generator, boost)
        why = reason(generator, boost, unavailable)
        if why is None:
            blocks.append(_block(spec, results, generator, boost))
            steps, alpha = chosen_steps(results, generator, boost)
            titles.append(f"{title}, {steps} steps of {alpha:g}")
        else:
            blocks.append(None)
            titles.append(f"{title}: not available, {why}")
    skipped = spec.get("first", 0)
    caption = (
        f"{spec['title']} ({spec['place']}). {'; '.join(titles)}. Rows: {', '.join(ROWS)}. Columns: the first samples "
        f"{f'after number {skipped} ' if skipped else ''}of each of {spec['classes']} classes, not selected, enlarged "
        "without interpolation."
    )
    return _draw(blocks, titles), " ".join(filter(None, (caption, spec.get("note", "").strip())))


def _block(spec: Mapping[str, Any], results: str | Path, generator: str, boost: str) -> np.ndarray:
    """One panel's picture, from the two sample files it compares."""
    source, path = (samples_file(results, generator, name) for name in (RAW, boost))
    before, after = artifacts.load_samples(source), artifacts.load_samples(path)
    if before.labels is None:
        raise InputError(f"{source}: has no arr_1, expected labels to order a figure by")
    shown = first_of_each_class(before.labels, spec["classes"], spec["images_per_class"], spec.get("first", 0))
    return grid(triple(before, after, str(path))[:, shown])


def _draw(blocks: list[np.ndarray | None], titles: list[str]) -> Image.Image:
    font = ImageFont.load_default(13)
    width = max(
        *(MARGIN + block.shape[1] for block in blocks if block is not None),
        *(int(font.getlength(title)) + 2 * GAP for title in titles),
    )
    height = sum(LINE + GAP + (0 if block is None else block.shape[0] + LINE) for block in blocks)
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    top = 0
    for block, title in zip(blocks, titles, strict=True):
        draw.text((GAP, top + GAP), title, "black", font)
        top += LINE + GAP
        if block is not None:
            picture.paste(Image.fromarray(block), (MARGIN, top))
            row_height = block.shape[0] // len(ROWS)
            for row, text in enumerate(ROWS):
                draw.text((GAP, top + row * row_height + (row_height - LINE) // 2), text, "black", font)
            top += block.shape[0] + LINE
    return picture


def save(picture: Image.Image, caption: str, path: str | Path) -> None:
    """Write a PNG that carries its caption (text chunk Description) and nothing else: equal pictures, equal bytes."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Description", caption)
    with artifacts.atomic(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=text)


def load_caption(path: str | Path) -> str:
    """The caption a figure carries. Raises InputError naming a missing file or one that save did not write."""
    path = Path(path)
    with artifacts.readable(path, "a figure (.png)"), Image.open(path) as picture:
        picture.load()
        if "Description" not in picture.info:
            raise InputError(f"{path}: carries no caption, expected a figure written by make_figure.py")
        return picture.info["Description"]
