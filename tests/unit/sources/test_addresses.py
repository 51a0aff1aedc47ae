"""Where a URL's content is asked for, and what its copy is called."""

from __future__ import annotations

import json
import re

import pytest

from pagboost.errors import InputError
from pagboost.sources import addresses
from pagboost.sources.addresses import Address

HUB = "https://huggingface.co"
DRIVE = "https://drive.usercontent.google.com/download?id=1-a_B&export=download"


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """An environment that says nothing."""
    for name in ("HF_TOKEN", "HF_ENDPOINT", "PAGBOOST_MIRRORS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("url", "asked", "place"),
    [
        ("https://x.org/a/b%20c.pt?d=1", "https://x.org/a/b%20c.pt?d=1", "b c.pt"),
        ("https://x.org/get?id=7#net.pt", "https://x.org/get?id=7", "net.pt"),
        ("hf://own/repo/net.ckpt", f"{HUB}/own/repo/resolve/main/net.ckpt", "own/repo/main/net.ckpt"),
        ("hf://own/repo/a/n e.pt@v1.0", f"{HUB}/own/repo/resolve/v1.0/a/n%20e.pt", "own/repo/v1.0/a/n e.pt"),
        ("hf://own/repo/n.pt@refs/pr/1", f"{HUB}/own/repo/resolve/refs%2Fpr%2F1/n.pt", "own/repo/refs/pr/1/n.pt"),
        ("hf://own/repo/a%40b.pt", f"{HUB}/own/repo/resolve/main/a%40b.pt", "own/repo/main/a@b.pt"),
        ("hf://datasets/o/r/s.npz", f"{HUB}/datasets/o/r/resolve/main/s.npz", "datasets/o/r/main/s.npz"),
        ("hf://own/repo/net.ckpt#mine.ckpt", f"{HUB}/own/repo/resolve/main/net.ckpt", "mine.ckpt"),
    ],
)
def test_addresses_and_places(url, asked, place):
    assert addresses.is_url(url)
    assert addresses.address(url).url == asked
    assert str(addresses.place(url)) == place


@pytest.mark.parametrize(
    "link",
    [
        "https://drive.google.com/file/d/1-a_B/view?usp=sharing",
        "https://drive.google.com/file/u/0/d/1-a_B/edit",
        "https://drive.google.com/open?id=1-a_B",
        "https://drive.google.com/uc?export=download&id=1-a_B",
        "https://docs.google.com/uc?id=1-a_B",
        "https://drive.usercontent.google.com/download?id=1-a_B&confirm=t",
    ],
)
def test_a_drives_links_are_one_address(link):
    assert addresses.address(f"{link}#net.pt") == Address(DRIVE, drive=True)
    assert str(addresses.place(f"{link}#net.pt")) == "net.pt"
    with pytest.raises(InputError, match=rf"^{re.escape(link)}: names no file, expected #NAME at its end"):
        addresses.place(link)


def test_an_old_links_key_goes_along():
    link = "https://drive.google.com/file/d/1-a_B/view?usp=sharing&resourcekey=0-k#net.pt"
    assert addresses.address(link).url == f"{DRIVE}&resourcekey=0-k"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("hf://own/net.pt", "no file of a hub, expected hf://owner/repo/file"),
        ("hf://own/repo/", "no file of a hub"),
        ("hf://own/repo/net.pt@", "no file of a hub"),
        ("hf://own/repo/../net.pt", "no file of a hub"),
        ("hf://own/repo/net.pt@../x", "no file of a hub"),
        ("https://drive.google.com/drive/folders/1-a_B#x.pt", "no link to one file of a drive"),
        ("https://x.org:port/x", "no URL"),
    ],
)
def test_addresses_of_nothing(url, message):
    with pytest.raises(InputError, match=rf"^{re.escape(url)}: {message}"):
        addresses.address(url)


@pytest.mark.parametrize("name", ["a/b.pt", "../b.pt", "/b.pt", "..", "%2e%2e"])
def test_a_name_is_no_path(name):
    with pytest.raises(InputError, match="expected"):
        addresses.place(f"https://x.org/a#{name}")


def test_who_asks_is_told_to_the_hub_alone(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert addresses.address("hf://o/r/f").headers == {"Authorization": "Bearer secret"}
    assert addresses.address("https://x.org/f").headers == {}
    monkeypatch.setenv("PAGBOOST_MIRRORS", json.dumps({HUB: "https://mirror"}))
    assert addresses.address("hf://o/r/f") == Address("https://mirror/o/r/resolve/main/f", hub=True)
    monkeypatch.setenv("HF_ENDPOINT", "https://own.hub/")
    found = addresses.address("hf://o/r/f")
    assert (found.url, list(found.headers)) == ("https://own.hub/o/r/resolve/main/f", ["Authorization"])


def test_the_longest_beginning_counts(monkeypatch):
    monkeypatch.setenv("PAGBOOST_MIRRORS", "{}")  # to be put back at the end
    addresses.use_mirrors({"https://x.org/": "http://all/", "https://x.org/a/": "file:///a/"})
    assert addresses.address("https://x.org/a/b#c").url == "file:///a/b"
    assert addresses.address("https://x.org/b").url == "http://all/b"
    assert addresses.address("https://y.org/b").url == "https://y.org/b"
    addresses.use_mirrors({})
    assert len(addresses.mirrors()) == 2


@pytest.mark.parametrize("text", ["https://a=https://b", "[1]", '{"a": 1}', '{"": "b"}'])
def test_mirrors_that_are_none(monkeypatch, text):
    monkeypatch.setenv("PAGBOOST_MIRRORS", text)
    with pytest.raises(InputError, match=r'^PAGBOOST_MIRRORS: [^\n]*expected JSON such as \{"https:'):
        addresses.address("https://x.org/f")
