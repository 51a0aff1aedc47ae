"""Pickles of others, read without running them: tensors become descriptions, everything else that is named stays inert.

A pickle names classes and functions and says what to call them with. Nothing that it names is imported here: the few
functions that put tensors together are our own, and whatever else is named becomes a stand-in to which everything can
be done and nothing happens. So a file may hold an optimiser, a name space or code that dill wrote beside its tensors.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Iterator, Mapping
from pickle import Unpickler, UnpicklingError
from typing import Any, BinaryIO

import torch

from pagboost.sources.stored import FORGED, NumpyArray, NumpyType, Storage, Stored, changed, counts, tensors, view

# A network with its optimiser takes tens of thousands of steps and some twenty names; these bound a forged pickle's
# memory to a gigabyte.
MOST_STEPS, MOST_NAMES = 5_000_000, 10_000
GROWTH = 16  # what functions may be given in all, over the pickle's own length: each thing may be named again and again
STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
UNNAMED = ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in STORAGES.values()}
DTYPES |= {name: getattr(torch, name) for name in UNNAMED}  # those that no storage has a name for
# of quantised tensors, which are not read; what lies beside and behind them is
STORAGES |= {"QInt8Storage": torch.int8, "QUInt8Storage": torch.uint8, "QInt32Storage": torch.int32}
STORAGES |= {"QUInt4x2Storage": torch.uint8, "QUInt2x4Storage": torch.uint8}
MARKS = {"conj", "neg"}  # what PyTorch says of a view that is not what its storage holds


class _Untouched(type):
    """Classes that are what they make: calls, items and attributes change nothing."""

    def __call__(cls, *_: Any, **__: Any) -> type:
        return cls

    def __setitem__(cls, key: Any, value: Any) -> None:
        pass

    def __setattr__(cls, key: str, value: Any) -> None:
        pass


class Inert(metaclass=_Untouched):
    """What stands for a class, a function, or what they would have made: whatever is done to it, nothing happens.

    It is always a class, even for an object: code that dill wrote makes classes by functions, and objects of them.
    """

    place = "an object"  # MODULE.NAME of what it stands for

    def __new__(cls, *_: Any, **__: Any) -> type[Inert]:
        return cls

    @staticmethod
    def _nothing(*_: Any, **__: Any) -> None:
        pass

    __setstate__ = append = extend = add = _nothing  # what a pickle does to a thing besides


class Named(dict):
    """A mapping, ordered or with defaults: plain names and values, and no attributes."""

    __slots__ = ()

    @staticmethod
    def __setstate__(*_: Any) -> None:
        """A pickle changes nothing in it but its items."""


class Builder:
    """One of our own functions, as a pickle gets to see it: it can be called, and not changed.

    spend: is told how much it is given, of what functions copy.
    """

    __slots__ = ("_make", "_spend")

    def __init__(self, make: Callable[..., Any], spend: Callable[[int], None]) -> None:
        self._make, self._spend = make, spend

    def __call__(self, *args: Any) -> Any:
        self._spend(sum(len(each) for each in args if isinstance(each, (str, list, tuple, dict))))
        return self._make(*args)

    @staticmethod
    def __setstate__(*_: Any) -> None:
        """A pickle changes nothing in it."""


def _tensor(storage: Any, offset: int, size: Any, stride: Any, _: Any = None, __: Any = None, marks: Any = None) -> Any:
    return _marked(view(storage, offset, size, stride, getattr(storage, "dtype", torch.uint8)), marks)


def _tensor_of_dtype(
    storage: Any, offset: int, size: Any, stride: Any, _: Any, __: Any, dtype: Any, marks: Any = None
) -> Any:
    """A tensor of a type that no storage has a name for; of one that is not known here: the type's stand-in."""
    if not isinstance(dtype, torch.dtype):
        return dtype if isinstance(dtype, _Untouched) else Inert
    return _marked(view(storage, offset, size, stride, dtype), marks)


def _marked(tensor: Stored, marks: Any) -> Any:
    """A tensor as its marks {"neg": True} say; a stand-in where they say what is not known here."""
    if not marks:
        return tensor
    return changed(tensor, {mark for mark in marks if marks[mark]}) if {*marks} <= MARKS else Inert


def _bytes(raw: Any = b"", *_: Any) -> bytes | bytearray:
    """Bytes of bytes; nothing for anything else: of a number they would be as many."""
    return raw if isinstance(raw, (bytes, bytearray)) else b""


def _subclassed(make: Any, _: Any, args: Any, *__: Any) -> Any:
    """A tensor with attributes, or of a subclass: the tensor."""
    return make(*args) if isinstance(make, Builder) else Inert


