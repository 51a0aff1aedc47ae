"""A web server on loopback that breaks off, forgets, refuses and lies as a test asks."""

from __future__ import annotations

import http.server
import re
import socket
import struct
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pagboost.sources import transfer


@dataclass
class Site:
    """What a server gives, and what it was asked.

    files: {path: content}. drop: how many bytes each of the next answers has before its connection ends, or is
    reset; None: all. codes: HTTP codes of the next answers; 0: none. ranges: whether it knows them. tags: whether it
    says versions (the content's own). heads: whether it knows HEAD. sized: whether it says how much comes. pages:
    {path: HTML}.
    moved: {path: where to}. waits: what answers wait for after their `drop`. packed: a Content-Encoding, if any.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    drop: list[int | None] = field(default_factory=list)
    resets: bool = False
    codes: list[int] = field(default_factory=list)
    ranges: bool = True
    tags: bool = True
    heads: bool = True
    sized: bool = True
    packed: str = ""
    waits: threading.Event | None = None
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def headers(self, name: str) -> list[str | None]:
        """A header of each GET, in order; None where it was not sent."""
        return [headers.get(name) for method, _, headers in self.asked if method == "GET"]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as server.site says."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        site: Site = self.server.site
        site.asked.append((self.command, self.path, dict(self.headers)))
        self.close_connection = True
        path = urllib.parse.unquote(self.path)
        if self.command == "HEAD" and not site.heads:
            return self._plain(405, b"", "text/plain")
        if site.codes and (code := site.codes.pop(0)):
            return self._plain(code, b"no", "text/plain")
        if path in site.moved:
            self.send_response(302)
            self.send_header("Location", site.moved[path])
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if path in site.pages:
            return self._plain(200, site.pages[path].encode(), "text/html; charset=utf-8")
        if path not in site.files:
            return self._plain(404, b"<html>not here", "text/html")
        return self._file(site, site.files[path], body)

    def _plain(self, code: int, content: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _file(self, site: Site, content: bytes, body: bool) -> None:
        tag, first, total = f'"{hash(content)}"', 0, len(content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if site.ranges else None
        if asked and self.headers.get("If-Range", tag) == tag:
            first, last = int(asked[1]), int(asked[2] or total - 1)
            self.send_response(206 if first < total else 416)
            span = f"{first}-{last}" if first < total else "*"
            self.send_header("Content-Range", f"bytes {span}/{total}")
            content = content[first : last + 1]
        else:
            self.send_response(200)
        if site.tags:
            self.send_header("ETag", tag)
        self.send_header("Content-Type", "application/octet-stream")
        if site.packed:
            self.send_header("Content-Encoding", site.packed)
        if site.sized:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self._send(site, content)

    def _send(self, site: Site, content: bytes) -> None:
        drop = site.drop.pop(0) if site.drop else None
        self.wfile.write(content[:drop])
        self.wfile.flush()
        if drop is not None and site.waits is not None:
            site.waits.wait(60)
        if drop is not None and site.resets:  # what the client has not read yet is lost
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RD)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server without any file; pauses between tries are short here."""
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.01))
    for name in ("HF_TOKEN", "HF_ENDPOINT", "PAGBOOST_MIRRORS"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.site = Site(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.site
        server.shutdown()
