"""Where made-up files lie, for jobs to find them as they would the real ones: a folder is the mirror of all URLs.

<folder>/elsewhere/https/<host>/<path>   what a URL's mirror serves; `snakemake fetch` copies it into <folder>/downloads
<folder>/elsewhere/by_hand/<name>        what nobody can fetch
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pagboost.errors import InputError, listed
from pagboost.sources import addresses, download

SCHEMES = ("https", "http")
ELSEWHERE, DOWNLOADS = "elsewhere", "downloads"


class Places:
    """The places of a rehearsal's made-up files, in one folder, which may be removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.served = self.folder / ELSEWHERE
        self.downloads = self.folder / DOWNLOADS
        self.makers: dict[str, tuple[Path, Callable[[Path], None]]] = {}  # what a made-up file is called by -> how

    def mirrors(self) -> dict[str, str]:
        """What is asked in place of any server: nothing is ever fetched from one."""
        return {f"{scheme}://": (self.served / scheme).as_uri() + "/" for scheme in SCHEMES}

    def take(self, options: Mapping[str, Any], key: str, make: Callable[[Path], None]) -> dict[str, Any]:
        """Options that lead to a made-up file where options[key] names a real one; `make` writes it, if needed."""
        source = options[key]
        if addresses.is_url(source):
            path, changed = self._of_url(source), {"downloads": str(self.downloads)}
        else:
            path = self.served / "by_hand" / Path(source).name
            changed = {key: str(path)}
        self.makers.setdefault(changed.get(key, source), (path, make))
        return {**options, **changed, **({"sha256": None} if "sha256" in options else {})}

    def make(self, name: str) -> None:
        """Write the file that a configuration calls so, a URL or a path; InputError where nothing stands for it."""
        if name not in self.makers:
            raise InputError(f"{name}: nothing can be made up in its place, expected one of: {listed(self.makers)}")
        path, make = self.makers[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)

    def _of_url(self, url: str) -> Path:
        """Where the mirror of a URL looks; a drive's files have no path, and lie where a copy put by hand does."""
        asked = addresses.address(url)
        scheme, _, rest = asked.url.partition("://")
        if scheme not in SCHEMES or "?" in rest:
            return download.copy_of(url, self.downloads)
        return self.served / scheme / rest

    def size(self) -> int:
        """Bytes of all made-up files; those that are linked count once."""
        inodes = {}
        for path in self.served.rglob("*"):
            if path.is_file():
                stat = path.stat()
                inodes[stat.st_ino] = stat.st_size
        return sum(inodes.values())