# By the names under which pickles call them. Old ordered dictionaries come with their pairs, later ones get them
# afterwards; bytes are written as text, so that Python 2 can read them.
BUILDERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda items=(), *_: Named(items),
    "collections.defaultdict": lambda *_: Named(),
    "torch.Size": lambda sizes=(): counts(sizes),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_dtype,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
    "torch._tensor._rebuild_from_type_v2": _subclassed,
    "_codecs.encode": lambda text, *_: text.encode("latin1"),
    **{f"{module}.{kind}": _bytes for module in ("builtins", "__builtin__") for kind in ("bytes", "bytearray")},
    "numpy.dtype": NumpyType,
    **{f"numpy.{core}.multiarray._reconstruct": NumpyArray for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": NumpyArray.scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": NumpyArray.of_buffer for core in ("core", "_core")},
}


class Restricted(Unpickler):
    """An unpickler that finds nothing but builders and stand-ins; `storages` are those that tensors refer to."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.storages: dict[tuple[str, torch.dtype], Storage] = {}
        self._known: dict[Any, Any] = {}
        self._left = GROWTH * len(content)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError(f"{FORGED}: it grows to more than {GROWTH} times its length")

    def find_class(self, module: str, name: str) -> Any:
        """What stands for module.name: nothing is looked up, so nothing can be imported."""
        place = f"{module}.{name}"
        if place not in self._known:
            if len(self._known) >= MOST_NAMES:
                raise ValueError(f"its pickle names more than {MOST_NAMES:,} things")
            self._known[place] = self._stand_in(place)
        return self._known[place]

    def _stand_in(self, place: str) -> Any:
        module, _, name = place.rpartition(".")
        if place in BUILDERS:
            return Builder(BUILDERS[place], self._spend)
        if module in ("torch", "torch.cuda", "torch.storage") and name in STORAGES:
            return STORAGES[name]
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        return _Untouched("Inert", (Inert,), {"place": place})

    def persistent_load(self, pid: Any) -> Any:
        """What torch.save keeps outside the pickle: storages; and, of old, classes beside their source code."""
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
            return pid[1]
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            raise ValueError(FORGED)
        _, dtype, key, _, count, *parts = pid
        if any(parts) or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise ValueError("it holds a storage of a kind that is not read here (written before PyTorch 0.4?)")
        (count,) = counts((count,))
        storage = self.storages.setdefault((key, dtype), Storage(key, dtype, count))
        if storage.count != count:
            raise ValueError(f"{FORGED}: storage {word(key)} is of two lengths")
        return storage


def pickled(file: BinaryIO) -> bytes:
    """The one pickle that begins where a file stands, which then stands behind it.

    Each step is looked at before anything is done: counts that the file does not hold would be allocated, and so would
    a table of as many entries as one number says. Raises ValueError for those, and for no pickle.
    """
    start = file.tell()
    for steps, (code, argument) in enumerate(_steps(file)):
        if code.name in ("PUT", "LONG_BINPUT") and argument > steps + 256:
            raise ValueError(f"{FORGED}: entry {argument:,} of its table after {steps:,} steps")
        if steps > MOST_STEPS:
            raise ValueError(f"its pickle takes more than {MOST_STEPS:,} steps")
    end = file.tell()
    file.seek(start)
    return file.read(end - start)


def _steps(file: BinaryIO) -> Iterator[tuple[pickletools.OpcodeInfo, Any]]:
    try:
        for code, argument, _ in pickletools.genops(file):
            yield code, argument
    except ValueError as error:
        raise ValueError(f"{FORGED} ({str(error).splitlines()[0]})") from error


def unpickled(content: bytes) -> tuple[Any, list[Storage]]:
    """(what a pickle holds, the storages it refers to): numbers, texts, lists, mappings, tensors and stand-ins.

    Raises ValueError for what is not put together as torch.save and its like do it.
    """
    reader = Restricted(content)
    try:
        return reader.load(), [*reader.storages.values()]
    except ValueError:
        raise
    except (ArithmeticError, AttributeError, EOFError, LookupError, MemoryError) as error:
        raise ValueError(FORGED) from error
    except (RuntimeError, TypeError, UnpicklingError) as error:
        raise ValueError(FORGED) from error


def described(content: Any) -> str:
    """What an entry of a file is, in few words."""
    if isinstance(content, Mapping):
        count = len(tensors(content))
        return f"{count} tensors by name" if count else f"{len(content)} entries, no tensors"
    if isinstance(content, _Untouched):
        return word(content.place)
    return {Stored: "tensor", NumpyArray: "NumPy array"}.get(type(content), type(content).__name__)


def word(text: str) -> str:
    """A name out of a file, as part of a line: short, and without what a terminal would act on."""
    return text[:100] if text.isprintable() else ascii(text[:100])
