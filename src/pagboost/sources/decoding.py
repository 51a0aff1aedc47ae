"""Encoded pictures to squares of pixels: in as many processes as a job has threads, of which none holds many."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pagboost import said
from pagboost.errors import InputError
from pagboost.machine import parents
from pagboost.sources import pictures

if TYPE_CHECKING:
    from PIL.Image import Image

GROUP = 16  # pictures that a process is given at a time; about two groups for each wait in memory
ENOUGH = 64  # pictures for each process: fewer are decoded sooner than another Python has started

File = tuple[str, bytes]  # name, encoded picture


@dataclass(frozen=True)
class Square:
    """What pictures become: uint8 [size, size, channels]; `of` names the set in messages.

    crop: pictures of any size are fitted as in `centre_square`, not turned by EXIF, CMYK converted; unless so, all are
    size x size already, and are turned upright.
    """

    size: int
    channels: int
    crop: bool
    of: str


def decoded(content: bytes, name: str, square: Square) -> np.ndarray:
    """One encoded picture; InputError names it where it is none, or of another size."""
    where, size = f"{square.of}: {name}", square.size
    pixels = pictures.decode(content, where, of=square.of, cmyk=square.crop, upright=not square.crop)
    height, width, _ = pixels.shape
    if not square.crop and (height, width) != (size, size):
        raise InputError(f"{where}: {width}x{height} pixels, expected {size}x{size} (or crop: true, for any size)")
    image = pictures.image_of(pixels).convert("L" if square.channels == 1 else "RGB")
    fitted = centre_square(image, size) if square.crop else image
    return np.asarray(fitted).reshape(size, size, square.channels)


def centre_square(image: Image, size: int) -> Image:
    """A Pillow image's middle, size x size: ADM's preprocessing (Dhariwal and Nichol 2021), in 8 bits throughout.

    Halved by averaging 2x2 pixels while its short side is at least twice `size`, then bicubic to `size` on the short
    side, then cropped; odd rows and columns are halved as Pillow's box filter does.
    """
    from PIL.Image import Resampling

    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def all_decoded(files: Iterable[File], count: int, square: Square, workers: int) -> Iterator[tuple[str, np.ndarray]]:
    """(name, pixels) of about `count` files in their order, by at most `workers` processes; the same for any number.

    Raises InputError for the first file, in that order, that cannot be decoded, and where a process was ended.
    """
    workers = min(workers, count // ENOUGH)
    if workers < 2:
        yield from ((name, decoded(content, name, square)) for name, content in files)
        return
    rest = iter(files)
    groups = iter(lambda: list(itertools.islice(rest, GROUP)), [])
    # no fork: torch's threads may hold locks at that moment
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (os.getpid(), parents.started(os.getpid()))) as pool:
        waiting: deque[tuple[list[str], Future]] = deque()
        try:
            for group in groups:
                waiting.append(([name for name, _ in group], pool.submit(_group, group, square)))
                if len(waiting) >= 2 * workers:
                    yield from _result(*waiting.popleft())
            while waiting:
                yield from _result(*waiting.popleft())
        except BrokenProcessPool as error:
            raise InputError(
                f"{square.of}: a process that decodes its pictures was ended, expected it to go on (memory?)"
            ) from error
        finally:
            for _, future in waiting:
                future.cancel()


def _begin(pid: int, started: str | None) -> None:
    """A process ends with the one that started it, and leaves it to that one to be interrupted."""
    os.environ[parents.VARIABLE] = f"{pid}/{started}"
    parents.watch()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _group(files: list[File], square: Square) -> tuple[np.ndarray, list[said.Line]]:
    """In a process of its own: the pixels of a group [n, S, S, C], and what is to be said of them."""
    with said.kept() as lines:
        return np.stack([decoded(content, name, square) for name, content in files]), lines


def _result(names: list[str], future: Future) -> Iterator[tuple[str, np.ndarray]]:
    pixels, lines = future.result()
    for name, level, message, about in lines:
        said.once(logging.getLogger(name), level, message, about=about)
    yield from zip(names, pixels, strict=True)
