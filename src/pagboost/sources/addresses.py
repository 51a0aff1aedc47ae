"""What a source's text means: a path or a URL, where a URL's content is asked for, and what its copy is called.

Besides https, http and file there is hf://owner/repo/file@revision, a file of the Hugging Face hub, and there are links
to files that a Google drive shares. What stands behind # names the copy: it is no part of what is asked for.
"""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pagboost.errors import InputError

SCHEMES = ("https", "http", "file", "hf")
MIRRORS = "PAGBOOST_MIRRORS"  # JSON {beginning of a URL: what stands for it}; jobs inherit it
HUB, REVISION = "https://huggingface.co", "main"
HUB_KINDS = ("datasets", "spaces")  # what may stand before owner/repo; models have nothing there
DRIVE_HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
DRIVE = "https://drive.usercontent.google.com/download"


@dataclass(frozen=True)
class Address:
    """Where a URL's content is asked for.

    headers: who asks, where a server wants to know; never sent to another host. hub: whether it is a hub's. drive:
    whether a page that wants to be confirmed may come first.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    hub: bool = False
    drive: bool = False


def is_url(source: str) -> bool:
    """Whether a source is fetched, rather than a path."""
    scheme, colon, _ = source.partition(":")
    return bool(colon) and scheme.lower() in SCHEMES


def place(url: str) -> PurePosixPath:
    """Where a URL's copy lies below the folder of downloads: the name in the URL, of a hub's file its whole name.

    Raises InputError for a URL that names no file.
    """
    parts = _split(url)
    named = urllib.parse.unquote(parts.fragment)
    if named:
        place = PurePosixPath(named)
        if len(place.parts) != 1:
            raise InputError(f"{url}: #{named}, expected a file's name behind #")
    elif parts.scheme == "hf":
        kind, repo, file, revision = _hub(url)
        place = PurePosixPath(*filter(None, (kind, repo, revision, file)))
    elif _drive_id(parts):
        raise InputError(f"{url}: names no file, expected #NAME at its end: what its copy is called")
    else:
        place = PurePosixPath(PurePosixPath(urllib.parse.unquote(parts.path)).name)
    if not place.parts or ".." in place.parts or place.is_absolute():
        raise InputError(f"{url}: names no file, expected a URL that ends in a file's name, or in #NAME")
    return place


def address(url: str) -> Address:
    """Where a URL's content is asked for: the hub's or the drive's own address, then a mirror's.

    Raises InputError for a hub's file without owner, repository and name, and for a drive's folder.
    """
    parts = _split(url)
    if parts.scheme == "hf":
        kind, repo, file, revision = _hub(url)
        hub = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
        asked = "/".join(filter(None, (hub, kind, repo, "resolve", _quoted(revision, ""), _quoted(file))))
        token = os.environ.get("HF_TOKEN", "").strip()
        found = mirrored(asked)
        return Address(found, {"Authorization": f"Bearer {token}"} if token and found == asked else {}, hub=True)
    shared = _drive_id(parts)
    if shared:
        key = urllib.parse.parse_qs(parts.query).get("resourcekey", [])[:1]  # of links made before 2021
        query = [("id", shared), ("export", "download"), *(("resourcekey", value) for value in key)]
        return Address(mirrored(f"{DRIVE}?{urllib.parse.urlencode(query)}"), drive=True)
    if parts.hostname in DRIVE_HOSTS:
        raise InputError(f"{url}: no link to one file of a drive, expected one that holds /file/d/ID or id=ID")
    return Address(mirrored(url.partition("#")[0]))


def mirrored(url: str) -> str:
    """A URL with its beginning replaced as the environment's mirrors say; the longest that fits counts."""
    known = mirrors()
    fitting = max((start for start in known if url.startswith(start)), key=len, default=None)
    return url if fitting is None else known[fitting] + url[len(fitting) :]


def mirrors() -> dict[str, str]:
    """{beginning of a URL: what stands for it} of the environment; InputError for any other content."""
    text = os.environ.get(MIRRORS, "").strip()
    if not text:
        return {}
    expected = 'expected JSON such as {"https://huggingface.co/": "https://mirror.example/"}'
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{MIRRORS}: no JSON ({error}), {expected}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()) or "" in found:
        raise InputError(f"{MIRRORS}: {text}, {expected}")
    return found


def use_mirrors(given: Mapping[str, str]) -> None:
    """Let these stand for the environment's, here and in every script that starts from here; none: as they were."""
    if given:
        os.environ[MIRRORS] = json.dumps(dict(given))


def _split(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # is looked at no earlier
    except ValueError as error:
        raise InputError(f"{url}: no URL ({error}), expected one that names a file") from error
    return parts


def _hub(url: str) -> tuple[str, str, str, str]:
    """(kind or "", owner/repo, file, revision) of hf://[datasets/]owner/repo/path/to/file@revision."""
    path, at, revision = url.partition("#")[0].partition("://")[2].rpartition("@")
    if not at:
        path, revision = revision, REVISION
    names = [urllib.parse.unquote(name) for name in path.split("/")]
    kind = names.pop(0) if names[0] in HUB_KINDS else ""
    if len(names) < 3 or not all(names) or not revision or {".", ".."} & {*names, *revision.split("/")}:
        raise InputError(f"{url}: no file of a hub, expected hf://owner/repo/file or hf://owner/repo/file@revision")
    return kind, "/".join(names[:2]), "/".join(names[2:]), revision


def _drive_id(parts: urllib.parse.SplitResult) -> str | None:
    """What a drive calls a file, of any of its links to one."""
    if parts.hostname not in DRIVE_HOSTS:
        return None
    in_path = re.match(r"/file/(?:u/\d+/)?d/([\w-]+)", parts.path)
    if in_path:
        return in_path[1]
    asked = parts.path.rstrip("/") in ("/uc", "/open", "/download")
    return next(iter(urllib.parse.parse_qs(parts.query).get("id", [])), None) if asked else None


def _quoted(text: str, safe: str = "/") -> str:
    return urllib.parse.quote(text, safe=safe)
