"""Everything that crosses a process boundary: samples (.npz), weights (.safetensors), JSON; whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pagboost.errors import InputError
from pagboost.files import npz
from pagboost.files.npz import check_directory as check_directory  # offered here too, beside all that is read
from pagboost.files.npz import identity as identity
from pagboost.files.reading import changed, readable
from pagboost.files.reading import file_hash as file_hash
from pagboost.files.whole import atomic as atomic

log = logging.getLogger(__name__)

CHUNK = 256  # images that are looked at together
SAMPLES = "a sample file (.npz with arr_0)"
HASH = "content_sha256"  # under which JSON and weights carry the hash of what they hold

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SampleSet:
    """Images as they are stored.

    images: uint8 [N, H, W, C] with C = 1 or 3: an array, in memory or mapped, or what gives slices of its rows (as
    boosting.sets does, of sets that are larger than memory). labels: int64 [N], or None for an unlabelled set.
    seeds: int64 [N], the sampling seed each image was drawn with, or None where there is only one.
    index: int64 [N], the number of an image within its seed; it names the image's own random stream.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    seeds: np.ndarray | None = None
    index: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, rows: np.ndarray | slice) -> SampleSet:
        """The rows of a set in their order (shards, one seed, one class); each image keeps its random stream."""
        labels, seeds = (None if a is None else a[rows] for a in (self.labels, self.seeds))
        return SampleSet(self.images[rows], labels, seeds, self.streams()[1][rows])

    def streams(self) -> tuple[np.ndarray, np.ndarray]:
        """(seeds, index) of each image, int64 [N] each: where absent, seed 0 and the position in the file."""
        seeds = np.zeros(len(self), np.int64) if self.seeds is None else self.seeds
        index = np.arange(len(self), dtype=np.int64) if self.index is None else self.index
        return seeds, index

    def same_streams(self, other: SampleSet) -> bool:
        """Whether both sets hold the same samples (sampling seed and index) in the same order."""
        return all(np.array_equal(a, b) for a, b in zip(self.streams(), other.streams(), strict=True))

    def with_images(self, images: np.ndarray) -> SampleSet:
        """The same labels and streams over other images [N, H, W, C]."""
        return replace(self, images=images)


