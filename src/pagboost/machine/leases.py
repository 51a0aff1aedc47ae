"""A GPU belongs to one job at a time, whoever started it: a lock for each, by UUID, in one folder of the machine.

Snakemake counts GPUs but does not assign them, and runs beside it (of another user, another checkout) count for
themselves. A lock goes with its process, however that ends. It says who holds it, so that who waits can say for whom.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import logging
import os
import pwd
import random
import re
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pagboost.errors import InputError, listed
from pagboost.machine import called

FOLDER = Path("/tmp/pagboost-gpus")  # the same for all users and jobs, whatever their TMPDIR
VARIABLE = "PAGBOOST_LOCKS"
SAY_AGAIN = 60.0  # seconds
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

log = logging.getLogger(__name__)
_jitter = random.Random()  # of its own: the process's stream of random numbers stays as it is


def folder() -> Path:
    """Where locks lie: PAGBOOST_LOCKS, else /tmp/pagboost-gpus."""
    return Path(os.path.realpath(os.environ[VARIABLE])) if os.environ.get(VARIABLE) else FOLDER


@contextlib.contextmanager
def lease(
    uuids: Sequence[str], count: int = 1, slots: int = 1, where: Path | None = None, poll: float = 1.0
) -> Iterator[list[str]]:
    """Hold `count` of these GPUs: yields their UUIDs, in the order given; waits while there are not as many.

    slots: how many jobs share a GPU; 1 is alone, without those that would share it too. Devices fill up evenly. Either
    all are taken or none is kept, so that of two jobs that want two of three none waits for the other for ever.
    poll: seconds between tries, at most. Raises InputError where the folder or a lock in it cannot be trusted.
    """
    if not 1 <= count <= len(uuids):
        raise ValueError(f"count {count}: expected 1 to {len(uuids)}")
    where = where or folder()
    began = time.monotonic()
    said: float | None = None
    while True:
        with contextlib.ExitStack() as attempt:
            place = attempt.enter_context(_opened(where))  # each time: somebody may have removed it
            taken = _attempt(attempt, place, where, uuids, count, slots)
            if len(taken) == count:
                held = attempt.pop_all()
                break
            waited = time.monotonic() - began
            if said is None or waited - said >= SAY_AGAIN:
                said = waited
                log.info("%s", _waiting_for(place, [uuid for uuid in uuids if uuid not in taken], count, waited))
        time.sleep(poll * _jitter.uniform(0.5, 1))  # two that tried at once do not try at once again
    with held:
        after = f" after {_span(time.monotonic() - began)}" if said is not None else ""
        log.info("leased %s%s", listed(taken), after)
        yield taken


def _attempt(
    held: contextlib.ExitStack, place: int, where: Path, uuids: Sequence[str], count: int, slots: int
) -> list[str]:
    """The GPUs that are free, at most `count`; as many are locked, and `held` frees them, fewer are left alone."""
    with contextlib.ExitStack() as stack:
        taken: dict[str, list[int]] = {}
        for slot, uuid in itertools.product(range(slots), uuids):
            if uuid not in taken and (files := _take(stack, place, where, uuid, slot, slots)):
                taken[uuid] = files
            if len(taken) == count:
                for file in itertools.chain(*taken.values()):
                    _sign(file)
                held.push(stack.pop_all())
                break
    return [uuid for uuid in uuids if uuid in taken]


def _take(stack: contextlib.ExitStack, place: int, where: Path, uuid: str, slot: int, slots: int) -> list[int]:
    """Descriptors of the locked files of a GPU, which `stack` closes; none where somebody has it.

    Who wants it alone locks its file alone. Those that share it lock that together, and one file of a place each.
    """
    wanted = [(f"{_plain(uuid)}.lock", fcntl.LOCK_EX if slots == 1 else fcntl.LOCK_SH)]
    if slots > 1:
        wanted.append((f"{_plain(uuid)}.{slot}.lock", fcntl.LOCK_EX))
    with contextlib.ExitStack() as mine:
        files = []
        for name, kind in wanted:
            file = _file(place, where, name)
            mine.callback(os.close, file)
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                return []
            except OSError as error:  # a file system without locks
                advice = f"expected a folder whose files can be locked ({VARIABLE} names another)"
                raise InputError(f"{where / name}: {error.strerror}, {advice}") from error
            if not _is_there(place, name, file):
                return []  # removed since it was opened; the next try makes another
            files.append(file)
        stack.push(mine.pop_all())
        return files


# -- files in a folder that everybody may write to


@contextlib.contextmanager
def _opened(where: Path) -> Iterator[int]:
    """A descriptor of the folder of locks, made where it is not there."""
    advice = f"expected a folder for the locks of GPUs ({VARIABLE} names another)"
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), _no_umask():
            os.mkdir(where, 0o1777)  # everybody makes files, nobody removes another's
        place = os.open(where, os.O_RDONLY | os.O_DIRECTORY | _OPEN)
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}, {advice}") from error
    try:
        mode = os.fstat(place).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise InputError(f"{where}: its mode is {stat.S_IMODE(mode):o}, expected 1777, or {VARIABLE} elsewhere")
        with contextlib.suppress(OSError):
            # Who cleans /tmp by age leaves a folder alone that is locked (systemd-tmpfiles); some trainings take weeks.
            fcntl.flock(place, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield place
    finally:
        os.close(place)


def _file(place: int, where: Path, name: str) -> int:
    """A descriptor of a lock, made where it is not there. Raises InputError for what only looks like one.

    A link would lead to somebody's file, and what is opened here is written to.
    """
    try:
        while True:
            with contextlib.suppress(FileNotFoundError):
                file = _open(place, name)
                break
            # Kernels refuse O_CREAT on another's file in such a folder (fs.protected_regular): a step of its own.
            with contextlib.suppress(FileExistsError), _no_umask():
                file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN, 0o666, dir_fd=place)
                break
    except OSError as error:
        raise InputError(f"{where / name}: {error.strerror}, expected the lock of a GPU (a plain file)") from error
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(file)
        raise InputError(f"{where / name}: a link or no file, expected the lock of a GPU (a plain file)")
    return file


def _open(place: int, name: str) -> int:
    try:
        return os.open(name, os.O_RDWR | _OPEN, dir_fd=place)
    except PermissionError:  # another's, whose system took rights away: to lock it, reading is enough
        return os.open(name, os.O_RDONLY | _OPEN, dir_fd=place)


def _is_there(place: int, name: str, file: int) -> bool:
    """Whether a name still leads to the file that was opened by it."""
    try:
        return os.path.samestat(os.stat(name, dir_fd=place, follow_symlinks=False), os.fstat(file))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _no_umask() -> Iterator[None]:
    """What is made is for all users from its first moment on."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def _plain(uuid: str) -> str:
    return re.sub(r"[^\w.-]", "_", uuid)  # MIG-GPU-…/1/0


