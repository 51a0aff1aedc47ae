"""Made-up data sets in the real ones' formats: a tree of JPEGs as ImageNet's, CIFAR-10's binary archive."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pagboost import artifacts, rng
from pagboost.errors import InputError
from pagboost.sources.data import CIFAR10_FILES
from pagboost.sources.pictures import ORIENTATION

SIDES = (96, 176)  # shortest and longest side of a picture, in pixels
BLOBS = 6  # positions a side of the noise that pictures are enlarged from: they are smooth, as photographs are
EXIF_TURNED = 6


def noise(rows: int, height: int, width: int, channels: int, role: str) -> np.ndarray:
    """uint8 [rows, height, width, channels]: smooth made-up images, all different."""
    draws = np.random.Generator(np.random.PCG64(rng.derive("rehearsal", role)))
    small = draws.integers(0, 256, (rows, BLOBS, BLOBS, channels), np.uint8)
    return np.stack([_enlarged(one, height, width) for one in small])


def _enlarged(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    grey = pixels.shape[2] == 1
    image = Image.fromarray(pixels[..., 0] if grey else pixels).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(height, width, pixels.shape[2])


def write(path: Path, datasets: Sequence[Mapping[str, Any]]) -> None:
    """What all these data sets read; InputError for a source of which nothing can be made up."""
    (source, *others) = {dataset["source"] for dataset in datasets}
    makers = {"folder": write_folder, "cifar10": write_cifar10}
    if others or source not in makers:
        raise InputError(f"{path}: read by source {source}, expected one of: {', '.join(makers)}")
    makers[source](path, datasets)


def write_names(path: Path, count: int) -> None:
    """Names of so many classes, one a line, or as JSON."""
    names = [f"class {number}" for number in range(count)]
    path.write_text(json.dumps(names) if path.suffix == ".json" else "\n".join(names), encoding="utf-8")


def write_folder(path: Path, datasets: Sequence[Mapping[str, Any]]) -> None:
    """Pictures for all data sets (source folder) that read one tree: a folder, or an archive by its suffix.

    As many classes as declared, in train/ at least one picture of each, in the official test part as many as declared.
    """
    first = datasets[0]
    train = max(one["splits"]["train"] + one["splits"]["validation"] for one in datasets)
    tests = {one["splits"]["heldout"] for one in datasets}
    if len(tests) > 1:
        raise InputError(f"{path}: data sets of {sorted(tests)} held-out images read it, expected one number")
    size = None if first["options"].get("crop") else first["size"]
    files = _tree(first, max(train, first["num_classes"]), tests.pop(), size)
    if path.suffix == ".zip":
        with artifacts.atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, encoded in files:
                archive.writestr(name, encoded)
    elif ".tar" in path.suffixes or path.suffix == ".tgz":
        with artifacts.atomic(path) as temporary, tarfile.open(temporary, "w") as archive:
            for name, encoded in files:
                _add(archive, name, encoded)
    else:
        for name, encoded in files:
            place = path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encoded)


def _tree(dataset: Mapping[str, Any], train: int, test: int, size: int | None) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file: class folders as ImageNet's, and what lies beside its pictures."""
    classes, options = dataset["num_classes"], dataset["options"]
    for part, count, stem in (("train", train, ""), (options.get("test", "test"), test, "ILSVRC2012_val_")):
        for i in range(count):
            wnid = f"n{1440764 + 100 * (i % classes):08d}"
            name = f"{stem}{i:08d}" if stem else f"{wnid}_{i}"
            yield f"{part}/{wnid}/{name}.JPEG", _encoded(i, options.get("channels", 3), size, part)
    yield "LOC_synset_mapping.txt", b"a file beside the pictures\n"


def _encoded(number: int, channels: int, size: int | None, part: str) -> bytes:
    """A picture: a JPEG in RGB; as in ImageNet, one is a PNG, one in CMYK, one grey, one turned by EXIF."""
    draws = np.random.Generator(np.random.PCG64(rng.derive("rehearsal", part, number)))
    height, width = (size, size) if size else (int(one) for one in draws.integers(*SIDES, 2))
    pixels = _enlarged(draws.integers(0, 256, (BLOBS, BLOBS, channels), np.uint8), height, width)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    kind, options = "JPEG", {"quality": 92}
    if number == 1:
        kind, options = "PNG", {}
    elif number == 2 and size is None and channels == 3:  # where pictures are not fitted, CMYK is refused
        image = image.convert("CMYK")
    elif number == 3:
        image = image.convert("L")
    elif number == 4:
        exif = Image.Exif()
        exif[ORIENTATION] = EXIF_TURNED
        options["exif"] = exif
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def write_cifar10(path: Path, datasets: Sequence[Mapping[str, Any]]) -> None:
    """CIFAR-10's archive of records, of as many images as declared."""
    dataset = datasets[0]
    train = dataset["splits"]["train"] + dataset["splits"]["validation"]
    shares = [len(part) for part in np.array_split(np.arange(train), len(CIFAR10_FILES) - 1)]
    with artifacts.atomic(path) as temporary, tarfile.open(temporary, "w:gz") as archive:
        for name, count in zip(CIFAR10_FILES, [*shares, dataset["splits"]["heldout"]], strict=True):
            images = noise(count, 32, 32, 3, name)
            records = np.concatenate(
                [np.arange(count, dtype=np.uint8)[:, None] % 10, images.transpose(0, 3, 1, 2).reshape(count, -1)], 1
            )
            _add(archive, f"cifar-10-batches-bin/{name}", records.tobytes())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
