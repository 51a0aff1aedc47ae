"""Reading files that others wrote, or that are not there: whatever is wrong with one, it is said in one line."""

from __future__ import annotations

import contextlib
import hashlib
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError

from pagboost.errors import InputError
from pagboost.files import foreign

# what readers raise where a file is not what they take it for; unpickling bytes of any kind raises the last three
FOREIGN = (OSError, ValueError, EOFError, RuntimeError, UnpicklingError, zipfile.BadZipFile)
FOREIGN += (LookupError, AttributeError, TypeError)


@contextlib.contextmanager
def readable(path: Path, what: str) -> Iterator[None]:
    """Turn the many ways a file can be missing, truncated or foreign into one line."""
    try:
        if path.suffix == ".csv" and (found := foreign.at(path)):  # any text at all can be read as a table
            raise InputError(f"{path}: not readable as {what} ({found})")
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file, expected {what}") from error
    except FOREIGN as error:
        raise InputError(f"{path}: not readable as {what} ({foreign.at(path) or _reason(error)})") from error
    except Exception as error:  # those of zlib, safetensors and Pillow derive from Exception alone
        if type(error).__name__ not in {"error", "SafetensorError", "DecompressionBombError"}:
            raise
        raise InputError(f"{path}: not readable as {what} ({foreign.at(path) or _reason(error)})") from error


def _reason(error: Exception) -> str:
    """An error's first line, without the advice of libraries to run what a foreign file says."""
    text = f"has no {error}" if isinstance(error, KeyError) and len(str(error)) < 40 else str(error)
    named = re.search(r"GLOBAL (\S+)", text)
    if named:
        return f"it holds more than tensors: {named[1]}"
    if "TorchScript" in text:
        return "it is a TorchScript program, not tensors by name"
    if isinstance(error, UnpicklingError) or "weights_only" in text:
        return "it is no file of tensors that torch.save writes"
    if "allow_pickle" in text:
        return "it holds pickled Python objects, or is no file of arrays at all"
    return text.splitlines()[0] if text else type(error).__name__


def file_hash(path: str | Path) -> str:
    """sha256 of a file, hexadecimal."""
    with readable(Path(path), "a file"), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def changed(path: Path) -> str:
    """What is said of a file that is not as it was written."""
    return (
        f"{path}: was changed or damaged after it was written (its content has not the hash it carries), expected it "
        "as it was: delete it, and the same command makes it again"
    )
