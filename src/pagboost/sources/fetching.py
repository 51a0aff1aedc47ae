"""All of a run's files from elsewhere at once: how much it is, then one after the other."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pagboost.errors import InputError
from pagboost.sources import addresses, answers, download
from pagboost.sources.progress import amount
from pagboost.sources.remotes import Remote

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """A file that is needed: where its copy lies, how much of it is there, and how much it is (bytes; None: unknown).

    wrong: why it cannot be had, in one line, or None.
    """

    remote: Remote
    copy: Path
    there: int
    total: int | None
    wrong: str | None = None

    @property
    def cached(self) -> bool:
        return self.copy.exists()

    @property
    def missing(self) -> int | None:
        """Bytes to fetch; None where nobody says."""
        return None if self.total is None else max(0, self.total - self.there)

    def line(self) -> str:
        """What a plan says of it."""
        if self.cached:
            return f"{amount(self.there):>10}  here   {self.copy}"
        size = "unknown" if self.missing is None else amount(self.missing)
        rest = f" (the rest of {amount(self.total)})" if self.there and self.total else ""
        wrong = f" ({self.wrong})" if self.wrong else ""
        return f"{size:>10}  fetch  {self.copy}  from {self.remote.url}{rest}{wrong}"


def plan(remotes: Sequence[Remote]) -> list[Planned]:
    """What each file is, asked of its server; InputError for a URL that names no file, and for two of one copy."""
    planned: dict[Path, Planned] = {}
    for remote in remotes:
        one = _planned(remote)
        other = planned.setdefault(one.copy, one)
        if other.remote.url != remote.url and None in (remote.sha256, other.remote.sha256):
            raise InputError(
                f"{remote.url}: its copy is {one.copy}, as that of {other.remote.url}; expected another folder, or "
                "#NAME at the end of one of them"
            )
    return list(planned.values())


def _planned(remote: Remote) -> Planned:
    copy = download.copy_of(remote.url, remote.folder)
    if copy.exists():
        size = copy.stat().st_size
        return Planned(remote, copy, size, size)
    part = download.part_of(copy)
    there = part.stat().st_size if part.exists() else 0
    try:
        return Planned(remote, copy, there, answers.size(addresses.address(remote.url)))
    except answers.Refused as error:
        return Planned(remote, copy, there, None, str(error))


def lines(planned: Sequence[Planned], by_hand: Sequence[str] = ()) -> list[str]:
    """What people read before anything is fetched: each file, how much there is to fetch, and what no one fetches."""
    wanted = [one for one in planned if not one.cached]
    unknown = sum(one.missing is None for one in wanted)
    total = sum(one.missing or 0 for one in wanted)
    said = f"{total / 1e9:.2f} GB to fetch{' and what is unknown' if unknown else ''}"
    said += f": {len(wanted)} of {len(planned)} files"
    said += f", {unknown} of unknown size" if unknown else ""
    free = [f"{amount(shutil.disk_usage(place).free)} free at {place}" for place in _places(wanted)]
    missing = [path for path in by_hand if not os.path.exists(os.path.expanduser(path))]
    return [
        *(one.line() for one in planned),
        "; ".join([said, *free]),
        *(f"{'by hand':>10}  put    {path}" for path in missing),
    ]


def check_room(planned: Sequence[Planned]) -> None:
    """Raise InputError where a disk has less room than what is known to come."""
    wanted = [one for one in planned if not one.cached]
    for device, place in {os.stat(place).st_dev: place for place in _places(wanted)}.items():
        needed = sum(one.missing or 0 for one in wanted if os.stat(_above(one.copy)).st_dev == device)
        free = shutil.disk_usage(place).free
        if needed > free:
            raise InputError(f"{place}: {amount(free)} free on its disk, expected {amount(needed)} for the downloads")


def fetch(planned: Sequence[Planned]) -> None:
    """Fetch all, and check what is there; what fails keeps no other from it, and is said at the end."""
    failed = []
    for one in planned:
        try:
            download.fetch(*one.remote)
        except InputError as error:
            log.error("%s", error)
            failed.append(one.remote.url)
    if failed:
        raise InputError(f"{len(failed)} of {len(planned)} files not fetched (see above): {', '.join(failed)}")


def _places(planned: Sequence[Planned]) -> list[Path]:
    """The folders, or what there is of the way to them, of the copies to come."""
    return list(dict.fromkeys(_above(Path(one.remote.folder).expanduser() / "x") for one in planned))


def _above(path: Path) -> Path:
    place = path.parent
    while not place.exists():
        place = place.parent
    return place
