"""Tensors as files describe them: shape, type, and where their numbers lie; nothing is read before it is asked for.

A pickle may try to set attributes of whatever it builds (BUILD): what is built here takes none but what it expects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

MOST_DIMENSIONS = 64
FORGED = "its pickle is cut short, damaged or forged"


@dataclass(frozen=True)
class Stored:
    """A tensor of a file: what is said of it, and what reads it onto the CPU."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], torch.Tensor]

    def __setstate__(self, state: Any) -> None:
        """A pickle changes nothing in it."""


class Storage:
    """The numbers behind one or several tensors, `count` of `dtype`; `place` says how their bytes are had."""

    def __init__(self, key: str, dtype: torch.dtype, count: int) -> None:
        self.key, self.dtype, self.count = key, dtype, count
        self._open: Callable[[], torch.UntypedStorage] | None = None
        self._opened: torch.UntypedStorage | None = None

    def __setstate__(self, state: Any) -> None:
        """A pickle changes nothing in it."""

    def nbytes(self) -> int:
        """Its length in bytes."""
        return self.count * self.dtype.itemsize

    def place(self, opened: Callable[[], torch.UntypedStorage]) -> None:
        """Say what gives its bytes: asked once, for all tensors that share it."""
        self._open = opened

    def numbers(self) -> torch.UntypedStorage:
        """Its bytes."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened


class NumpyType:
    """A NumPy dtype by its letters ("f4"); its byte order follows as its state."""

    def __init__(self, letters: str, *_: Any) -> None:
        self.letters, self.order = letters, "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def dtype(self) -> np.dtype:
        """NumPy's own."""
        return np.dtype(self.letters if self.order == "|" else f"{self.order}{self.letters}")


class NumpyArray:
    """A NumPy array; its state follows: (version, shape, dtype, whether in Fortran's order, bytes)."""

    def __init__(self, *_: Any) -> None:
        self.held: Stored | None = None  # None: no numbers

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if torch_type(dtype.dtype()) is not None:
            self.held = of_bytes(counts(shape), dtype.dtype(), raw, "F" if fortran else "C")

    @classmethod
    def scalar(cls, dtype: NumpyType, raw: Any) -> NumpyArray:
        """One number."""
        return cls.of_buffer(raw, dtype, (), "C")

    @classmethod
    def of_buffer(cls, raw: Any, dtype: NumpyType, shape: Any, order: str, axes: Any = None) -> NumpyArray:
        """An array as pickles since protocol 5 have it. axes: the order that its own stand in, where there is one."""
        made = cls()
        made.__setstate__((1, shape, dtype, order == "F", raw))
        if axes is not None and made.held is not None:
            if sorted(counts(axes)) != [*range(len(made.held.shape))]:
                raise ValueError(f"{FORGED}: axes {axes} of an array")
            stored, shown = made.held, tuple(made.held.shape[axis] for axis in axes)
            made.held = Stored(shown, stored.dtype, lambda: stored.read().permute(*axes))
        return made


def of_bytes(shape: tuple[int, ...], dtype: np.dtype, raw: bytes, order: str = "C") -> Stored:
    """A tensor of bytes that are at hand. Raises ValueError unless they are as many as the shape says."""
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{FORGED}: {len(raw)} bytes for {dtype} {list(shape)}")
    return of_array(shape, dtype, lambda: np.frombuffer(raw, dtype).reshape(shape, order=order))


def torch_type(dtype: np.dtype) -> torch.dtype | None:
    """PyTorch's type of the same numbers; None for texts, objects, records, and numbers that it has not."""
    try:
        return torch.from_numpy(np.empty(0, dtype.newbyteorder("="))).dtype
    except TypeError:
        return None


def of_array(shape: tuple[int, ...], dtype: np.dtype, read: Callable[[], np.ndarray]) -> Stored:
    """A tensor that NumPy reads, as an array of numbers (torch_type) in whatever byte order."""
    native = dtype.newbyteorder("=")
    return Stored(shape, torch_type(dtype), lambda: torch.from_numpy(np.array(read(), native)))


def view(storage: Any, offset: int, size: Sequence[int], stride: Sequence[int], dtype: torch.dtype) -> Stored:
    """A tensor in a storage. Raises ValueError for one that reaches beyond it, before anything of it is read."""
    shape, strides = counts(size), counts(stride)
    (offset,) = counts((offset,))
    if not isinstance(storage, Storage) or len(strides) != len(shape):
        raise ValueError(FORGED)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if all(shape) else -1
    held = storage.nbytes() // dtype.itemsize
    if last >= held:
        raise ValueError(f"{FORGED}: a tensor {list(shape)} reaches number {last:,} of a storage of {held:,}")

    def read() -> torch.Tensor:
        return torch.empty(0, dtype=dtype).set_(storage.numbers(), offset, shape, strides)

    return Stored(shape, dtype, read)


def changed(stored: Stored, marks: Collection[str]) -> Stored:
    """A tensor that is not what its storage holds: conjugated ("conj"), negated ("neg"), as PyTorch marks views."""

    def read() -> torch.Tensor:
        value = stored.read()
        value = torch.conj_physical(value) if "conj" in marks else value
        return torch.neg(value) if "neg" in marks else value

    return Stored(stored.shape, stored.dtype, read)


def counts(numbers: Any) -> tuple[int, ...]:
    """Sizes or strides. Raises ValueError for anything else than a few integers of 0 or more."""
    if not isinstance(numbers, (tuple, list)) or len(numbers) > MOST_DIMENSIONS:
        raise ValueError(FORGED)
    if not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers):
        raise ValueError(f"{FORGED}: sizes or strides that are no integers of 0 or more")
    return tuple(numbers)


def entries(content: Mapping[Any, Any]) -> dict[str, Any]:
    """What a mapping of a file holds, by names as text: tensors as Stored, all else as it is."""
    return {str(key): getattr(value, "held", None) or value for key, value in content.items() if _is_name(key)}


def _is_name(key: Any) -> bool:
    return isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 63)  # longer ones Python does not print


def tensors(content: Mapping[Any, Any]) -> dict[str, Stored]:
    """The tensors by name among it."""
    return {key: value for key, value in entries(content).items() if isinstance(value, Stored)}
