"""What a file or folder from elsewhere holds, as a short text: when it changes, what is made from it is made again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pagboost.files.reading import file_hash
from pagboost.planning.memory import Memory
from pagboost.sources.archives import skipped

# A folder of more than this is told by names, sizes and times: reading ImageNet through takes an hour, looking at it
# seconds.
READ_AT_MOST = 2**30
MISSING = "missing"


def fingerprint(path: str | Path, memory: Memory | None = None) -> str:
    """Of what is at `path` now: sha256 of a file, or of a folder's names and contents, hexadecimal; MISSING.

    Links are followed. A folder of more than READ_AT_MOST bytes is told by its files' names, sizes and times of
    change. memory keeps what was hashed: what has not changed since (size, times, inode) is not read again.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return _remembered(path, memory, _hash(_state(path.stat())), lambda: file_hash(path))
    if not path.is_dir():
        return MISSING
    found = sorted(_walk(path))
    if sum(stat.st_size for _, stat in found) > READ_AT_MOST:
        return _hash([(os.fsencode(name).hex(), stat.st_size, stat.st_mtime_ns) for name, stat in found])
    seen = _hash([(os.fsencode(name).hex(), *_state(stat)) for name, stat in found])
    return _remembered(path, memory, seen, lambda: _contents(path, [name for name, _ in found]))


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """(name below the folder, what the file system knows of it) of each file that archives.listing would list.

    Linked folders are walked once.
    """
    walked = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in walked:
            folders.clear()
            continue
        walked.add(real)
        folders[:] = [name for name in folders if not skipped(name)]
        for name in filter(lambda name: not skipped(name), names):
            file = os.path.join(parent, name)
            with contextlib.suppress(OSError):  # a link to nothing; whoever reads the folder will say so
                yield os.path.relpath(file, folder), os.stat(file)


def _state(stat: os.stat_result) -> tuple[int, ...]:
    """What changes with a file's content: a copied time may hide a new content, the inode's own does not."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev


def _contents(folder: Path, names: list[str]) -> str:
    regular = [name for name in names if (folder / name).is_file()]  # opening a pipe would wait for ever
    return _hash([(os.fsencode(name).hex(), file_hash(folder / name)) for name in regular])


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _remembered(path: Path, memory: Memory | None, seen: str, read: Callable[[], str]) -> str:
    """What read() returned when the same was seen at a path, or returns now."""
    memory = memory or Memory()
    key = os.fsencode(path.resolve()).hex()
    known = memory.get(key, [None, None])
    if known[0] != seen:
        known = [seen, read()]
        memory.note(key, known)
    return known[1]
