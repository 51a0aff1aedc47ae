"""Files and folders that appear whole or not at all: written beside their place under a hidden name, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pagboost.errors import InputError

LONGEST, LONGEST_SUFFIX = 160, 32  # bytes of a target's name, and of its ending, that a temporary name has room for
LEFT_ALONE = 86_400.0  # seconds; no single file takes a day to write

_check: Callable[[], object] = bool  # called before anything appears: what it raises keeps it from that


def ask_first(check: Callable[[], object]) -> None:
    """Let nothing appear from now on that `check` does not let pass: it raises what is to be raised."""
    global _check
    _check = check


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place on success, remove it on any failure.

    What a killed process (SIGKILL, a crash) left of an earlier write of the same target is removed too.
    Raises OSError naming `path` when it cannot be written, a full disk for one.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        handle, name = tempfile.mkstemp(prefix=_prefix(path, os.getpid()), suffix=_suffix(path), dir=path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        _check()
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """The same of a folder, which must not be there yet, or be empty (`check_new`)."""
    path = Path(path)
    check_new(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = Path(tempfile.mkdtemp(prefix=_prefix(path, os.getpid()), suffix=_suffix(path), dir=path.parent))
    try:
        yield temporary
        move(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def move(folder: Path, path: Path) -> None:
    """Rename a finished folder to where nothing, or an empty folder, is; what it holds is on the disk by then."""
    for file in (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()):
        with open(file, "rb") as written:
            os.fsync(written.fileno())
    folder.chmod(0o777 & ~_umask())
    _check()
    folder.replace(path)


def check_new(path: Path) -> None:
    """Raise InputError where something is already: a folder appears whole, and never takes another one's place."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if os.path.lexists(path):
        raise InputError(f"{path}: is there already, expected the name of a folder that is not, or is empty")


def _umask() -> int:
    """mkstemp makes private files; results are shared between users of a cluster, so they follow the umask."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _prefix(path: Path, process: int) -> str:
    """How names of temporary files begin: the target's name, then who writes (machine and process)."""
    return f".{_name(path)}.{_short_hash(socket.gethostname().encode())}-{process}."


def _name(path: Path) -> str:
    """The target's name, or where a temporary one has no room beside it, its hash."""
    name = os.fsencode(path.name)
    return path.name if len(name) <= LONGEST else _short_hash(name)


def _suffix(path: Path) -> str:
    """The target's ending, by which libraries tell what they write; none is so long."""
    return path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ""


def _short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` whose writer is gone; of another machine's, those untouched for a day."""
    here = _prefix(path, 0).removesuffix("0.")
    pattern = re.compile(re.escape(f".{_name(path)}.") + r"[0-9a-f]{8}-(\d+)\.\w+" + re.escape(_suffix(path)))
    with os.scandir(path.parent) as entries:
        found = [(entry, match) for entry in entries if (match := pattern.fullmatch(entry.name))]
    for entry, match in found:
        with contextlib.suppress(OSError):
            old = time.time() - entry.stat().st_mtime > LEFT_ALONE
            if (not _running(int(match[1]))) if entry.name.startswith(here) else old:
                shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)


def _running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
