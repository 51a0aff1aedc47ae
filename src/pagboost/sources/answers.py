"""What servers answer: a file or a part of one, its size and version, or why there is none to have."""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.request
from typing import Any

from pagboost.sources import addresses, drive
from pagboost.sources.addresses import Address

TIMEOUT = 60.0  # seconds without a byte
PAGE = 1 << 20  # bytes of a page that are looked at
LATER = (408, 425, 429, 500, 502, 503, 504)  # HTTP codes of what may be well a little later
NO_HEAD = (400, 403, 405, 501)  # what servers say that know no HEAD


class Broken(Exception):
    """What another try may mend. after: seconds the server asks to wait. reached: whether there was a server."""

    def __init__(self, reason: object, after: float = 0.0, *, reached: bool = True) -> None:
        super().__init__(_in_one_line(str(reason)) or type(reason).__name__)
        self.after, self.reached = after, reached


class Refused(Exception):
    """What no other try mends, in a few words."""


def size(address: Address) -> int | None:
    """How many bytes an address holds, None where the server does not say; Refused where there is nothing to have."""
    for method, headers in (("HEAD", {}), ("GET", {"Range": "bytes=0-0"})):  # some know no HEAD
        try:
            with _opened(address, headers, method) as response:
                if address.drive and _is_page(response):
                    return None
                found = total(response)
        except urllib.error.HTTPError as error:
            if method == "GET" or error.code not in NO_HEAD:
                raise Refused(described(error)) from error
        except Broken as error:
            raise Refused(str(error)) from error
        else:
            if found is not None:
                return found
    return None


def content(address: Address, headers: dict[str, str]) -> Any:
    """The response that carries a file, a drive's page confirmed; whoever gets it closes it.

    Raises HTTPError for a server's codes, Broken for all that keeps from it, Refused for a page that leads nowhere.
    """
    response = _opened(address, headers)
    if not (address.drive and _is_page(response)):
        return response
    with response:
        leads_to, title = drive.confirmed(response.read(PAGE).decode("utf-8", "replace"))
    if leads_to is not None:
        response = _opened(Address(addresses.mirrored(leads_to)), headers)
        if not _is_page(response):
            return response
        with response:
            title = drive.confirmed(response.read(PAGE).decode("utf-8", "replace"))[1]
    raise Refused(f"the drive shows a page instead: {_in_one_line(title)}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections as they were asked, HEAD by HEAD; who asks is told to the same host alone."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        followed = super().redirect_request(req, fp, code, msg, headers, newurl)
        if followed is not None:
            followed.method = req.get_method()
            if (followed.type, followed.host) != (req.type, req.host):
                followed.remove_header("Authorization")
        return followed


def _opened(address: Address, headers: dict[str, str], method: str = "GET") -> Any:
    """The response of a server; HTTPError for its codes, Broken for all that keeps from it."""
    opener = urllib.request.build_opener(_Redirects, urllib.request.HTTPCookieProcessor)
    agent = {"User-Agent": "pagboost"}
    try:
        request = urllib.request.Request(address.url, headers=agent | dict(address.headers) | headers, method=method)
        return opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        lost = isinstance(error.reason, (TimeoutError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError))
        raise Broken(error.reason, reached=lost) from error
    except ssl.SSLCertVerificationError as error:
        raise Broken(error, reached=False) from error
    except (http.client.HTTPException, OSError) as error:
        reached = not isinstance(error, http.client.InvalidURL)
        raise Broken(error, reached=reached) from error
    except ValueError as error:  # no address at all, as a mirror may make it
        raise Refused(f"{address.url}: {error}") from error


def _is_page(response: Any) -> bool:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind == "text/html" and "Content-Disposition" not in response.headers


def version(response: Any) -> str | None:
    """What If-Range may hold: a strong ETag, or a date."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def total(response: Any) -> int | None:
    """Bytes of the whole file, of whatever part a response is."""
    whole = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    if whole:
        return int(whole[1])
    length = response.headers.get("Content-Length", "")
    partial = getattr(response, "status", None) in (206, 416)
    return int(length) if length.isdigit() and not (encoding(response) or partial) else None


def encoding(response: Any) -> str:
    """How a server packed what it sends, which nobody asked for; empty: not at all."""
    said = _in_one_line(response.headers.get("Content-Encoding", "").lower())
    return "" if said == "identity" else said


def first(response: Any) -> int | None:
    """The place of a part's first byte."""
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def described(error: urllib.error.HTTPError) -> str:
    """An HTTP error in few words, one line."""
    return f"HTTP {error.code} {_in_one_line(str(error.reason))}".rstrip()


def _in_one_line(text: str) -> str:
    """A server's words, without what a terminal would act on."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def asked_pause(error: urllib.error.HTTPError) -> float:
    """Seconds that a server asks to wait, 0 where it does not."""
    text = error.headers.get("Retry-After", "").strip()
    return float(text) if text.isdigit() else 0.0
