"""What lies where a file was meant to: what failed downloads and version control leave in its place."""

from __future__ import annotations

import contextlib
from pathlib import Path

GZIP = b"\x1f\x8b"
POINTER, PAGES = b"version https://git-lfs", (b"<!doctype html", b"<html")
ARRAY = b"\x93NUMPY"


def named(content: bytes) -> str | None:
    """What a file is that begins with this content, in words; None for anything that may be the file itself."""
    start = content[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start:
        return "it is empty"
    if start.startswith(POINTER):
        return "it is a Git LFS pointer, not the file itself: git lfs pull fetches it"
    if start.startswith(PAGES):
        return "it is an HTML page: was the download refused?"
    return None


def at(path: Path) -> str | None:
    """The same of the file at a path; None for one that cannot be opened, too."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        content = file.read(1024)
        if content.startswith(GZIP) and path.suffix in (".npz", ".npy", ".safetensors"):  # not an archive cut short
            return "it is compressed by gzip: gunzip it"
        if content.startswith(ARRAY):
            return "it is one array without a name (.npy): numpy.savez makes an .npz of it"
        if path.suffix in (".pkl", ".pickle"):
            return "it is a pickle, which can run anything as it is read: numpy.savez makes an .npz of its arrays"
        return named(content)
    return None
