"""Sets of images in batches, in memory of a few batches: a sample file, a folder or archive of pictures, an array."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Protocol, TypeVar

import numpy as np

from pagboost import artifacts, said
from pagboost.errors import InputError, listed
from pagboost.files import npz
from pagboost.metrics import class_labels
from pagboost.metrics.class_labels import Labels
from pagboost.sources import archives
from pagboost.sources import pictures as picture_files

log = logging.getLogger(__name__)

SAMPLES = "a sample file (.npz with arr_0)"
DECODERS = 8  # threads; decoding leaves the interpreter's lock
T = TypeVar("T")


class ImageSet(Protocol):
    """N stored images of one shape (H, W, C); seeds int64 [N] are their sampling seeds, `where` names them."""

    where: str
    shape: tuple[int, ...]
    seeds: np.ndarray

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """uint8 [size, H, W, C] each, the last one smaller; in stored order."""

    def labels(self, key: str | None = None) -> Labels | None:
        """Their classes, None where nothing says any; key: the array of an .npz that holds them, where not arr_1."""

    def sha256(self) -> str:
        """What identifies the images, hexadecimal."""


class InMemory:
    """An array of images, uint8 [N, H, W, C]; raises InputError for anything else."""

    def __init__(
        self,
        stored: np.ndarray,
        where: str = "images",
        seeds: np.ndarray | None = None,
        classes: np.ndarray | None = None,
    ) -> None:
        check_layout(stored.dtype, stored.shape, where)
        self.classes = classes
        self.stored, self.where, self.shape = stored, where, tuple(stored.shape[1:])
        self.seeds = np.zeros(len(stored), np.int64) if seeds is None else seeds

    def __len__(self) -> int:
        return len(self.stored)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        for start in range(0, len(self.stored), size):
            yield self.stored[start : start + size]

    def labels(self, key: str | None = None) -> Labels | None:
        return None if self.classes is None else class_labels.checked(self.classes, (), self.where)

    def sha256(self) -> str:
        return hashlib.sha256(np.ascontiguousarray(self.stored)).hexdigest()


class SampleFile:
    """The images of an .npz in OpenAI's layout: arr_0 uint8 [N, H, W, C], stored or compressed, read as a stream.

    An array in Fortran's order, where an image's numbers lie apart, is read whole.
    `seeds` of the file, where there are any, tell the images of several sampling seeds apart.
    Raises InputError naming the file for what is no such file, or is truncated.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.where = Path(path), str(path)
        found = members(self.path)
        if "arr_0" not in found:
            raise InputError(f"{path}: has {listed(found) or 'nothing'}, expected arr_0 (uint8 images [N, H, W, C])")
        with self._images() as (_, dtype, shape, self._fortran):
            check_layout(dtype, shape, f"{path}: arr_0")
        self._count, self.shape = shape[0], tuple(shape[1:])
        self.seeds = np.zeros(len(self), np.int64)
        if "seeds" in found:
            self.seeds = artifacts.load_arrays(self.path, ["seeds"], SAMPLES)["seeds"]
            if self.seeds.shape != (len(self),) or not np.issubdtype(self.seeds.dtype, np.integer):
                raise InputError(
                    f"{path}: seeds is {self.seeds.dtype} {list(self.seeds.shape)}, expected {len(self)} integers, "
                    "one per image"
                )
            if self.seeds.min() < 0:
                raise InputError(f"{path}: seeds holds {self.seeds.min()}, expected 0 or more")

    def __len__(self) -> int:
        return self._count

    @contextlib.contextmanager
    def _images(self) -> Iterator[tuple[IO[bytes], np.dtype, tuple[int, ...], bool]]:
        """(stream behind the header, dtype, shape, whether in Fortran's order) of arr_0."""
        with (
            artifacts.readable(self.path, SAMPLES),
            zipfile.ZipFile(self.path) as archive,
            archive.open("arr_0.npy") as stream,
        ):
            version = np.lib.format.read_magic(stream)
            if version not in npz.HEADERS:
                raise InputError(f"{self.path}: arr_0 is of .npy version {version}, expected (1, 0) or (2, 0)")
            shape, fortran, dtype = npz.HEADERS[version](stream)
            npz.check_length(archive.getinfo("arr_0.npy"), stream.tell(), dtype, shape, f"{self.path}: arr_0")
            yield stream, dtype, shape, fortran

    def batches(self, size: int) -> Iterator[np.ndarray]:
        if self._fortran:
            whole = artifacts.load_arrays(self.path, ["arr_0"], SAMPLES)["arr_0"]
            yield from InMemory(whole, self.where).batches(size)
            return
        with self._images() as (stream, *_):
            for start in range(0, len(self), size):
                batch = np.empty((min(size, len(self) - start), *self.shape), np.uint8)
                if stream.readinto(batch.reshape(-1)) != batch.size:
                    raise InputError(f"{self.path}: arr_0 ends before image {start + len(batch)} of {len(self)}")
                yield batch

    def labels(self, key: str | None = None) -> Labels | None:
        return class_labels.of_file(self.path, len(self), key)

    def sha256(self) -> str:
        return artifacts.file_hash(self.path)