def numbered(seeds: Sequence[int], per_seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(seeds, index) int64 [N] each of `per_seed` images for every sampling seed, one seed after the other."""
    index = np.tile(np.arange(per_seed, dtype=np.int64), len(seeds))
    return np.repeat(np.asarray(seeds, np.int64), per_seed), index


def _array(archive: Mapping[str, np.ndarray], key: str, length: int, path: Path) -> np.ndarray | None:
    """An integer column [N] (or [N, 1], as some write labels) of a sample file, as int64 [N]."""
    if key not in archive:
        return None
    column = _member(archive, key, path)
    if column.shape == (length, 1):
        column = column[:, 0]
    if column.ndim != 1 or len(column) != length or not np.issubdtype(column.dtype, np.integer):
        one_hot = " (one-hot? argmax(1))" if column.ndim == 2 and len(column) == length else ""
        raise InputError(
            f"{path}: {key} is {column.dtype} {list(column.shape)}, expected {length} integers, one per image{one_hot}"
        )
    if len(column) and column.max() > np.iinfo(np.int64).max:
        raise InputError(f"{path}: {key} holds {column.max()}, expected at most {np.iinfo(np.int64).max}")
    return column.astype(np.int64)


@contextlib.contextmanager
def _archive(path: Path, what: str) -> Iterator[Mapping[str, np.ndarray]]:
    """An opened .npz; InputError where there is none."""
    with readable(path, what):
        archive = np.load(path)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputError(f"{path}: a bare array, expected {what}")
        with archive:
            npz.check_directory(archive.zip, path)
            yield archive


def _member(archive: Mapping[str, np.ndarray], key: str, path: Path) -> np.ndarray:
    """An array of an .npz; numpy hands out a zip's other members as bytes."""
    npz.check_member(archive, key, path)
    array = archive[key]
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: {key} is no array, expected what numpy.savez writes")
    return array


def load_samples(
    path: str | Path, num_classes: int | None = None, *, labels: str | None = None, mapped: bool = False
) -> SampleSet:
    """Read a sample file: `arr_0` uint8 [N, H, W, C], `arr_1` integer labels [N] in [0, num_classes).

    labels: the array that holds the labels in place of arr_1, or "none": the set has no labels, whatever it holds.
    mapped: images stay in their file until they are looked at, unless they are compressed (npz.mapped); what says that
    it was changed is then `identity`.
    Raises InputError naming the file for a missing or truncated file, a missing arr_0, a wrong dtype or shape,
    labels out of range or of another length, and where something else than arr_1 looks like labels and nobody says.
    """
    path = Path(path)
    with _archive(path, SAMPLES) as archive:
        if "arr_0" not in archive:
            held = npz.described(archive, archive)
            raise InputError(f"{path}: has no arr_0 but {held}, expected arr_0 (uint8 images [N, H, W, C])")
        images = npz.mapped(archive, "arr_0", path) if mapped else None
        images = _member(archive, "arr_0", path) if images is None else images
        _check_images(images, path, least=1)
        result = _with_columns(images, archive, num_classes, labels, path)
    warn_if_binary(images, str(path))
    _check_streams(result, path)
    return result


def _check_images(images: np.ndarray, path: str | Path, *, least: int = 0) -> None:
    """Raise InputError unless they are uint8 [N, H, W, C], N at least `least`."""
    shape = images.shape
    if images.dtype != np.uint8:
        raise InputError(f"{path}: arr_0 is {images.dtype}, expected uint8 images in 0..255")
    if len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape[1:] or len(images) < least:
        first = " (channels last: transpose(0, 2, 3, 1))" if len(shape) == 4 and shape[1] in (1, 3) else ""
        raise InputError(f"{path}: arr_0 has shape {list(shape)}, expected [N, H, W, C], C = 1 or 3{first}")


def with_columns(images: Any, path: str | Path, *, labels: str | None = None) -> SampleSet:
    """A sample file's set with these images in place of its own: they are its own, read elsewhere (as a stream).

    Raises InputError as load_samples does for all but images.
    """
    path = Path(path)
    with _archive(path, SAMPLES) as archive:
        result = _with_columns(images, archive, None, labels, path)
    _check_streams(result, path)
    return result


def _with_columns(
    images: Any, archive: Mapping[str, np.ndarray], num_classes: int | None, labels: str | None, path: Path
) -> SampleSet:
    """Images with the labels, sampling seeds and numbers that an opened sample file has of them."""
    key = npz.label_key(archive, len(images), labels, path)
    classes, seeds, index = (_array(archive, k, len(images), path) for k in (key, "seeds", "index"))
    if classes is not None:
        bad = classes[(classes < 0) | (classes >= (np.inf if num_classes is None else num_classes))]
        if len(bad):
            limit = "0 or more" if num_classes is None else f"0..{num_classes - 1}"
            raise InputError(f"{path}: {key} holds label {bad[0]}, expected {limit}")
    return SampleSet(images, classes, seeds, index)


def _check_streams(samples: SampleSet, path: Path) -> None:
    """Raise InputError unless sampling seed and index, both 0 or more, name each image by itself."""
    for key, column in zip(("seeds", "index"), samples.streams(), strict=True):
        if column.min() < 0:
            raise InputError(f"{path}: {key} holds {column.min()}, expected 0 or more")
    if samples.index is not None and not (samples.seeds is None and (np.diff(samples.index) > 0).all()):
        pairs, counts = np.unique(np.stack(samples.streams()), axis=1, return_counts=True)
        if (counts > 1).any():
            seed, index = pairs[:, counts.argmax()]
            raise InputError(
                f"{path}: {counts.max()} images have seed {seed} and index {index}, expected each pair once"
            )


def warn_if_binary(images: np.ndarray, where: str) -> None:
    """Log a warning where uint8 images [N, H, W, C] hold 0 and 1 alone: what a cast of images in [0, 1] leaves."""
    if all(images[start : start + CHUNK].max() <= 1 for start in range(0, len(images), CHUNK)):
        log.warning("%s: its pixels are all 0 or 1, expected 0..255 (were images in [0, 1] cast to uint8?)", where)


def save_samples(path: str | Path, samples: SampleSet, rows: np.ndarray | None = None) -> None:
    """Write a sample set in the layout load_samples reads; equal sets give equal bytes.

    rows: of it, samples.subset(rows). Of images that are mapped from a disk no more than some are held at a time.
    Raises InputError for images of another kind or layout, which load_samples would refuse.
    """
    if not isinstance(samples, SampleSet):
        raise InputError(f"{path}: {type(samples).__name__}, expected a SampleSet to write")
    _check_images(samples.images, path)
    images: np.ndarray | npz.Rows = samples.images
    if rows is not None:
        images = npz.Rows(images, rows)
        samples = samples.with_images(np.empty((len(samples), 0), np.uint8)).subset(rows)
    save_arrays(path, {**arrays_of(samples), "arr_0": images})


def arrays_of(samples: SampleSet) -> dict[str, np.ndarray]:
    """A sample set's arrays under their names in a file, in its order, without those that it has not."""
    arrays = {"arr_0": samples.images, "arr_1": samples.labels, "seeds": samples.seeds, "index": samples.index}
    return {key: value for key, value in arrays.items() if value is not None}


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray | npz.Rows | npz.Stream]) -> None:
    """Write named arrays as one .npz, atomically; its comment carries the hash of its directory."""
    with atomic(path) as temporary:
        with open(temporary, "wb") as file:
            npz.write(file, arrays)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = npz.directory_hash(archive)


