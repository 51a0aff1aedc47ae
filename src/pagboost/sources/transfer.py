"""One file over a network that breaks: what came is kept, and gone on from, as long as it is the same file.

A partial file lies beside a small one (.json) that says from where it came, and by what the server knows that version
(ETag or Last-Modified): a server asked with If-Range goes on with the same version, or sends another one whole.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import logging
import os
import shutil
import time
import urllib.error
from pathlib import Path
from typing import Any

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.sources import answers
from pagboost.sources.addresses import Address
from pagboost.sources.progress import Progress, amount, amounts

log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each try that follows one which brought nothing
LONGEST_PAUSE = 120.0  # however long a server asks to wait
CHUNK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)
PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst")  # files of which servers say, as of a transfer, that they are packed


def state_file(part: Path) -> Path:
    """Where it is said which version of which file a partial file is of."""
    return part.with_name(f"{part.name}.json")


def forget(part: Path) -> None:
    """Remove a partial file, and what is said of it."""
    for path in (part, state_file(part)):
        path.unlink(missing_ok=True)


def fetch(address: Address, part: Path, name: str, *, checked: bool) -> None:
    """Bring what is at an address into a partial file, whole; go on from what an earlier process left there.

    checked: whether a hash will be asked for, so that a server which cannot tell versions may be gone on with.
    Connections that break are tried again, after longer and longer pauses; one that brought something counts as new.
    Raises answers.Refused for what stays as it is, and InputError for a disk without room; the partial file stays.
    """
    failures, first = 0, _size(part)
    most = first
    while True:
        try:
            _once(address, part, name, checked=checked)
            return
        except answers.Broken as error:
            there = _size(part)
            if there > most:  # than ever: a server that starts again each time would be asked for ever
                most, failures = there, 0
            if failures == len(PAUSES) or not (error.reached or most > first):
                raise answers.Refused(str(error)) from error
            pause = min(max(PAUSES[failures], error.after), LONGEST_PAUSE)
            failures += 1
            log.warning("%s: broken off at %s (%s), again in %.0f s", name, amount(there), error, pause)
            time.sleep(pause)


def _once(address: Address, part: Path, name: str, *, checked: bool) -> None:
    """One connection, from which as much comes as comes. Raises Broken, Refused, and InputError for a full disk."""
    there, state = _size(part), _state(part, address)
    version, total = state.get("version"), state.get("total")
    continues = there > 0 and bool(state) and (checked or version is not None)
    if continues and there == total:
        return  # whole, and its process died before it said so
    headers = {"Range": f"bytes={there}-"} if continues else {}
    if continues and version:
        headers["If-Range"] = version
    try:
        response = answers.content(address, headers)
    except urllib.error.HTTPError as error:
        if error.code == 416 and continues:  # nothing behind what is there
            if answers.total(error) == there and total is None:
                return
            os.truncate(part, 0)  # not removed: it is locked
            raise answers.Broken("its file is another one now") from error
        if error.code in answers.LATER:
            raise answers.Broken(answers.described(error), answers.asked_pause(error)) from error
        raise answers.Refused(answers.described(error)) from error
    with response:
        packed = answers.encoding(response)
        if packed and not (checked or name.endswith(PACKED)):
            raise answers.Refused(f"its server packs it ({packed}): a sha256 would say whether it is the file itself")
        goes_on, whole = response.status == 206, answers.total(response)
        if goes_on and (answers.first(response) != there or total not in (None, whole)):
            os.truncate(part, 0)
            raise answers.Broken("its file is another one now")
        if continues:
            log.info("%s: %s", name, f"goes on at {amount(there)}" if goes_on else "starts again, as the server wants")
        if not goes_on:
            there = 0
            part.open("wb").close()
            state = {"address": address.url, "version": answers.version(response), "total": whole}
            artifacts.save_json(state_file(part), state)
        _check_room(part, there, whole)
        _copy(response, part, name, there, whole)


def _copy(response: Any, part: Path, name: str, there: int, total: int | None) -> None:
    """Append a response's content; Broken where it ends before the total."""
    try:
        with open(part, "ab") as file, Progress(name, there, total) as shown:
            while chunk := _read(response):
                file.write(chunk)
                shown.add(len(chunk))
    except OSError as error:  # of the disk: those of the connection are Broken
        if error.errno not in FULL:
            raise OSError(error.errno, error.strerror, str(part)) from error
        at = amounts(_size(part), total)
        raise InputError(f"{part}: the disk is full at {at}, expected room: the same command then goes on") from error
    if total is not None and _size(part) < total:
        raise answers.Broken("the connection ended early")


def _read(response: Any) -> bytes:
    try:
        return response.read1(CHUNK)
    except (http.client.HTTPException, OSError) as error:
        raise answers.Broken(error) from error


def _check_room(part: Path, there: int, total: int | None) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - there > free:
        raise InputError(f"{part}: {amount(free)} free on its disk, expected {amount(total - there)} for the download")


def _state(part: Path, address: Address) -> dict[str, Any]:
    """What is said of a partial file; empty unless it is said, of this address."""
    with contextlib.suppress(InputError):
        found = artifacts.load_json(state_file(part))
        if isinstance(found, dict) and found.get("address") == address.url:
            return found
    return {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
