"""Data sets: where images come from, and the one split into train, validation and held-out."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path

import numpy as np
import torch

from pagboost import artifacts, images, rng, runtime, said
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError, listed
from pagboost.files import npz
from pagboost.options import datasets
from pagboost.options.kinds import named
from pagboost.options.models import Dataset
from pagboost.sources import archives, download
from pagboost.sources import class_names as names_of_classes
from pagboost.sources import pictures as picture_files
from pagboost.sources.archives import LeftOut, Listing
from pagboost.sources.decoding import Square, all_decoded

log = logging.getLogger(__name__)

CIFAR10_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
CIFAR10_RECORD = 1 + 3 * 32 * 32  # the label, then a red, a green and a blue plane, row by row
CHUNK = 1024  # images that are moved at a time

# Parts are cut in this order, however an entry lists them: the workflow's jobs get entries with sorted keys
SPLIT_ORDER = ("heldout", "train", "validation")

# What a source gives: its images, and its official test part where it has one
Parts = tuple[SampleSet, SampleSet | None]

_FOLDER: ContextVar[Path | None] = ContextVar("folder", default=None)  # of `on_disk`


def sklearn_digits(size: int, options: datasets.Digits) -> Parts:
    """The 1,797 handwritten digits that scikit-learn ships (8x8, 17 grey levels), bicubic to size x size, one channel.

    UCI "Optical recognition of handwritten digits", test part; real data, no network needed.
    """
    from sklearn.datasets import load_digits  # a second of start-up that only this source needs

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    resized = images.to_uint8(images.resize(images.to_float(grey), size))
    return SampleSet(resized, digits.target.astype(np.int64)), None


def cifar10(
    size: int, options: datasets.CIFAR10, num_classes: int | None = None, class_names: Sequence[str] | None = None
) -> Parts:
    """CIFAR-10 (Krizhevsky 2009) from its binary version: 50,000 and 10,000 images, 32x32x3, classes 0..9.

    The version of fixed-size records, because the one for Python is pickled: the archive cifar-10-binary.tar.gz or its
    unpacked folder. Its classes are numbered; those of `pictures`, which take its place, as in `folder`.
    Raises InputError for a missing or truncated batch and a label beyond 9.
    """
    if size != 32:
        raise InputError(f"datasets.size: {size}, expected 32 (CIFAR-10's)")
    if options.pictures is not None:
        return folder(size, datasets.Folder(file=options.pictures), num_classes, class_names)
    path = download.local(options.file, options.sha256, options.downloads)
    listing = archives.listing(path)
    places: dict[str, str] = {}
    for place in listing.files:
        name = place.rpartition("/")[2]
        if name in CIFAR10_FILES and places.setdefault(name, place) != place:
            raise InputError(f"{path}: holds {name} twice ({places[name]}, {place}), expected each batch once")
    for name in CIFAR10_FILES:
        if name not in places:
            raise InputError(f"{path}: has no {name}, expected CIFAR-10's binary version ({', '.join(CIFAR10_FILES)})")
    found = dict(listing.read(only=set(places.values())))
    parts = [_cifar10_batch(found[places[name]], f"{path}: {name}") for name in CIFAR10_FILES]
    stacked = [np.concatenate(arrays) for arrays in zip(*parts[:-1], strict=True)]
    return SampleSet(*stacked), SampleSet(*parts[-1])


def _cifar10_batch(content: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 [N, 32, 32, 3], labels int64 [N]) of one file of records."""
    if not content or len(content) % CIFAR10_RECORD:
        raise InputError(f"{where}: {len(content)} bytes, expected a multiple of {CIFAR10_RECORD} (one image each)")
    records = np.frombuffer(content, np.uint8).reshape(-1, CIFAR10_RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        raise InputError(f"{where}: holds label {labels.max()}, expected 0..9")
    return np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def folder(
    size: int, options: datasets.Folder, num_classes: int | None = None, class_names: Sequence[str] | None = None
) -> Parts:
    """Pictures below train/<class>/ and, where there is one, test/<class>/ of a folder or archive (picture_files).

    num_classes, class_names: what is declared of the classes, where it is; there must be as many folders.
    train/ lies at its top, or in the folder nearest to it that has one.
    How pictures become squares: decoding.Square.
    Classes are numbered in the order of their names as text, as torchvision does, or in that of class_names where
    these are the folders' own. Images come in one fixed random order, so that the first ones of a part are of all
    classes; at_most: so many of train/ are read. They are stored as decoded: a set that was compressed before has other
    statistics than its original.
    Memory: the arrays that are returned (see `blank`), and the names. As many processes decode as the job has threads.
    Raises InputError naming the first file that is no image, of another size or type, of a class not in train or of
    none, and an empty class folder.
    """
    path, test = download.local(options.file, options.sha256, options.downloads), options.test
    listing = archives.listing(path)
    parts, left_out = _listed(listing, ("train", test))
    if not parts["train"]:
        raise InputError(
            f"{path}: holds no train/<class>/<image>, expected one folder of images per class"
            f"{archives.described(left_out)}"
        )
    classes = _numbered({kind for kind, _, _ in parts["train"]}, num_classes, class_names, str(path))
    for kind, image, _ in parts[test]:
        if kind not in classes:
            known = listed(classes)
            raise InputError(f"{path}: {test}/{kind}/{image} is of no class of train, expected one of: {known}")
    parts["train"] = parts["train"][: options.at_most]
    used = f"{len(parts['train']):,} pictures in train/, {len(parts[test]):,} in {test}/"
    said.once(log, logging.INFO, f"{path}: {used}{archives.described(left_out)}")
    rows: dict[str, int] = {}
    for _, _, name in itertools.chain(*parts.values()):
        rows[name] = len(rows)
    pixels, sets, start = blank(len(rows), size, options.channels), {}, 0
    for part, found in parts.items():
        labels = np.array([classes[kind] for kind, _, _ in found], np.int64)
        sets[part] = SampleSet(pixels[start : start + len(found)], labels)
        start += len(found)
    _fill(pixels, rows, listing, Square(size, options.channels, options.crop, str(path)))
    return sets["train"], sets[test] if parts[test] else None


def _listed(listing: Listing, parts: Sequence[str]) -> tuple[dict[str, list[tuple[str, str, str]]], dict[str, LeftOut]]:
    """({part: (class, image, name in the folder or archive) of its pictures}, what was left out)."""
    top = _top(listing)
    starts = {part: f"{top}{part}/" for part in parts}
    inside, outside = [], []
    for name in listing.files:
        (inside if name.startswith(tuple(starts.values())) else outside).append(name)
    pictures, left_out = picture_files.by_kind(inside, str(listing.path))
    left_out = listing.left_out | left_out
    if outside:
        reason = f"outside {' and '.join(f'{part}/' for part in parts)}"
        left_out[reason] = LeftOut(len(outside), outside[0])
    return {part: _of_part(listing, pictures, part, start) for part, start in starts.items()}, left_out


def _of_part(listing: Listing, pictures: Sequence[str], part: str, start: str) -> list[tuple[str, str, str]]:
    """(class, image, name) of the pictures whose names have this start, in an order that class and image decide.

    The class is the folder right below the part's, at whatever depth below it a picture lies.
    Raises InputError for a picture in no class folder, and a class folder without one.
    """
    found = []
    for name in pictures:
        if name.startswith(start):
            kind, _, image = name.removeprefix(start).partition("/")
            if not image:
                raise InputError(f"{listing.path}: {name} lies in no class folder, expected {part}/<class>/<image>")
            found.append((kind, image, name))
    filled = {f"{start}{kind}" for kind, _, _ in found}
    folders = [name for name in listing.folders if name.startswith(start) and "/" not in name.removeprefix(start)]
    empty = [name for name in folders if name not in filled]
    if found and empty:
        raise InputError(f"{listing.path}: no picture in {listed(empty)}, expected some of every class")
    found.sort()
    np.random.Generator(np.random.PCG64(rng.derive("folder", len(found)))).shuffle(found)
    return found


def _top(listing: Listing) -> str:
    """What comes before train/ in names: nothing, or the folder nearest to the top that holds one, with its slash."""
    found = [name.removesuffix("train") for name in listing.folders if name.rpartition("/")[2] == "train"]
    nearest = [top for top in found if top.count("/") == min(other.count("/") for other in found)]
    if len(nearest) > 1:
        several = listed(f"{top}train" for top in nearest)
        raise InputError(f"{listing.path}: holds {several}, expected one folder train (or name one of theirs as file)")
    return nearest[0] if nearest else ""


def _numbered(
    kinds: Collection[str], num_classes: int | None, class_names: Sequence[str] | None, where: str
) -> dict[str, int]:
    """{class folder: its number}: in the order of class_names where these are the folders' names, else sorted as text.

    Raises InputError where folders, declared classes and names are not as many, and where names are some folders' own
    but would not number these so.
    """
    order = sorted(kinds)
    declared = {"datasets.num_classes": num_classes, "names in class_names": class_names and len(class_names)}
    counts = {what: count for what, count in declared.items() if count is not None}
    if any(count != len(order) for count in counts.values()):
        others = ", ".join(f"{what}: {count}" for what, count in counts.items())
        raise InputError(f"{where}: {len(order)} class folders ({listed(order, 5)}), {others}, expected equal numbers")
    if class_names is not None and set(class_names) == set(order):
        order = list(class_names)
    else:
        numbers = {kind: number for number, kind in enumerate(order)}
        for number, name in enumerate(class_names or ()):
            if numbers.get(name, number) != number:
                raise InputError(
                    f"{where}: class_names calls class {number} {name}, but folder {name} is class {numbers[name]} "
                    "(sorted as text), expected all folders' own names in the order that is meant, or none of them"
                )
        _warn_of_numbers(order, where)
    said.once(log, logging.INFO, f"{where}: classes 0..{len(order) - 1} are the folders {listed(order)}")
    return {kind: number for number, kind in enumerate(order)}


def _warn_of_numbers(order: Sequence[str], where: str) -> None:
    """Say so where folders are named by numbers, whose order as text is another than that of the numbers."""
    if not all(name.isdecimal() for name in order):
        return
    by_value = sorted(order, key=int)
    for number, (name, other) in enumerate(zip(order, by_value, strict=True)):
        if name != other:
            log.warning(
                "%s: folder %s is class %d, as folders are numbered in the order of their names as text (as in "
                "torchvision): class_names: [%s] numbers them by value, and so do names with leading zeros",
                where, name, number, listed(f'"{own}"' for own in by_value),
            )  # fmt: skip
            return


def _fill(images: np.ndarray, rows: Mapping[str, int], listing: Listing, square: Square) -> None:
    """Decode the named files of a folder or archive into their rows of images, uint8 [N, S, S, C]."""
    path, done = listing.path, 0
    found = all_decoded(listing.read(only=rows), len(rows), square, torch.get_num_threads())
    for name, pixels in runtime.progress(found, f"reading {path.name}", len(rows)):
        images[rows[name]] = pixels
        done += 1
        if done % npz.PIECE == 0:
            npz.release(images)
    if done != len(rows):
        raise InputError(f"{path}: {done} images, expected the {len(rows)} it held before (was it changed meanwhile?)")


def blank(count: int, size: int, channels: int) -> np.ndarray:
    """Memory for images, uint8 [N, S, S, C]; within `on_disk` a mapped file without a name, gone with its process."""
    shape, folder = (count, size, size, channels), _FOLDER.get()
    if folder is None or not count:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, math.prod(shape))  # a disk that gets full later would kill this process
        return np.memmap(file, np.uint8, "r+", shape=shape)


