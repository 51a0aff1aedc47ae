"""The page that a drive shows before it hands out a large file, which it could not look through for viruses."""

from __future__ import annotations

import urllib.parse
from html.parser import HTMLParser

from pagboost.sources.addresses import DRIVE


class _Page(HTMLParser):
    """The first form of a page that leads to a download: its action, method and hidden values; and the page's title."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.values: dict[str, str] = {}
        self.title = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {key: value or "" for key, value in attrs}
        if tag == "form" and self.action is None and "download" in said.get("action", ""):
            self.action, self._inside = said["action"], "form"
        elif tag == "input" and self._inside == "form" and "name" in said:
            self.values[said["name"]] = said.get("value", "")
        elif tag == "title":
            self._inside = "title"

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title += data


def confirmed(page: str) -> tuple[str | None, str]:
    """(where a page leads once it is confirmed, or None; the page's title, in one line).

    A page that leads to another host than the drive's leads nowhere.
    """
    parsed = _Page()
    parsed.feed(page)
    title = " ".join(parsed.title.split()) or "a page without title"
    if parsed.action is None:
        return None, title
    action = urllib.parse.urlsplit(urllib.parse.urljoin(DRIVE, parsed.action))
    values = dict(urllib.parse.parse_qsl(action.query)) | parsed.values
    if (action.scheme, action.netloc) != urllib.parse.urlsplit(DRIVE)[:2]:
        return None, title
    return urllib.parse.urlunsplit(action._replace(query=urllib.parse.urlencode(values))), title
