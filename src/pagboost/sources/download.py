"""Files from elsewhere: fetched once, whole or not at all, and only with the content their hash promises.

Where nobody promises a hash, the first download's is kept (hashes.json beside the copies) and holds from then on.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.files import foreign
from pagboost.sources import addresses, answers, locks, packages, pins, transfer
from pagboost.sources.addresses import SCHEMES

log = logging.getLogger(__name__)


def local(source: str, sha256: str | None, folder: str | Path) -> Path:
    """A path as it is, a package's file, or a URL's copy in `folder`; it must have the hash, where one is given.

    Raises InputError for a missing file, and what `fetch` and `packages.path_of` refuse.
    """
    if addresses.is_url(source):
        return fetch(source, sha256, folder)
    if packages.is_in_package(source):
        path = packages.path_of(source)
        _check(path, sha256, source)
        return path
    path = Path(source).expanduser()
    if not source or not path.exists():  # "" would be the folder that the script runs in
        raise InputError(f"{path}: no such file, expected a path or a URL ({', '.join(SCHEMES)})")
    _check(path, sha256, str(path))
    return path


def copy_of(url: str, folder: str | Path) -> Path:
    """Where a URL's copy lies, or will; InputError for a URL that names no file."""
    return Path(folder).expanduser() / addresses.place(url)


def part_of(copy: Path) -> Path:
    """Where a copy lies that is not whole yet."""
    return copy.with_name(f"{copy.name}.part")


def fetch(url: str, sha256: str | None, folder: str | Path) -> Path:
    """The copy of a URL in `folder`, under the URL's own file name; downloaded where it is not there yet.

    sha256: hexadecimal, whole, or its first 8 digits or more (what public weights carry in their names); None: that of
    the first download. What a killed or broken download left is gone on from; of two processes that want one file, one
    waits for the other.
    Raises InputError where the URL cannot be read or names no file, and for another hash, of a copy that was there
    before too.
    """
    copy = copy_of(url, folder)
    if not copy.exists():
        with locks.held(part_of(copy), f"{copy}: another process downloads it, waiting"):
            if not copy.exists():
                _download(url, sha256, Path(folder).expanduser(), copy)
                return copy
    _check_copy(url, sha256, Path(folder).expanduser(), copy)
    return copy


def _download(url: str, sha256: str | None, folder: Path, copy: Path) -> None:
    """Bring the content of a URL into its copy's place; nothing stays of what is not what was promised."""
    _check_stated(sha256, url)
    address, part = addresses.address(url), part_of(copy)
    promised, where = _promised(url, sha256, folder, copy)
    try:
        transfer.fetch(address, part, copy.name, checked=promised is not None)
    except answers.Refused as error:
        reason = f"{error}{_asked_at(url, address)}"
        raise InputError(f"{url}: not downloaded ({reason}), {_by_hand(address, copy)}") from error
    finally:
        if not part.exists() or part.stat().st_size == 0:  # nothing to go on from
            transfer.state_file(part).unlink(missing_ok=True)
    try:
        found = artifacts.file_hash(part)
        _compare(part, found, promised, url, where)
        if promised is None and (instead := foreign.at(part)):
            raise InputError(f"{url}: {instead}; expected the file itself")
    except InputError:
        transfer.forget(part)
        raise
    known = pins.pinned(folder, _name(copy, folder))
    if known != (url, found):
        pins.pin(folder, _name(copy, folder), pins.Pin(url, found))  # first: a copy without it would be taken for good
    if promised is None:
        _say(copy, found, folder)
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    part.replace(copy)
    transfer.state_file(part).unlink(missing_ok=True)


def _check_copy(url: str, sha256: str | None, folder: Path, copy: Path) -> None:
    """Raise InputError unless a copy that is there is what was promised; pin one that nothing promises yet."""
    if sha256 is None and (known := pins.pinned(folder, _name(copy, folder))) and known.url != url:
        raise InputError(
            f"{url}: {copy} is the copy of {known.url}, expected another folder, or #NAME at the end of the URL"
        )
    promised, where = _promised(url, sha256, folder, copy)
    again = f"{copy} (delete it to download it again)"
    _check(copy, promised, again, where)
    if promised is None:
        found = artifacts.file_hash(copy)
        try:
            pins.pin(folder, _name(copy, folder), pins.Pin(url, found))
        except OSError as error:
            log.warning("%s: sha256 %s, not pinned (%s)", copy, found, error.strerror)
        else:
            _say(copy, found, folder)


def _promised(url: str, sha256: str | None, folder: Path, copy: Path) -> tuple[str | None, str]:
    """(the hash that a URL's content must have, or None; what to add where it has another)."""
    if sha256 is not None:
        return sha256, ""
    known = pins.pinned(folder, _name(copy, folder))
    if known is None or known.url != url:
        return None, ""
    return known.sha256, f": that of its first download, {folder / pins.FILE}; take it out there to accept another"


def _say(copy: Path, found: str, folder: Path) -> None:
    log.warning("%s: no sha256 was promised, %s is what it must have from now on (%s)", copy, found, folder / pins.FILE)


def _name(copy: Path, folder: Path) -> str:
    return copy.relative_to(folder).as_posix()


def _asked_at(url: str, address: addresses.Address) -> str:
    return "" if address.url == url.partition("#")[0] else f", asked at {address.url}"


def _by_hand(address: addresses.Address, copy: Path) -> str:
    if address.drive:
        return f"expected a shared file: fetch it by hand, in a browser, and put it at {copy}"
    token = " (a gated one needs HF_TOKEN)" if address.hub and not address.headers else ""
    return f"expected network access, a local path, or the file{token} at {copy}"


def _check_stated(sha256: str | None, what: str) -> None:
    if sha256 is not None and len(sha256) < 8:
        raise InputError(f"{what}: sha256 {sha256!r}, expected at least 8 hexadecimal digits")


def _check(path: Path, sha256: str | None, what: str, where: str = "") -> None:
    _check_stated(sha256, what)
    if sha256 is None:
        return
    if path.is_dir():
        raise InputError(f"{what}: a folder, which has no sha256; expected null for it")
    _compare(path, artifacts.file_hash(path), sha256, what, where)


def _compare(path: Path, found: str, sha256: str | None, what: str, where: str = "") -> None:
    if sha256 is not None and not found.startswith(sha256.lower()):
        with open(path, "rb") as file:
            instead = foreign.named(file.read(1024))
        raise InputError(f"{what}: has sha256 {found}, expected {sha256}{f' ({instead})' if instead else ''}{where}")
