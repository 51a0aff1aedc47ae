"""Data sets: where images come from, and the one split into train, validation and held-out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np

from pagboost import archives, cli, download, images, rng
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError

CIFAR10_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
CIFAR10_RECORD = 1 + 3 * 32 * 32  # the label, then a red, a green and a blue plane, row by row
IMAGE_FILES = (".png", ".jpg", ".jpeg")

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
    *, size: int, file: str, sha256: str | None = None, downloads: str = "downloads", channels: int = 3
) -> Parts:
    """Images in train/<class>/ and, where there is one, test/<class>/ of a folder or archive; 8-bit PNG or JPEG.

    file: the folder or archive, or an archive's URL, which is kept in `downloads`; sha256: of the archive.
    Classes are numbered in the order of their names. Images come in one fixed random order, so that the first ones of
    a part are of all classes; all are size x size already. They are stored as decoded: a set that was compressed
    before has other statistics than its original.
    Raises InputError naming the first file that is no image, of another size or type, or of a class not in train.
    """
    if channels not in (1, 3):
        raise InputError(f"datasets.channels: {channels}, expected 1 or 3")
    path = download.local(file, sha256, downloads)
    parts: dict[str, dict[tuple[str, str], np.ndarray]] = {"train": {}, "test": {}}
    for name, content in archives.files(path):
        part, kind, image = ("", "", *PurePosixPath(name).parts)[-3:]
        if part not in parts:
            continue
        if (kind, image) in parts[part]:
            raise InputError(f"{path}: holds {part}/{kind}/{image} twice, expected each image once")
        parts[part][kind, image] = _decoded(content, size, channels, f"{path}: {name}")
    if not parts["train"]:
        raise InputError(f"{path}: holds no train/<class>/<image>, expected one folder of images per class")
    classes = sorted({kind for kind, _ in parts["train"]})
    for kind, image in parts["test"]:
        if kind not in classes:
            raise InputError(
                f"{path}: test/{kind}/{image} is of no class of train, expected one of: {', '.join(classes)}"
            )
    train, test = (_numbered(part, classes) if part else None for part in parts.values())
    return train, test


def _decoded(content: bytes, size: int, channels: int, where: str) -> np.ndarray:
    """An encoded image as uint8 [size, size, channels]."""
    from PIL import Image

    if not where.lower().endswith(IMAGE_FILES):
        raise InputError(f"{where}: expected an image ({', '.join(IMAGE_FILES)})")
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.size != (size, size) or image.mode not in ("L", "P", "RGB"):
                raise InputError(
                    f"{where}: {image.size[0]}x{image.size[1]} pixels, mode {image.mode}, "
                    f"expected {size}x{size} and 8-bit grey or RGB"
                )
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{where}: not readable as PNG or JPEG ({error})") from error
    return pixels.reshape(size, size, channels)


def _numbered(part: Mapping[tuple[str, str], np.ndarray], classes: list[str]) -> SampleSet:
    """Images by (class, file name) as one set; their order depends on these names alone."""
    names = sorted(part)
    np.random.Generator(np.random.PCG64(rng.derive("folder", len(names)))).shuffle(names)
    labels = np.array([classes.index(kind) for kind, _ in names], np.int64)
    return SampleSet(np.stack([part[name] for name in names]), labels)


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
) -> dict[str, SampleSet]:
    """The parts {name: images} of a data set as its configuration entry describes it (see `split`).

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
    Raises InputError if a part is empty or the sizes do not add up to the number of images.
    """
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"splits.{name}: {size}, expected at least 1 image")
    if sum(sizes.values()) != len(samples):
        raise InputError(f"split sizes {dict(sizes)} add up to {sum(sizes.values())}, expected {len(samples)} images")
    order = np.random.Generator(np.random.PCG64(rng.derive("split", seed))).permutation(len(samples))
    parts, start = {}, 0
    for name, size in sizes.items():
        parts[name] = samples.subset(np.sort(order[start : start + size]))
        start += size
    return parts