def load_arrays(path: str | Path, keys: Sequence[str], what: str) -> dict[str, np.ndarray]:
    """Read the named arrays of an .npz; `what` says in an error which kind of file was expected."""
    path = Path(path)
    with _archive(path, what) as archive:
        missing = [key for key in keys if key not in archive]
        if missing:
            raise InputError(f"{path}: has no {missing[0]}, expected {what} with {', '.join(keys)}")
        return {key: _member(archive, key, path) for key in keys}


def save_weights(path: str | Path, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]) -> None:
    """Write tensors and a JSON description (architecture, step, EMA flag, …) as safetensors, with the hash of both.

    Raises InputError if a tensor holds a non-finite number: broken weights never reach the disk.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    check_finite(tensors, path)
    contiguous = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    # one entry alone: safetensors writes several in another order each time
    text = json.dumps({**description, HASH: weights_hash(contiguous, description)}, sort_keys=True)
    with atomic(path) as temporary:
        try:
            save_file(contiguous, temporary, metadata={"pagboost": text})
        except SafetensorError as error:  # what a full disk looks like from there
            raise OSError(errno.EIO, str(error)) from error


def load_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read (tensors, description) of a file that save_weights wrote, on the CPU.

    Raises InputError for a missing, truncated or foreign file, for one that was changed after it was written, and for
    non-finite numbers.
    """
    from safetensors import safe_open

    path = Path(path)
    with readable(path, "weights (.safetensors)"), safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("pagboost")
        if text is None:
            raise InputError(f"{path}: carries no pagboost description, expected weights written by this project")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        description = json.loads(text)
    if description.pop(HASH, stated := weights_hash(tensors, description)) != stated:
        raise InputError(changed(path))
    check_finite(tensors, path)
    return tensors, description


def weights_hash(tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]) -> str:
    """sha256 of names, types, shapes and bytes of tensors on the CPU, and of what is said of them."""
    import torch

    digest = hashlib.sha256(_json_hash(description).encode())
    for key in sorted(tensors):
        value = tensors[key].contiguous()
        digest.update(f"\0{key}\0{value.dtype}\0{list(value.shape)}\0".encode())
        if value.numel():
            digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def check_finite(tensors: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Raise InputError, which names the tensor, for NaN or infinity among them."""
    for key, value in tensors.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(f"{path}: tensor {key} holds NaN or infinity, expected finite weights")


def load_into(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Load tensors into a network strictly: every name and every shape must fit, or one InputError says which."""
    own = network.state_dict()
    for key in sorted(own.keys() ^ tensors.keys()):
        where = "is missing" if key in own else "is not part of this architecture"
        raise InputError(f"{path}: tensor {key} {where} ({type(network).__name__})")
    for key, value in own.items():
        if value.shape != tensors[key].shape:
            raise InputError(f"{path}: tensor {key} is {list(tensors[key].shape)}, expected {list(value.shape)}")
    network.load_state_dict(tensors, strict=True)


def save_json(path: str | Path, content: Any) -> None:
    """Write JSON, sorted and indented, an object with the hash of its content; atomically.

    Raises InputError for NaN or infinity in it.
    """
    try:
        content = json.loads(json.dumps(content, allow_nan=False))  # as a reader will see it: keys are text
    except ValueError as error:
        raise InputError(f"{path}: not written, it would hold NaN or infinity") from error
    if isinstance(content, dict):
        content[HASH] = _json_hash(content)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_json(path: str | Path) -> Any:
    """Read JSON; of what save_json wrote, without its hash.

    Raises InputError naming a missing or malformed file, and one that was changed after save_json wrote it.
    """
    path = Path(path)
    with readable(path, "JSON"):
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, dict) and content.pop(HASH, stated := _json_hash(content)) != stated:
        raise InputError(changed(path))
    return content


def _json_hash(content: Mapping[str, Any]) -> str:
    """sha256 of an object without the hash it carries, however it is laid out."""
    return hashlib.sha256(
        json.dumps({k: v for k, v in content.items() if k != HASH}, sort_keys=True).encode()
    ).hexdigest()


def provenance(**facts: Any) -> dict[str, Any]:
    """What made a result: package versions and the caller's facts. No time, no host: equal runs give equal files."""
    versions = {name: metadata.version(name) for name in ("numpy", "torch")}
    return {"versions": versions, **facts}
