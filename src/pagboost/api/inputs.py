"""Samples as callers give them: a path, a tensor or array, a SampleSet, a torch Dataset or a list of pictures."""

from __future__ import annotations

import contextlib
import math
import operator
import os
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pagboost.api import arrays
from pagboost.api.items import Items
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.metrics import runs
from pagboost.metrics.image_sets import ImageSet, InMemory, check_layout

BATCH = 256  # items that are read together


def is_path(given: Any) -> bool:
    """Whether something is named, not held."""
    return isinstance(given, (str, os.PathLike))


def name(given: Any, what: str, expected: str) -> str:
    """A path, or another name, as text; InputError naming the argument for what is none."""
    if not is_path(given):
        raise InputError(f"{what}: {type(given).__name__}, expected {expected}")
    return os.fspath(given)


def image_set(given: Any, where: str, channels: int = 3) -> ImageSet:
    """What is looked at batch by batch; channels: 3 turns grey pictures of a path into RGB.

    Raises InputError naming the path, or `where`, for what holds no images.
    """
    if is_path(given):
        return runs.open_set(os.fspath(given), channels)
    if isinstance(given, SampleSet):
        given = _checked(given, where)
        return InMemory(given.images, where, given.streams()[0], given.labels)
    return InMemory(arrays.stored(given, where), where) if arrays.is_array(given) else Items(given, where)


def sample_set(given: Any, labels: Any, where: str, seed: int = 0) -> SampleSet:
    """What is held whole: uint8 [N, H, W, C] and labels int64 [N], those given, else the images' own, else none.

    labels: integers [N], or one for all. seed: names the images' random streams where they have no seeds of their own.
    Raises InputError as image_set does, and for labels that are no integers, or not one for each image.
    """
    if isinstance(given, SampleSet):
        result = _checked(given, where)
    elif arrays.is_array(given):
        result = SampleSet(arrays.stored(given, where))
    else:
        found = Items(given, where)
        own = found.labels() if labels is None else None
        result = SampleSet(np.concatenate(list(found.batches(BATCH))), None if own is None else own.numbers)
    return seeded(labelled(result, labels, where), seed)


def _checked(samples: SampleSet, where: str) -> SampleSet:
    """A SampleSet that a caller made, its columns as int64 [N]; InputError for what it should not hold."""
    if not isinstance(samples.images, np.ndarray):
        kind = type(samples.images).__name__
        raise InputError(f"{where}: a SampleSet's images are a {kind}, expected an array, uint8 [N, H, W, C]")
    check_layout(samples.images.dtype, samples.images.shape, where)
    columns = {column: getattr(samples, column) for column in ("labels", "seeds", "index")}
    numbers = {
        column: _numbers(found, len(samples), f"{where}: {column}")
        for column, found in columns.items()
        if found is not None
    }
    return replace(samples, **numbers)


def labelled(samples: SampleSet, labels: Any, where: str) -> SampleSet:
    """With these labels; None: with its own."""
    return samples if labels is None else replace(samples, labels=_numbers(labels, len(samples), f"{where}: labels"))


def seeded(samples: SampleSet, seed: int) -> SampleSet:
    """With this sampling seed, unless it has seeds."""
    return samples if samples.seeds is not None or not seed else replace(samples, seeds=np.full(len(samples), seed))


def _numbers(labels: Any, n: int, where: str) -> np.ndarray:
    try:
        numbers = labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else np.asarray(labels)
    except (RuntimeError, TypeError, ValueError) as error:  # lists of several lengths, sparse tensors
        raise InputError(f"{where}: {type(labels).__name__}, expected integers [{n}], or one for all") from error
    if numbers.dtype.kind not in "iu":
        raise InputError(f"{where}: {numbers.dtype}, expected integers [{n}], or one for all")
    if numbers.size and numbers.max() > np.iinfo(np.int64).max:
        raise InputError(f"{where}: holds {numbers.max()}, expected less")
    numbers = np.full(n, numbers, np.int64) if numbers.ndim == 0 else numbers.astype(np.int64)
    if numbers.shape != (n,):
        raise InputError(f"{where}: {list(numbers.shape)}, expected integers [{n}], or one for all")
    if n and numbers.min() < 0:
        raise InputError(f"{where}: holds {numbers.min()}, expected 0 or more")
    return numbers


def positive(value: Any, name: str) -> float:
    """A length; InputError naming the argument for what is no finite number above 0."""
    if not isinstance(value, (str, bool)):
        with contextlib.suppress(TypeError, ValueError):
            if 0 < float(value) < math.inf:
                return float(value)
    raise InputError(f"{name}: {value!r}, expected a finite number above 0")


def count(value: Any, name: str, least: int = 1) -> int:
    """A number of things; InputError naming the argument for what is no integer of at least `least`."""
    with contextlib.suppress(TypeError):
        if not isinstance(value, bool) and (number := operator.index(value)) >= least:
            return number
    raise InputError(f"{name}: {value!r}, expected an integer of at least {least}")
