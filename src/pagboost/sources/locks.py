"""One process at a time at a file: the lock goes with the process, however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


@contextlib.contextmanager
def held(path: Path, busy: str) -> Iterator[None]:
    """Hold a file, which is made where it is not there and removed where it is empty at the end.

    busy: what is logged when another process holds it and this one waits. Whoever has waited may find the file
    renamed or gone, and holds one of the same name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = None
    try:
        while file is None or not _same(file, path):
            if file is not None:
                os.close(file)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            _lock(file, busy, path)
        try:
            yield
        finally:
            if _same(file, path) and os.fstat(file).st_size == 0:
                path.unlink()
    finally:
        if file is not None:
            os.close(file)


def _lock(file: int, busy: str, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("%s", busy)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise OSError(error.errno, error.strerror, str(path)) from error
        log.warning("%s: its file system has no locks, expected no other process at it", path)


def _same(file: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), os.stat(path))
    return False
