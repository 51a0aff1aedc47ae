"""Files from elsewhere: fetched once, whole or not at all, and only with the content their hash promises."""

from __future__ import annotations

import http.client
import shutil
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from pagboost import artifacts, foreign
from pagboost.errors import InputError

SCHEMES = ("https", "http", "file")


def local(source: str, sha256: str | None, folder: str | Path, *, unpinned: bool = False) -> Path:
    """A path as it is, or a URL's copy in `folder`; either one's content must have the hash, where one is given.

    unpinned: a URL may come without a hash, and the caller says which one it had.
    Raises InputError for a missing file, a URL without a hash, and what `fetch` refuses.
    """
    if source.partition(":")[0].lower() in SCHEMES:
        if sha256 is None and not unpinned:
            raise InputError(f"{source}: a URL without sha256, expected the hash of what it should give")
        return fetch(source, sha256, folder)
    path = Path(source).expanduser()
    if not source or not path.exists():  # "" would be the folder that the script runs in
        raise InputError(f"{path}: no such file, expected a path or a URL ({', '.join(SCHEMES)})")
    _check(path, sha256, str(path))
    return path


def fetch(url: str, sha256: str | None, folder: str | Path) -> Path:
    """The copy of a URL in `folder`, under the URL's own file name; downloaded where it is not there yet.

    sha256: hexadecimal, whole, or its first 8 digits or more (what public weights carry in their names); None: any.
    Raises InputError where the URL cannot be read or names no file, and for another hash, of a copy that was there
    before too.
    """
    try:
        name = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
    except ValueError as error:
        raise InputError(f"{url}: no URL ({error}), expected one that names a file") from error
    if name in ("", ".", ".."):
        raise InputError(f"{url}: names no file, expected a URL that ends in a file's name")
    target = Path(folder).expanduser() / name
    if target.exists():
        _check(target, sha256, f"{target} (delete it to download it again)")
        return target
    with artifacts.atomic(target) as temporary:
        try:
            with urllib.request.urlopen(url, timeout=60) as response, open(temporary, "wb") as file:
                shutil.copyfileobj(response, file, 1 << 20)
        except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, TimeoutError, ConnectionError) as error:
            raise InputError(f"{url}: not downloaded ({error}), expected network access or a local path") from error
        _check(temporary, sha256, url)
    return target


def _check(path: Path, sha256: str | None, what: str) -> None:
    if sha256 is None:
        return
    if len(sha256) < 8:
        raise InputError(f"{what}: sha256 {sha256!r}, expected at least 8 hexadecimal digits")
    if path.is_dir():
        raise InputError(f"{what}: a folder, which has no sha256; expected null for it")
    found = artifacts.file_hash(path)
    if not found.startswith(sha256.lower()):
        with open(path, "rb") as file:
            instead = foreign.named(file.read(1024))
        raise InputError(f"{what}: has sha256 {found}, expected {sha256}{f' ({instead})' if instead else ''}")
