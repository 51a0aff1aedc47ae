"""Files of tensors that others wrote (torch.save's, .safetensors, .npz), told apart by content; nothing is executed.

torch.load(weights_only=True) is not used: it refuses a whole file for one optimiser, name space or piece of code beside
the tensors, which most training checkpoints hold; it reads what nobody asks for; and its list of what may be built is
one of the whole process. Here nothing is read but what is asked for by name, after its shape was looked at.
"""

from __future__ import annotations

import io
import mmap
import sys
import zipfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from pagboost.files import npz
from pagboost.files.reading import readable
from pagboost.sources.stored import FORGED, NumpyArray, Storage, Stored, of_array, torch_type
from pagboost.sources.unpickling import pickled, unpickled, word

WHAT = "weights (.pt, .safetensors or .npz)"
MAGIC = 0x1950A86A20F9469CFC6C  # begins what torch.save wrote before PyTorch 1.6
ZIP, LOCAL_HEADER = b"PK\x03\x04", 30  # bytes of the fixed part
DTYPES = {  # of .safetensors
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U64": torch.uint64, "U32": torch.uint32,
    "U16": torch.uint16, "U8": torch.uint8, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


def read(path: Path) -> Any:
    """What a file holds: usually a mapping with a Stored for each tensor, which is read when it is asked for.

    Raises InputError for a file of another kind, one cut short, and one whose pickle, storages or counts are forged.
    """
    with readable(path, WHAT), open(path, "rb") as file:
        start = file.read(16)
        if start.startswith(ZIP):
            return _zipped(path, file)
        if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
            return _safetensors(path)
        if start[:1] == b"\x80":
            return _legacy(path, file)
        file.seek(257)
        if file.read(5) == b"ustar":
            raise ValueError("it is a tar file, as PyTorch wrote before 2018: torch.load and torch.save it once")
        raise ValueError("it is no file of tensors that torch.save writes")


# -- torch.save since PyTorch 1.6, and numpy.savez: a zip


def _zipped(path: Path, file: BinaryIO) -> Any:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise ValueError("it is cut short: a zip without the directory at its end") from error
    npz.check_names(archive, path)
    names = archive.namelist()
    roots = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl") or name == "data.pkl"]
    if not roots and any(name.endswith(".npy") for name in names):
        return _arrays(path)
    if len(roots) != 1:
        raise ValueError("it is a zip of other things, no file of tensors that torch.save writes")
    root, size = roots[0], path.stat().st_size
    if f"{root}constants.pkl" in names:
        raise ValueError("it is a TorchScript program, not tensors by name")
    entries = {entry.filename: entry for entry in archive.infolist()}

    def place(name: str) -> tuple[int, int]:
        return _place(file, entries.get(f"{root}{name}"), name, size)

    content, storages = unpickled(pickled(io.BytesIO(_bytes(file, *place("data.pkl")))))
    order = _bytes(file, *place("byteorder")).decode("latin1") if f"{root}byteorder" in entries else "little"
    whole = _mapped(path, size)
    for storage in storages:
        start, length = place(f"data/{storage.key}")
        if length != storage.nbytes():
            raise ValueError(f"{FORGED}: storage {word(storage.key)} of {storage.nbytes():,} bytes is {length:,} long")
        storage.place(partial(_part, whole, start, storage, order != sys.byteorder))
    return content


def _place(file: BinaryIO, entry: zipfile.ZipInfo | None, name: str, size: int) -> tuple[int, int]:
    """(start, length) of a zip's member in the file. Raises ValueError for one packed, or beyond the file's end."""
    if entry is None:
        raise ValueError(f"it has no {word(name)} (cut short or forged?)")
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size or entry.flag_bits & 1:
        raise ValueError(f"its {word(name)} is compressed, which torch.save does not do: unzip it, and zip -0 it again")
    header = _bytes(file, entry.header_offset, LOCAL_HEADER)
    if not header.startswith(ZIP):
        raise ValueError(f"{FORGED}: no {word(name)} where its directory says")
    start = entry.header_offset + LOCAL_HEADER + sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    if start + entry.file_size > size:
        raise ValueError(f"its {word(name)} of {entry.file_size:,} bytes ends beyond the file's {size:,} (cut short?)")
    return start, entry.file_size


def _bytes(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _mapped(path: Path, size: int) -> Callable[[], torch.UntypedStorage]:
    """A file's bytes, mapped once, when they are first asked for; what is written to them stays in this process."""
    return cache(lambda: torch.UntypedStorage.from_file(str(path), False, size))


def _part(whole: Callable[[], torch.UntypedStorage], start: int, storage: Storage, swap: bool) -> torch.UntypedStorage:
    """A storage's bytes in the file, not copied unless they lie unevenly or in the other byte order."""
    if not storage.count:
        return torch.UntypedStorage(0)
    part = whole()[start : start + storage.nbytes()]
    if not swap and start % storage.dtype.itemsize == 0:
        return part
    copied = part.clone()
    if swap:
        copied.byteswap(storage.dtype)
    return copied


def _arrays(path: Path) -> dict[str, Any]:
    """The arrays of an .npz, each looked at by its header alone: what it would take, NumPy allocates."""
    archive = np.load(path)
    found: dict[str, Any] = {}
    for key in archive.files:
        npz.check_member(archive, key, path)
        dtype, shape = npz.header(archive, key) or (np.dtype("O"), ())
        known = torch_type(dtype) is not None
        found[key] = of_array(shape, dtype, partial(archive.__getitem__, key)) if known else NumpyArray()
    return found


# -- .safetensors


def _safetensors(path: Path) -> dict[str, Stored]:
    from safetensors import safe_open

    file = safe_open(path, framework="pt").__enter__()  # its library maps the file, and checks its header
    found = {}
    for key in file.keys():  # noqa: SIM118 (no mapping)
        said = file.get_slice(key)
        if said.get_dtype() not in DTYPES:
            raise ValueError(f"its tensor {word(key)} is {said.get_dtype()}, expected one of: {', '.join(DTYPES)}")
        found[key] = Stored(tuple(said.get_shape()), DTYPES[said.get_dtype()], partial(file.get_tensor, key))
    return found


# -- torch.save before PyTorch 1.6: pickles in a row, then the storages


def _legacy(path: Path, file: BinaryIO) -> Any:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        if unpickled(pickled(whole))[0] != MAGIC:
            raise ValueError("it is a pickle of other things, no file of tensors that torch.save writes")
        _version, _system, (content, storages), (keys, _) = [unpickled(pickled(whole)) for _ in range(4)]
        _place_in_a_row(path, whole, storages, keys)
    return content


def _place_in_a_row(path: Path, whole: mmap.mmap, storages: Sequence[Storage], keys: Any) -> None:
    """Storages follow the pickles in the order of their keys, each behind its number of elements; little-endian."""
    size, by_key, mapped = len(whole), {storage.key: storage for storage in storages}, _mapped(path, len(whole))
    if not isinstance(keys, list) or len(by_key) < len(storages) or [*map(str, keys)] != keys or {*by_key} != {*keys}:
        raise ValueError(f"{FORGED}: its storages are not those that its tensors lie in")
    for key in keys:
        storage, count = by_key[key], int.from_bytes(whole.read(8), "little")
        start = whole.tell()
        if count != storage.count or start + storage.nbytes() > size:
            raise ValueError(f"its storage {word(key)} of {storage.nbytes():,} bytes ends beyond the file (cut short?)")
        storage.place(partial(_part, mapped, start, storage, sys.byteorder == "big"))
        whole.seek(start + storage.nbytes())
