"""Everything that crosses a process boundary: samples (.npz), weights (.safetensors), JSON; whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np

from pagboost.errors import InputError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SampleSet:
    """Images as they are stored.

    images: uint8 [N, H, W, C] with C = 1 or 3. labels: int64 [N], or None for an unlabelled set.
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


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place on success, remove it on any failure.

    Raises OSError naming `path` when it cannot be written, a full disk for one.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes private files; results are shared between users of a cluster, so follow the umask.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _array(archive: Mapping[str, np.ndarray], key: str, length: int, path: Path) -> np.ndarray | None:
    """An integer column [N] of a sample file, as int64."""
    if key not in archive:
        return None
    column = _member(archive, key, path)
    if column.ndim != 1 or len(column) != length or not np.issubdtype(column.dtype, np.integer):
        raise InputError(
            f"{path}: {key} is {column.dtype} {list(column.shape)}, expected {length} integers, one per image"
        )
    return column.astype(np.int64)


@contextlib.contextmanager
def readable(path: Path, what: str) -> Iterator[None]:
    """Turn the many ways a file can be missing, truncated or foreign into one line."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file, expected {what}") from error
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not readable as {what} ({reason})") from error
    except Exception as error:  # those of zlib, safetensors and Pillow derive from Exception alone
        if type(error).__name__ not in {"error", "SafetensorError", "DecompressionBombError"}:
            raise
        raise InputError(f"{path}: not readable as {what} ({error})") from error


@contextlib.contextmanager
def _archive(path: Path, what: str) -> Iterator[Mapping[str, np.ndarray]]:
    """An opened .npz; InputError where there is none."""
    with readable(path, what):
        archive = np.load(path)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputError(f"{path}: a bare array, expected {what}")
        with archive:
            yield archive


def _member(archive: Mapping[str, np.ndarray], key: str, path: Path) -> np.ndarray:
    """An array of an .npz; numpy hands out a zip's other members as bytes."""
    array = archive[key]
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: {key} is no array, expected what numpy.savez writes")
    return array


def load_samples(path: str | Path, num_classes: int | None = None) -> SampleSet:
    """Read a sample file: `arr_0` uint8 [N, H, W, C], `arr_1` integer labels [N] in [0, num_classes).

    Raises InputError naming the file for a missing or truncated file, a missing arr_0, a wrong dtype or shape,
    labels out of range or of another length.
    """
    path = Path(path)
    with _archive(path, "a sample file (.npz with arr_0)") as archive:
        if "arr_0" not in archive:
            raise InputError(f"{path}: has {sorted(archive)}, expected arr_0 (uint8 images [N, H, W, C])")
        images = _member(archive, "arr_0", path)
        if images.dtype != np.uint8:
            raise InputError(f"{path}: arr_0 is {images.dtype}, expected uint8 images in 0..255")
        if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
            raise InputError(f"{path}: arr_0 has shape {list(images.shape)}, expected [N, H, W, C], C = 1 or 3")
        labels, seeds, index = (_array(archive, k, len(images), path) for k in ("arr_1", "seeds", "index"))
    if labels is not None:
        bad = labels[(labels < 0) | (labels >= (np.inf if num_classes is None else num_classes))]
        if len(bad):
            limit = "0 or more" if num_classes is None else f"0..{num_classes - 1}"
            raise InputError(f"{path}: arr_1 holds label {bad[0]}, expected {limit}")
    return SampleSet(images, labels, seeds, index)


def save_samples(path: str | Path, samples: SampleSet) -> None:
    """Write a sample set in the layout load_samples reads; equal sets give equal bytes."""
    arrays = {"arr_0": samples.images, "arr_1": samples.labels, "seeds": samples.seeds, "index": samples.index}
    save_arrays(path, {key: value for key, value in arrays.items() if value is not None})


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as one .npz, atomically."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def load_arrays(path: str | Path, keys: Sequence[str], what: str) -> dict[str, np.ndarray]:
    """Read the named arrays of an .npz; `what` says in an error which kind of file was expected."""
    path = Path(path)
    with _archive(path, what) as archive:
        missing = [key for key in keys if key not in archive]
        if missing:
            raise InputError(f"{path}: has no {missing[0]}, expected {what} with {', '.join(keys)}")
        return {key: _member(archive, key, path) for key in keys}


def save_weights(path: str | Path, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]) -> None:
    """Write tensors and a JSON description (architecture, step, EMA flag, …) as safetensors.

    Raises InputError if a tensor holds a non-finite number: broken weights never reach the disk.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    _finite(tensors, Path(path))
    contiguous = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    with atomic(path) as temporary:
        try:
            save_file(contiguous, temporary, metadata={"pagboost": json.dumps(description, sort_keys=True)})
        except SafetensorError as error:  # what a full disk looks like from there
            raise OSError(errno.EIO, str(error)) from error


def load_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read (tensors, description) of a file that save_weights wrote, on the CPU.

    Raises InputError for a missing, truncated or foreign file and for non-finite numbers.
    """
    from safetensors import safe_open

    path = Path(path)
    with readable(path, "weights (.safetensors)"), safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("pagboost")
        if text is None:
            raise InputError(f"{path}: carries no pagboost description, expected weights written by this project")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        description = json.loads(text)
    _finite(tensors, path)
    return tensors, description


def _finite(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
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
    """Write JSON, sorted and indented, atomically; InputError for NaN or infinity in it."""
    try:
        text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    except ValueError as error:
        raise InputError(f"{path}: not written, it would hold NaN or infinity") from error
    with atomic(path) as temporary:
        temporary.write_text(text + "\n")


def load_json(path: str | Path) -> Any:
    """Read JSON; InputError names a missing or malformed file."""
    path = Path(path)
    with readable(path, "JSON"):
        return json.loads(path.read_text())


def file_hash(path: str | Path) -> str:
    """sha256 of a file, hexadecimal."""
    with readable(Path(path), "a file"), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def provenance(**facts: Any) -> dict[str, Any]:
    """What made a result: package versions and the caller's facts. No time, no host: equal runs give equal files."""
    versions = {name: metadata.version(name) for name in ("numpy", "torch")}
    return {"versions": versions, **facts}