# -- who holds, and who waits


def _sign(file: int) -> None:
    """Say in a lock who holds it: for people, nothing is decided by it."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's
        user = str(os.getuid())
    since = time.strftime("%d %b %H:%M:%S")
    line = f"pid {os.getpid()} on {socket.gethostname()} ({user}, {called.name()}, since {since})\n"
    with contextlib.suppress(OSError):  # a full disk, or a file that may only be read
        os.ftruncate(file, os.pwrite(file, line.encode(errors="backslashreplace"), 0))


def _waiting_for(place: int, busy: Sequence[str], count: int, waited: float) -> str:
    what = "a GPU" if count == 1 else f"{count} GPUs"
    long = f" for {_span(waited)} by now" if waited >= 1 else ""
    return f"waiting{long} for {what}: {'; '.join(f'{uuid} is held by {_holder(place, uuid)}' for uuid in busy)}"


def _holder(place: int, uuid: str) -> str:
    """What a lock says; written by anybody, and made harmless for a terminal."""
    try:
        file = os.open(f"{_plain(uuid)}.lock", os.O_RDONLY | _OPEN, dir_fd=place)
    except OSError:
        return "somebody"
    try:
        text = os.pread(file, 200, 0).decode(errors="replace")
    except OSError:
        text = ""
    finally:
        os.close(file)
    return "".join(letter for letter in text if letter.isprintable()) or "somebody"


def _span(seconds: float) -> str:
    """ "5 s", "12 min", "3 h 20 min"."""
    minutes = int(seconds // 60)
    if not minutes:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
