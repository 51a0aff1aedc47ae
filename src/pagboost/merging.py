"""The files of shards, and the whole that is merged from them: as if one job had written it, or not at all.

A shard's file is the whole's with some of its rows, and says which rows, and of what whole: two shards are of one set
where all that the set is made from is the same.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError

PART = "part"
SHARD = "a shard (.npz that a script wrote with --shard)"


@dataclass(frozen=True)
class Part:
    """Rows `start` to `stop` (exclusive) of `count`; of: what the whole is made from, as `identity`."""

    of: str
    start: int
    stop: int
    count: int


def identity(made_from: Mapping[str, Any]) -> str:
    """What a set is made from, settings and hashes of files, as one hash, hexadecimal."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def save_part(
    path: str | Path, arrays: Mapping[str, np.ndarray], rows: slice, count: int, made_from: Mapping[str, Any]
) -> None:
    """Write a shard: arrays of the given rows of a set of `count`, and arrays without rows (0-d), the same in all."""
    part = Part(identity(made_from), rows.start, rows.stop, count)
    artifacts.save_arrays(path, {**arrays, PART: np.array(json.dumps(asdict(part), sort_keys=True))})


def save_samples(path: str | Path, samples: SampleSet, rows: slice, count: int, made_from: Mapping[str, Any]) -> None:
    """Write a shard of samples: itself a sample file, and merged what artifacts.save_samples writes of all."""
    save_part(path, artifacts.arrays_of(samples), rows, count, made_from)


def merged(paths: Sequence[str | Path]) -> dict[str, np.ndarray]:
    """The whole's arrays, in memory of the whole and one shard; the order in which shards are given does not matter.

    Raises InputError for a file that is no shard, shards of different sets, and rows that are not there, or twice.
    """
    parts = in_order([(Path(path), _part(Path(path))) for path in paths])
    whole: dict[str, np.ndarray] = {}
    first = parts[0][0]
    for path, part in parts:
        arrays = artifacts.load_arrays(path, _names(path), SHARD)
        del arrays[PART]
        _check(path, arrays, part, first, whole)
        for key, array in arrays.items():
            if array.ndim == 0:
                whole[key] = array
                continue
            if key not in whole:
                whole[key] = np.empty((part.count, *array.shape[1:]), array.dtype)
            whole[key][part.start : part.stop] = array
    return whole


def in_order(parts: Sequence[tuple[Path, Part]]) -> list[tuple[Path, Part]]:
    """Shards by their rows; InputError unless these are all rows of one set, each once."""
    first, one = parts[0]
    for path, part in parts:
        if (part.of, part.count) != (one.of, one.count):
            raise InputError(f"{path}: a shard of another set than {first}, expected shards of one set")
    ordered = sorted(parts, key=lambda entry: entry[1].start)
    done = 0
    for path, part in ordered:
        if part.start != done:
            what = "are missing" if part.start > done else "are there twice"
            rows = sorted((part.start, done))
            raise InputError(f"{path}: before it images {rows[0]}..{rows[1] - 1} {what}, expected each shard once")
        done = part.stop
    if done != one.count:
        raise InputError(f"{ordered[-1][0]}: after it images {done}..{one.count - 1} are missing, expected all shards")
    return ordered


def _part(path: Path) -> Part:
    text = str(artifacts.load_arrays(path, [PART], SHARD)[PART])
    with artifacts.readable(path, SHARD):
        return Part(**json.loads(text))


def _names(path: Path) -> list[str]:
    """The arrays of an .npz, in the order in which they were written."""
    with artifacts.readable(path, SHARD), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _check(
    path: Path, arrays: Mapping[str, np.ndarray], part: Part, first: Path, whole: Mapping[str, np.ndarray]
) -> None:
    """Raise InputError unless a shard's arrays are of its rows, and laid out as those of the shards before it."""
    if whole and arrays.keys() != whole.keys():
        raise InputError(f"{path}: holds {', '.join(arrays)}, expected {', '.join(whole)} as {first}")
    for key, array in arrays.items():
        if array.ndim and len(array) != part.stop - part.start:
            raise InputError(f"{path}: {key} has {len(array)} rows, expected {part.stop - part.start}")
        if key in whole:
            same = array.shape[1:] == whole[key].shape[1:] and array.dtype == whole[key].dtype
            if not (same if array.ndim else array == whole[key]):
                raise InputError(f"{path}: {key} is not as in {first}, expected shards of one set")
