"""Fetching: what the hash promises or nothing, once, and one line where it fails."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading

import pytest

from pagboost.errors import InputError
from pagboost.sources import download

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path):
    """A web server over tmp_path/site, which holds weights.pth; yields (its address, what was asked for)."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "weights.pth").write_bytes(CONTENT)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / "site"))

        def log_message(self, *args):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", asked
        running.shutdown()


@pytest.mark.parametrize("sha256", [SHA256, SHA256.upper(), SHA256[:8]])
def test_a_file_is_fetched_once(server, tmp_path, sha256):
    address, asked = server
    for _ in range(2):
        path = download.fetch(f"{address}/weights.pth?download=1", sha256, tmp_path / "kept")
        assert path == tmp_path / "kept" / "weights.pth"
        assert path.read_bytes() == CONTENT
    assert len(asked) == 1


def test_a_file_url_is_fetched_too(tmp_path):
    (tmp_path / "with space.bin").write_bytes(CONTENT)
    path = download.fetch((tmp_path / "with space.bin").as_uri(), SHA256, tmp_path / "kept")
    assert path.name == "with space.bin" and path.read_bytes() == CONTENT


def test_another_hash_leaves_nothing_behind(server, tmp_path):
    url = f"{server[0]}/weights.pth"
    with pytest.raises(InputError, match=rf"^{url}: has sha256 {SHA256}, expected {'0' * 64}$"):
        download.fetch(url, "0" * 64, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://[example/x.npz", "no URL .*, expected one that names a file"),
        ("https://example.org", "names no file, expected a URL that ends in a file's name"),
        ("https://example.org/x/..", "names no file"),
    ],
)
def test_an_address_of_no_file(tmp_path, url, message):
    with pytest.raises(InputError, match=rf"^{re.escape(url)}: {message}"):
        download.local(url, SHA256, tmp_path)


def test_a_page_in_place_of_a_file_is_called_one(tmp_path):
    (tmp_path / "weights.pth").write_text("<!doctype html>Log in first")
    with pytest.raises(InputError, match=rf"has sha256 .*, expected {SHA256} \(it is an HTML page: was the download"):
        download.local(str(tmp_path / "weights.pth"), SHA256, tmp_path)


def test_a_copy_that_has_changed_is_not_used(server, tmp_path):
    url = f"{server[0]}/weights.pth"
    path = download.fetch(url, SHA256, tmp_path / "kept")
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"weights.pth \(delete it to download it again\): has sha256"):
        download.fetch(url, SHA256, tmp_path / "kept")


def test_a_prefix_of_a_hash_has_to_say_something(tmp_path):
    (tmp_path / "weights.pth").write_bytes(CONTENT)
    with pytest.raises(InputError, match="weights.pth: sha256 '', expected at least 8 hexadecimal digits"):
        download.local(str(tmp_path / "weights.pth"), "", tmp_path)


def test_a_url_without_a_hash_is_fetched_where_that_is_allowed(server, tmp_path):
    url = f"{server[0]}/weights.pth"
    for _ in range(2):
        assert download.local(url, None, tmp_path / "kept", unpinned=True).read_bytes() == CONTENT
    assert len(server[1]) == 1


@pytest.mark.parametrize("missing", ["nothing.pth", None])
def test_what_cannot_be_reached_is_one_line(server, tmp_path, missing):
    url = f"{server[0]}/{missing}" if missing else "http://127.0.0.1:9/weights.pth"
    with pytest.raises(
        InputError, match=rf"^{url}: not downloaded \([^\n]+\), expected network access or a local path$"
    ):
        download.fetch(url, SHA256, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_local_path_is_used_where_it_lies(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(CONTENT)
    assert download.local(str(path), None, tmp_path / "kept") == path
    assert download.local(str(path), SHA256, tmp_path / "kept") == path
    with pytest.raises(InputError, match=f"{path}: has sha256 {SHA256}, expected {'1' * 64}"):
        download.local(str(path), "1" * 64, tmp_path / "kept")
    with pytest.raises(InputError, match="elsewhere.pth: no such file, expected a path or a URL"):
        download.local("elsewhere.pth", None, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_folder_has_no_hash(tmp_path):
    assert download.local(str(tmp_path), None, "kept") == tmp_path
    with pytest.raises(InputError, match=f"{tmp_path}: a folder, which has no sha256; expected null for it"):
        download.local(str(tmp_path), SHA256, "kept")


def test_a_url_needs_a_hash(tmp_path):
    with pytest.raises(InputError, match=r"https://example.org/x.npz: a URL without sha256, expected the hash"):
        download.local("https://example.org/x.npz", None, tmp_path)
