"""What a configuration names of other places: URLs, with the hash they promise and the folder that keeps their copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pagboost.options.entries import DOWNLOADS
from pagboost.sources import addresses

KEYS = ("file", "samples")  # under which options name files, beside sha256 and downloads
INSTEAD = "pictures"  # of this machine: where they are named, a file beside them is not asked for


class Remote(NamedTuple):
    """A URL; its sha256 (whole, its beginning, or None); the folder of its copy."""

    url: str
    sha256: str | None = None
    folder: str = DOWNLOADS


def found(settings: Any) -> list[Remote]:
    """All that a slice of configuration names, in its order, each once."""
    return list(dict.fromkeys(_remotes(settings)))


def _remotes(settings: Any) -> Iterator[Remote]:
    if isinstance(settings, Mapping):
        for key in KEYS if settings.get(INSTEAD) is None else ():
            url = settings.get(key)
            if isinstance(url, str) and addresses.is_url(url):
                yield Remote(url, settings.get("sha256"), settings.get("downloads") or DOWNLOADS)
        # what a function of the user's gets is its own affair (options.networks.Function)
        settings = [part for key, part in settings.items() if key != "arguments"]
    if isinstance(settings, (list, tuple)):
        for part in settings:
            yield from _remotes(part)