class Folder:
    """The pictures in a folder and below it, in the order of their names; a line in the log says what is left out.

    channels: 3 turns grey pictures into RGB, 1 takes grey ones only (RGB of three equal channels is grey). The first
    picture's size is that of all.
    Raises InputError naming the picture for another size, another colour mode, and one that cannot be read or is of a
    kind that is not (see picture_files).
    """

    def __init__(self, path: str | Path, channels: int = 3) -> None:
        self.path, self.where, self.channels = Path(path), str(path), channels
        self.listing = archives.listing(self.path)
        names, others = picture_files.by_kind(self.listing.files, self.where)
        self.names = self._ordered(names)
        left_out = archives.described(self.listing.left_out | others)
        if not self.names:
            suffixes = ", ".join(picture_files.SUFFIXES)
            raise InputError(f"{path}: holds no picture, expected files that end in {suffixes}{left_out}")
        said.once(log, logging.INFO, f"{path}: {len(self.names):,} pictures{left_out}")
        self.shape = ()
        self.shape = self._first().shape
        self.seeds = np.zeros(len(self.names), np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def _ordered(self, names: list[str]) -> list[str]:
        return names

    def _first(self) -> np.ndarray:
        return self._read(self.names[0])

    def _read(self, name: str) -> np.ndarray:
        with artifacts.readable(self.path / name, "a picture"):
            content = (self.path / name).read_bytes()
        return self._decoded(name, content)

    def _decoded(self, name: str, content: bytes) -> np.ndarray:
        file = self._named(name)
        pixels = picture_files.decode(content, file, of=self.where)
        if self.channels == 1 and pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all():
            pixels = pixels[..., :1]  # grey in a format that has colours alone, WebP for one
        height, width, found = pixels.shape
        if found > self.channels:
            raise InputError(f"{file}: colour mode RGB, expected 8-bit grey")
        if self.shape and (height, width) != self.shape[:2]:
            first = Path(self.names[0]).name
            raise InputError(f"{file}: {width}x{height} pixels, expected {self.shape[1]}x{self.shape[0]} as {first}")
        return pixels.repeat(self.channels // found, axis=2)

    def _named(self, name: str) -> str:
        return str(self.path / name)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        with ThreadPoolExecutor(DECODERS) as pool:
            for start in range(0, len(self.names), size):
                yield np.stack(list(pool.map(self._read, self.names[start : start + size])))

    def labels(self, key: str | None = None) -> Labels | None:
        return class_labels.of_pictures(self.listing, self.names)

    def sha256(self) -> str:
        """Of the names and the hashes of the files."""
        digest = hashlib.sha256()
        for name in self.names:  # which may be of any bytes
            digest.update(os.fsencode(name) + f"\0{artifacts.file_hash(self.path / name)}\n".encode())
        return digest.hexdigest()


class Archive(Folder):
    """The pictures of a .zip or .tar, packed or not, as a stream in the order that it stores them: else as Folder."""

    def _ordered(self, names: list[str]) -> list[str]:
        return self.listing.order(only=set(names))

    def _named(self, name: str) -> str:
        return f"{self.path}: {name}"

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        return self.listing.read(only=set(self.names))

    def _first(self) -> np.ndarray:
        with contextlib.closing(self._contents()) as contents:
            return self._decoded(*next(contents))

    def batches(self, size: int) -> Iterator[np.ndarray]:
        contents = self._contents()
        with ThreadPoolExecutor(DECODERS) as pool:
            for _ in range(0, len(self.names), size):
                yield np.stack(list(pool.map(lambda file: self._decoded(*file), itertools.islice(contents, size))))

    def sha256(self) -> str:
        return artifacts.file_hash(self.path)


class InColour:
    """Grey images seen as RGB: three equal channels, batch by batch."""

    def __init__(self, grey: ImageSet) -> None:
        self.grey, self.where, self.seeds = grey, grey.where, grey.seeds
        self.shape = (*grey.shape[:2], 3)

    def __len__(self) -> int:
        return len(self.grey)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        for batch in self.grey.batches(size):
            yield batch.repeat(3, axis=3)

    def labels(self, key: str | None = None) -> Labels | None:
        return self.grey.labels(key)

    def sha256(self) -> str:
        return self.grey.sha256()


def in_channels(images: ImageSet, channels: int) -> ImageSet:
    """The same images, grey ones as RGB where `channels` is 3: what Folder does with pictures."""
    return InColour(images) if (images.shape[2], channels) == (1, 3) else images


def check_layout(dtype: np.dtype, shape: tuple[int, ...], where: str) -> None:
    """Raise InputError unless an array holds uint8 images [N, H, W, C] with C = 1 or 3."""
    expected = "expected uint8 images [N, H, W, C], C = 1 or 3"
    if dtype != np.uint8:
        raise InputError(f"{where}: {dtype} {list(shape)}, {expected}, in 0..255")
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        raise InputError(f"{where}: {list(shape)} has its channels first, {expected} (transpose(0, 2, 3, 1))")
    if len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape:
        raise InputError(f"{where}: uint8 {list(shape)}, {expected}")


def members(path: Path) -> list[str]:
    """Names of the arrays of an .npz, sorted; InputError where there is no such file."""
    with artifacts.readable(path, "an .npz file"), zipfile.ZipFile(path) as archive:
        artifacts.check_directory(archive, path)
        return sorted(name.removesuffix(".npy") for name in archive.namelist())


def open_images(path: str | Path, channels: int = 3) -> ImageSet:
    """The pictures of a folder or archive, or an .npz's images; `channels` as in Folder.

    Raises InputError where it is none of these.
    """
    check_there(path)
    if Path(path).is_dir():
        return Folder(path, channels)
    if archives.is_packed(Path(path)):
        return Archive(path, channels)
    return in_channels(SampleFile(path), channels)


def check_there(path: str | Path) -> None:
    """Raise InputError where no file or folder is named; no name at all would be the folder that a script runs in."""
    if not str(path) or not Path(path).exists():
        raise InputError(f"{path or repr(path)}: no such file or folder, expected an .npz of images, or pictures")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, the next one made by another thread while the caller has one."""
    source, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, source, end)
        while (item := following.result()) is not end:
            following = pool.submit(next, source, end)
            yield item
