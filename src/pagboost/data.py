"""Data sets: where images come from, and the one split into train, validation and held-out."""

from __future__ import annotations

import io
import itertools
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import torch

from pagboost import archives, cli, download, images, rng, runtime
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

CIFAR10_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
CIFAR10_RECORD = 1 + 3 * 32 * 32  # the label, then a red, a green and a blue plane, row by row
IMAGE_FILES = (".png", ".jpg", ".jpeg")
IMAGES_AT_A_TIME = 1000  # encoded images that wait in memory
REPORTED_IMAGES = 100_000  # a line in the log each time
CHUNK = 1024  # images that are moved at a time

# What a source gives: its images, and its official test part where it has one
Parts = tuple[SampleSet, SampleSet | None]


def sklearn_digits(*, size: int) -> Parts:
    """The 1,797 handwritten digits that scikit-learn ships (8x8, 17 grey levels), bicubic to size x size, one channel.

    UCI "Optical recognition of handwritten digits", test part; real data, no network needed.
    """
    from sklearn.datasets import load_digits  # a second of start-up that only this source needs

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    resized = images.to_uint8(images.resize(images.to_float(grey), size))
    return SampleSet(resized, digits.target.astype(np.int64)), None


def cifar10(*, size: int, file: str, sha256: str | None = None, downloads: str = "downloads") -> Parts:
    """CIFAR-10 (Krizhevsky 2009) from its binary version: 50,000 and 10,000 images, 32x32x3, classes 0..9.

    The version of fixed-size records, because the one for Python is pickled. file: the archive cifar-10-binary.tar.gz
    or its unpacked folder, or the URL of the archive, which is kept in `downloads`; sha256: of the archive.
    Raises InputError for a missing or truncated batch and a label beyond 9.
    """
    if size != 32:
        raise InputError(f"datasets.size: {size}, expected 32 (CIFAR-10's)")
    path = download.local(file, sha256, downloads)
    found = {name.rpartition("/")[2]: content for name, content in archives.files(path)}
    for name in CIFAR10_FILES:
        if name not in found:
            raise InputError(f"{path}: has no {name}, expected CIFAR-10's binary version ({', '.join(CIFAR10_FILES)})")
    parts = [_cifar10_batch(found[name], f"{path}: {name}") for name in CIFAR10_FILES]
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
    *,
    size: int,
    file: str,
    sha256: str | None = None,
    downloads: str = "downloads",
    channels: int = 3,
    test: str = "test",
    crop: bool = False,
) -> Parts:
    """Images in train/<class>/ and, where there is one, test/<class>/ of a folder or archive; 8-bit PNG or JPEG.

    file: the folder or archive, or an archive's URL, which is kept in `downloads`; sha256: of the archive. test: the
    official test part's own name, such as val. crop: images of any size are fitted as in `centre_square`; unless so,
    all are size x size already.
    Classes are numbered in the order of their names. Images come in one fixed random order, so that the first ones of
    a part are of all classes. They are stored as decoded: a set that was compressed before has other statistics than
    its original. Memory: the arrays that are returned, and the names. Decoded by as many threads as the job has.
    Raises InputError naming the first file that is no image, of another size or type, or of a class not in train.
    """
    if channels not in (1, 3):
        raise InputError(f"datasets.channels: {channels}, expected 1 or 3")
    path = download.local(file, sha256, downloads)
    parts = _listed(path, ("train", test))
    if not parts["train"]:
        raise InputError(f"{path}: holds no train/<class>/<image>, expected one folder of images per class")
    classes = {kind: number for number, kind in enumerate(sorted({kind for kind, _, _ in parts["train"]}))}
    for kind, image, _ in parts[test]:
        if kind not in classes:
            known = ", ".join(classes)
            raise InputError(f"{path}: {test}/{kind}/{image} is of no class of train, expected one of: {known}")
    sets, target = {}, {}
    for part, found in parts.items():
        labels = np.array([classes[kind] for kind, _, _ in found], np.int64)
        sets[part] = SampleSet(np.empty((len(found), size, size, channels), np.uint8), labels)
        target |= {name: sets[part].images[row] for row, (_, _, name) in enumerate(found)}
    _fill(target, path, size, channels, crop)
    return sets["train"], sets[test] if parts[test] else None


def _listed(path: Path, parts: Sequence[str]) -> dict[str, list[tuple[str, str, str]]]:
    """{part: (class, image, name in the folder or archive) of its images}; their order depends on class and image."""
    listed: dict[str, dict[tuple[str, str], str]] = {part: {} for part in parts}
    for name in archives.names(path):
        part, kind, image = ("", "", *PurePosixPath(name).parts)[-3:]
        if part not in listed:
            continue
        if (kind, image) in listed[part]:
            raise InputError(f"{path}: holds {part}/{kind}/{image} twice, expected each image once")
        if not name.lower().endswith(IMAGE_FILES):
            raise InputError(f"{path}: {name}: expected an image ({', '.join(IMAGE_FILES)})")
        listed[part][kind, image] = name
    result = {part: sorted((*key, name) for key, name in found.items()) for part, found in listed.items()}
    for found in result.values():
        np.random.Generator(np.random.PCG64(rng.derive("folder", len(found)))).shuffle(found)
    return result


