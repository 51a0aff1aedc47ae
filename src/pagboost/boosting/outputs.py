"""Where boosted images go, batch by batch: into an .npz, or a folder of PNGs; each whole or not at all.

A batch that an earlier run put there, and that is there to the last bit, is not made again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.files import whole
from pagboost.metrics.class_labels import EDM
from pagboost.sources import pictures

PIXELS, BATCHES, PICTURES = "pixels", "batches", "pictures"
ENCODERS = 8  # threads; compressing leaves the interpreter's lock


class Output(Protocol):
    """What takes a set's batches, in any order."""

    def holds(self, rows: slice) -> bool:
        """Whether a batch is there already, whole."""

    def put(self, rows: slice, images: np.ndarray) -> None:
        """Take a batch, uint8 [n, H, W, C]."""

    def finish(self) -> None:
        """Put the whole in its place."""


class Pixels:
    """An .npz to be: its images as one array on the disk; `batches` holds a line for each, with its checksum.

    save: what writes the .npz of the whole array, which is mapped. first: the set's row that is the array's first.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], first: int, save: Callable[[np.ndarray], None]) -> None:
        self.pixels, self.lines = folder / PIXELS, folder / BATCHES
        self.shape, self.first, self.save = shape, first, save
        self.pixels.touch()
        self.sums = _sums(self.lines)

    def holds(self, rows: slice) -> bool:
        stated = self.sums.get(rows.start)
        if stated is None:
            return False
        with open(self.pixels, "rb") as file:
            file.seek(self._place(rows.start))
            return zlib.crc32(file.read(self._place(rows.stop) - self._place(rows.start))) == stated

    def put(self, rows: slice, images: np.ndarray) -> None:
        content = images.tobytes()
        with open(self.pixels, "r+b") as file:
            file.seek(self._place(rows.start))
            file.write(content)
        with open(self.lines, "a") as file:  # once they are there
            file.write(f"{rows.start} {zlib.crc32(content)}\n")

    def finish(self) -> None:
        self.save(np.memmap(self.pixels, np.uint8, "r", shape=self.shape))

    def _place(self, row: int) -> int:
        return (row - self.first) * int(np.prod(self.shape[1:]))


def _sums(lines: Path) -> dict[int, int]:
    """{a batch's first row: its checksum}; a line that was cut short counts for nothing, and is taken away."""
    if not lines.exists():
        return {}
    text = lines.read_text()
    kept = text[: text.rfind("\n") + 1]
    if kept != text:
        lines.write_text(kept)
    return {int(start): int(crc) for start, crc in map(str.split, kept.splitlines())}


class Pictures:
    """A folder of PNGs to be, `names` relative to it, in the set's order.

    labels: int64 [N] of them, for dataset.json, EDM's, which readers take before class folders; None: there is none.
    """

    def __init__(self, folder: Path, names: Sequence[str], out: Path, labels: np.ndarray | None) -> None:
        self.folder, self.names, self.out, self.labels = folder / PICTURES, png_names(names), out, labels
        for parent in {(self.folder / name).parent for name in self.names}:
            parent.mkdir(parents=True, exist_ok=True)

    def holds(self, rows: slice) -> bool:
        with ThreadPoolExecutor(ENCODERS) as pool:
            return all(pool.map(lambda name: pictures.is_whole_png(self.folder / name), self.names[rows]))

    def put(self, rows: slice, images: np.ndarray) -> None:
        with ThreadPoolExecutor(ENCODERS) as pool:
            list(pool.map(self._write, self.names[rows], images))

    def _write(self, name: str, pixels: np.ndarray) -> None:
        pictures.image_of(pixels).save(self.folder / name, format="PNG")

    def finish(self) -> None:
        if self.labels is not None:
            labels = [[name, int(label)] for name, label in zip(self.names, self.labels, strict=True)]
            artifacts.save_json(self.folder / EDM, {"labels": labels})
        whole.move(self.folder, self.out)


def png_names(names: Sequence[str]) -> list[str]:
    """The same names with the suffix .png; InputError where two become one."""
    found: dict[str, str] = {}
    for name in names:
        png = str(PurePosixPath(name).with_suffix(".png"))
        if png in found:
            raise InputError(f"{name}: would be {png}, as {found[png]} is, expected names that differ without suffix")
        found[png] = name
    return list(found)
