"""Ways to a file: sizes, redirections, hubs, mirrors, and a drive's page that wants to be confirmed."""

from __future__ import annotations

import json
import re

import pytest

from pagboost.errors import InputError
from pagboost.sources import addresses, answers, download, drive
from pagboost.sources.addresses import Address

CONTENT = b"content" * 100_000
LINK = "https://drive.google.com/file/d/1-a_B/view#net.pt"
# the parts of the drive's page of a file that it does not look through for viruses
CONFIRM = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<a href="https://drive.google.com/open?id=1-a_B">net.pt</a> (2.0G) is too large to scan.
<form id="download-form" action="https://drive.usercontent.google.com/download" method="get">
<input type="submit" id="uc-download-link" value="Download anyway"/><input type="hidden" name="id" value="1-a_B">
<input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t">
<input type="hidden" name="uuid" value="0a-1&amp;2"></form></body></html>"""
QUOTA = "<html><head><title>Google Drive -\n Quota exceeded</title></head><body>Sorry</body></html>"
ASKED = "/download?id=1-a_B&export=download"
CONFIRMED = f"{ASKED}&confirm=t&uuid=0a-1&2"  # as the server sees it, decoded


@pytest.fixture
def shared(site, monkeypatch):
    """The server as a drive."""
    monkeypatch.setenv("PAGBOOST_MIRRORS", json.dumps({"https://drive.usercontent.google.com/": f"{site.address}/"}))
    return site


def test_sizes(site):
    site.files["/a.pt"] = CONTENT
    address = Address(f"{site.address}/a.pt")
    assert answers.size(address) == len(CONTENT)
    site.heads = False
    assert answers.size(address) == len(CONTENT)
    assert [method for method, _, _ in site.asked] == ["HEAD", "HEAD", "GET"]
    assert site.headers("Range") == ["bytes=0-0"]
    site.sized = site.ranges = False
    assert answers.size(address) is None
    for wrong, reason in ((f"{site.address}/b.pt", "HTTP 404 Not Found"), ("http://127.0.0.1:9/b", "refused")):
        with pytest.raises(answers.Refused, match=reason):
            answers.size(Address(wrong))


def test_size_of_a_file_url(tmp_path):
    (tmp_path / "a").write_bytes(b"123")
    assert answers.size(Address((tmp_path / "a").as_uri())) == 3


def test_a_hubs_file_is_asked_for_where_it_moved(site, tmp_path, monkeypatch):
    """Resumed there too; who asks is told to the hub, and to no other host."""
    monkeypatch.setenv("HF_ENDPOINT", site.address)
    monkeypatch.setenv("HF_TOKEN", "secret")
    elsewhere = site.address.replace("127.0.0.1", "localhost")
    site.moved = {"/own/repo/resolve/v1/net.ckpt": "/renamed", "/renamed": f"{elsewhere}/store/net.ckpt"}
    site.files["/store/net.ckpt"], site.drop = CONTENT, [400_000]
    path = download.fetch("hf://own/repo/net.ckpt@v1", None, tmp_path)
    assert path == tmp_path / "own/repo/v1/net.ckpt" and path.read_bytes() == CONTENT
    assert site.headers("Authorization") == ["Bearer secret", "Bearer secret", None] * 2
    assert site.headers("Range") == [None] * 3 + ["bytes=400000-"] * 3
    assert json.loads((tmp_path / "hashes.json").read_text()).keys() == {"own/repo/v1/net.ckpt"}
    site.asked.clear()
    assert answers.size(addresses.address("hf://own/repo/net.ckpt@v1")) == len(CONTENT)
    assert [method for method, _, _ in site.asked] == ["HEAD"] * 3


def test_a_gated_file_is_said_to_need_a_token(site, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", site.address)
    site.codes = [401]
    asked = f"{site.address}/own/repo/resolve/main/net.ckpt"
    expected = rf"^hf://own/repo/net.ckpt: not downloaded \(HTTP 401 Unauthorized, asked at {asked}\), expected .*HF_TO"
    with pytest.raises(InputError, match=expected):
        download.fetch("hf://own/repo/net.ckpt", None, tmp_path)


def test_a_mirror_is_asked_in_place_of_its_original(site, tmp_path, monkeypatch):
    """And the URL is what is pinned: with another mirror it is the same file."""
    monkeypatch.setenv("PAGBOOST_MIRRORS", json.dumps({"https://example.invalid/": f"{site.address}/mirror/"}))
    site.files["/mirror/a/net.pt"] = CONTENT
    url = "https://example.invalid/a/net.pt"
    assert download.fetch(url, None, tmp_path).read_bytes() == CONTENT
    assert json.loads((tmp_path / "hashes.json").read_text())["net.pt"]["url"] == url
    expected = rf"not downloaded \(HTTP 404 Not Found, asked at {site.address}/mirror/b.pt\), expected network access"
    with pytest.raises(InputError, match=expected):
        download.fetch("https://example.invalid/b.pt", None, tmp_path)


def test_a_mirror_of_no_address(tmp_path, monkeypatch):
    monkeypatch.setenv("PAGBOOST_MIRRORS", json.dumps({"https://example.invalid/": "nowhere/"}))
    with pytest.raises(InputError, match=r"^https://example.invalid/a: not downloaded \(nowhere/a: unknown url type"):
        download.fetch("https://example.invalid/a", None, tmp_path)


def test_a_drives_page_is_confirmed(shared, tmp_path):
    """And again where the connection breaks; a size is unknown until then."""
    shared.pages[ASKED], shared.files[CONFIRMED], shared.drop = CONFIRM, CONTENT, [300_000]
    assert answers.size(addresses.address(LINK)) is None
    assert download.fetch(LINK, None, tmp_path).read_bytes() == CONTENT
    assert (tmp_path / "net.pt").exists()
    gets = [path for method, path, _ in shared.asked if method == "GET"]
    assert [("confirm=t" in path) for path in gets] == [False, True, False, True]
    assert shared.headers("Range")[-1] == "bytes=300000-"


def test_a_drives_small_file_comes_at_once(shared, tmp_path):
    shared.files[ASKED] = CONTENT
    assert download.fetch(LINK, None, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("again", [False, True], ids=["at once", "after the first page is confirmed"])
def test_where_a_drive_wants_a_person(shared, tmp_path, again):
    shared.pages = {ASKED: CONFIRM, CONFIRMED: QUOTA} if again else {ASKED: QUOTA}
    expected = (
        rf"^{re.escape(LINK)}: not downloaded \(the drive shows a page instead: Google Drive - Quota exceeded, asked "
        rf"at [^\n]+\), expected a shared file: fetch it by hand, in a browser, and put it at {tmp_path}/net.pt$"
    )
    with pytest.raises(InputError, match=expected):
        download.fetch(LINK, None, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("page", "leads_to", "title"),
    [
        (
            CONFIRM,
            f"https://drive.usercontent.google.com{ASKED}&confirm=t&uuid=0a-1%262",
            "Google Drive - Virus scan wa",
        ),
        (
            '<form action="/download?a=1"><input name="b">',
            "https://drive.usercontent.google.com/download?a=1&b=",
            "a p",
        ),
        ('<form action="https://other.org/download"><input name="id" value="1">', None, "a page without title"),
        ('<form action="http://drive.usercontent.google.com/download">', None, "a page without title"),
        ('<form action="/search"><input name="q"></form>', None, "a page without title"),
        ("", None, "a page without title"),
    ],
)
def test_what_a_page_leads_to(page, leads_to, title):
    found = drive.confirmed(page)
    assert found[0] == leads_to and found[1].startswith(title)