def _fill(target: Mapping[str, np.ndarray], path: Path, size: int, channels: int, crop: bool) -> None:
    """Decode the named files of a folder or archive into their places, uint8 [size, size, channels] each."""

    def decode(file: tuple[str, bytes]) -> None:
        name, content = file
        target[name][:] = _decoded(content, size, channels, crop, f"{path}: {name}")

    files = archives.files(path, only=target)
    done = 0
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # Pillow decodes and resizes outside Python's lock
        for _ in runtime.progress(
            range(0, len(target), IMAGES_AT_A_TIME), f"reading {path.name}, in {IMAGES_AT_A_TIME}s"
        ):
            done += sum(1 for _ in pool.map(decode, itertools.islice(files, IMAGES_AT_A_TIME)))
            if done % REPORTED_IMAGES == 0:
                log.info("%s: %d of %d images", path, done, len(target))
    if done != len(target):
        raise InputError(
            f"{path}: {done} images, expected the {len(target)} it held before (was it changed meanwhile?)"
        )


def _decoded(content: bytes, size: int, channels: int, crop: bool, where: str) -> np.ndarray:
    """An encoded image as uint8 [size, size, channels]."""
    from PIL import Image

    modes = ("L", "P", "RGB", *(("LA", "RGBA", "CMYK") if crop else ()))
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.mode not in modes or not (crop or image.size == (size, size)):
                raise InputError(
                    f"{where}: {image.size[0]}x{image.size[1]} pixels, mode {image.mode}, "
                    f"expected {'any size' if crop else f'{size}x{size}'} and 8-bit grey or RGB"
                )
            converted = image.convert("L" if channels == 1 else "RGB")
            pixels = np.asarray(centre_square(converted, size) if crop else converted)
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{where}: not readable as PNG or JPEG ({error})") from error
    return pixels.reshape(size, size, channels)


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


SOURCES = {"sklearn_digits": sklearn_digits, "cifar10": cifar10, "folder": folder}


def load(source: str, options: Mapping[str, object], where: str) -> Parts:
    """(images, official test part or None) of a source, each in the source's own order."""
    if source not in SOURCES:
        raise InputError(f"{where}.source: {source}, expected one of: {', '.join(SOURCES)}")
    return cli.call(SOURCES[source], where=where, options=options)


def prepare(
    *,
    source: str,
    size: int,
    options: Mapping[str, object],
    num_classes: int,
    split_seed: int,
    splits: Mapping[str, int],
    class_names: str | Sequence[str] | None = None,
) -> dict[str, SampleSet]:
    """The parts {name: images} of a data set as its configuration entry describes it (see `split`).

    class_names are for people, and not looked at here.

    Where the source has an official test part, that is `heldout`, whole and in its own order; the rest is split.
    Raises InputError for an unknown source or option, a label beyond num_classes, and sizes that do not fit.
    """
    samples, test = load(source, {**options, "size": size}, "datasets")
    for part in (samples, test):
        if part is not None and part.labels.max() >= num_classes:
            raise InputError(f"datasets.num_classes: {num_classes}, expected {part.labels.max() + 1} or more")
    if test is None:
        return split(samples, splits, split_seed)
    if splits.get("heldout") != len(test):
        raise InputError(f"splits.heldout: {splits.get('heldout')}, expected {len(test)} (the source's test part)")
    own = {name: count for name, count in splits.items() if name != "heldout"}
    return {**split(samples, own, split_seed), "heldout": test}


def split(samples: SampleSet, sizes: Mapping[str, int], seed: int) -> dict[str, SampleSet]:
    """Disjoint random parts of the given sizes; the permutation depends on seed and length only.

    Two resolutions of one source are split alike, so that no held-out image is seen at another size.
    The largest part takes over the memory of `samples`, whose images are used up: a large set is never held twice.
    Raises InputError if a part is empty or the sizes do not add up to the number of images.
    """
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"splits.{name}: {size}, expected at least 1 image")
    if sum(sizes.values()) != len(samples):
        raise InputError(f"split sizes {dict(sizes)} add up to {sum(sizes.values())}, expected {len(samples)} images")
    order = np.random.Generator(np.random.PCG64(rng.derive("split", seed))).permutation(len(samples))
    ends = list(itertools.accumulate(sizes.values()))
    rows = {name: np.sort(order[end - sizes[name] : end]) for name, end in zip(sizes, ends, strict=True)}
    largest = max(sizes, key=sizes.__getitem__)
    copied = {name: samples.subset(own) for name, own in rows.items() if name != largest}
    return {name: copied[name] if name in copied else _moved_to_front(samples, own) for name, own in rows.items()}


def _moved_to_front(samples: SampleSet, rows: np.ndarray) -> SampleSet:
    """samples.subset(rows), rows ascending, in the memory of `samples` itself: no row is written before it is read."""
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        samples.images[start : start + len(chunk)] = samples.images[chunk]
    without_images = samples.with_images(np.empty((len(samples), 0), np.uint8))
    return without_images.subset(rows).with_images(samples.images[: len(rows)])
