"""Parts that figures are put together from: images enlarged without interpolation, text, bars; the same every time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL = 80  # about as many pixels per shown image, enlarged by a whole factor, never interpolated: digits of 16 px by 5
GAP = 4
FRAME = 3
LINE = 20
WHITE, RED, GREEN, GREY = (255, 255, 255), (214, 39, 40), (44, 160, 44), (120, 120, 120)

Colour = tuple[int, int, int]


def _font(size: int = 13) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def enlarge(images: np.ndarray, cell: int = CELL) -> np.ndarray:
    """uint8 [..., H, W, C] to RGB [..., fH, fW, 3] by the whole factor f that brings fH nearest to `cell`."""
    factor = max(1, round(cell / images.shape[-3]))
    large = images.repeat(factor, axis=-3).repeat(factor, axis=-2)
    return np.broadcast_to(large, (*large.shape[:-1], 3))


def grid(images: np.ndarray, cell: int = CELL, frames: np.ndarray | None = None) -> Image.Image:
    """uint8 [R, N, H, W, C] as one picture: R rows of N enlarged images, `frames` [R, N, 3] a colour around each."""
    shown = enlarge(images, cell)
    if frames is not None:
        inner, around = shown, ((0, 0), (0, 0), (FRAME, FRAME), (FRAME, FRAME), (0, 0))
        inside = np.pad(np.ones(inner.shape[:4], bool), around[:4])[..., None]
        shown = np.where(inside, np.pad(inner, around), frames[:, :, None, None].astype(np.uint8))
    spaced = np.pad(shown, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    rows, columns, height, width, _ = spaced.shape
    return Image.fromarray(
        np.ascontiguousarray(spaced.transpose(0, 2, 1, 3, 4)).reshape(rows * height, columns * width, 3)
    )


def in_rows(values: np.ndarray, per_row: int) -> np.ndarray:
    """[N, ...] as [R, per_row, ...]; the last row is filled up with 255."""
    missing = -len(values) % per_row
    filled = np.pad(values, ((0, missing), *((0, 0),) * (values.ndim - 1)), constant_values=255)
    return filled.reshape(-1, per_row, *values.shape[1:])


def line(text: str, width: int = 0, size: int = 13) -> Image.Image:
    """One line of text, at least `width` pixels wide."""
    font = _font(size)
    picture = Image.new("RGB", (max(width, int(font.getlength(text)) + 2 * GAP), LINE), WHITE)
    ImageDraw.Draw(picture).text((GAP, GAP), text, "black", font)
    return picture


def beside(parts: Sequence[Image.Image], gap: int = 0) -> Image.Image:
    """Pictures from left to right, their tops aligned."""
    width = sum(part.width for part in parts) + gap * (len(parts) - 1)
    picture = Image.new("RGB", (width, max(part.height for part in parts)), WHITE)
    left = 0
    for part in parts:
        picture.paste(part, (left, 0))
        left += part.width + gap
    return picture


def above(parts: Sequence[Image.Image], gap: int = 0) -> Image.Image:
    """Pictures from top to bottom, their left sides aligned."""
    height = sum(part.height for part in parts) + gap * (len(parts) - 1)
    picture = Image.new("RGB", (max(part.width for part in parts), height), WHITE)
    top = 0
    for part in parts:
        picture.paste(part, (0, top))
        top += part.height + gap
    return picture


def named(name: str, picture: Image.Image, margin: int) -> Image.Image:
    """A row of images with its name to the left, at half its height."""
    label = Image.new("RGB", (margin, picture.height), WHITE)
    label.paste(line(name, margin), (0, max(0, (picture.height - LINE) // 2)))
    return beside([label, picture])


def margin_of(names: Sequence[str]) -> int:
    """The width that the names of rows need."""
    return max(line(name).width for name in names) + GAP


def strip(images: np.ndarray, below: Sequence[Sequence[str]], cell: int = CELL) -> Image.Image:
    """uint8 [N, H, W, C] from left to right, each with its own lines of small text below it."""
    columns = []
    for image, texts in zip(images, below, strict=True):
        picture = grid(image[None, None], cell)
        columns.append(above([picture, *(line(text, size=11) for text in texts)]))
    widest = max(column.width for column in columns)
    return beside([above([column, Image.new("RGB", (widest, 1), WHITE)]) for column in columns])


def bars(
    counts: Sequence[int], colours: Sequence[Colour], width: int, *, tallest: int, height: int = 120
) -> Image.Image:
    """A histogram: a bar per class, its count above it and its number below; a count of `tallest` fills the height."""
    picture = Image.new("RGB", (width, height), WHITE)
    draw, font = ImageDraw.Draw(picture), _font(11)
    room, step = height - 2 * LINE, width / len(counts)
    for number, (count, colour) in enumerate(zip(counts, colours, strict=True)):
        left, right = round(number * step) + 2, round((number + 1) * step) - 2
        top = height - LINE - round(room * count / tallest)
        draw.rectangle((left, top, right, height - LINE), colour)
        for text, y in ((str(count), top - 15), (str(number), height - LINE + 3)):
            draw.text(((left + right - font.getlength(text)) / 2, y), text, "black", font)
    return picture