@contextlib.contextmanager
def on_disk(folder: Path) -> Iterator[None]:
    """Images of sources that may be larger than memory are held in this folder meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def prepare(dataset: Dataset, where: str = "datasets") -> dict[str, SampleSet]:
    """The parts {name: images} of a data set, in memory (see `split`); errors as in `_loaded`."""
    samples, test, rows = _loaded(dataset, where)
    parts = _taken(samples, rows)
    return parts if test is None else {**parts, "heldout": test}


def write(dataset: Dataset, folder: Path, where: str = "datasets") -> None:
    """The same parts as files <part>.npz of a folder, each whole or not at all; errors as in `_loaded`.

    Memory is that of labels and some hundred images, of sources that hold theirs on disk (`blank`).
    """
    with on_disk(folder):
        samples, test, rows = _loaded(dataset, where)
    for name, own in rows.items():
        artifacts.save_samples(folder / f"{name}.npz", samples, own)
    if test is not None:
        artifacts.save_samples(folder / "heldout.npz", test)


def _loaded(dataset: Dataset, where: str) -> tuple[SampleSet, SampleSet | None, dict[str, np.ndarray]]:
    """(a source's images, its official test part, {part: its rows of the images}).

    Where there is an official test part, that is `heldout`, whole and in its own order; the rest is split.
    class_names are for people, and number the classes of a folder whose own they are (see `folder`).
    Raises InputError for a label beyond num_classes, another number of names, and sizes that do not fit.
    """
    given, num_classes = dataset.class_names, dataset.num_classes
    names = None if given is None else names_of_classes.load(given, f"{where}.class_names")
    load, options = named(dataset.options.uses), dataset.options
    declared = (num_classes, names) if options.numbers_classes else ()
    samples, test = load(dataset.size, options, *declared)
    for part in (samples, test):
        if part is not None and part.labels.max() >= num_classes:
            raise InputError(f"{where}.num_classes: {num_classes}, expected {part.labels.max() + 1} or more")
    if names is not None and len(names) != num_classes:
        raise InputError(f"{where}.class_names: {len(names)} names, expected {num_classes} ({where}.num_classes)")
    sizes = {name: getattr(dataset.splits, name) for name in SPLIT_ORDER}
    if test is None:
        return samples, None, places(len(samples), sizes, dataset.split_seed)
    if sizes["heldout"] != len(test):
        raise InputError(f"splits.heldout: {sizes['heldout']}, expected {len(test)} (the source's test part)")
    own = {name: count for name, count in sizes.items() if name != "heldout"}
    return samples, test, places(len(samples), own, dataset.split_seed)


def split(samples: SampleSet, sizes: Mapping[str, int], seed: int) -> dict[str, SampleSet]:
    """The parts of `places`; the largest takes over the memory of `samples`, whose images are used up.

    So a large set is never held twice.
    """
    return _taken(samples, places(len(samples), sizes, seed))


def places(count: int, sizes: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
    """Rows, ascending, of disjoint random parts of the given sizes; the permutation depends on seed and count only.

    Two resolutions of one source are split alike, so that no held-out image is seen at another size.
    Raises InputError if a part is empty or the sizes do not add up to the number of images.
    """
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"splits.{name}: {size}, expected at least 1 image")
    if sum(sizes.values()) != count:
        raise InputError(f"split sizes {dict(sizes)} add up to {sum(sizes.values())}, expected {count} images")
    order = np.random.Generator(np.random.PCG64(rng.derive("split", seed))).permutation(count)
    ends = list(itertools.accumulate(sizes.values()))
    return {name: np.sort(order[end - sizes[name] : end]) for name, end in zip(sizes, ends, strict=True)}


def _taken(samples: SampleSet, rows: Mapping[str, np.ndarray]) -> dict[str, SampleSet]:
    largest = max(rows, key=lambda name: len(rows[name]))
    copied = {name: samples.subset(own) for name, own in rows.items() if name != largest}
    return {name: copied[name] if name in copied else _moved_to_front(samples, own) for name, own in rows.items()}


def _moved_to_front(samples: SampleSet, rows: np.ndarray) -> SampleSet:
    """samples.subset(rows), rows ascending, in the memory of `samples` itself: no row is written before it is read."""
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        samples.images[start : start + len(chunk)] = samples.images[chunk]
    without_images = samples.with_images(np.empty((len(samples), 0), np.uint8))
    return without_images.subset(rows).with_images(samples.images[: len(rows)])
