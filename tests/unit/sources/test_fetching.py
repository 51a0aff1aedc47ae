"""All of a run's files at once: how much it is first, then each; what fails keeps no other from it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pagboost.errors import InputError
from pagboost.sources import addresses, fetching
from pagboost.sources.remotes import KEYS, Remote, found

ROOT = Path(__file__).parents[3]
SCALES = sorted((ROOT / "config" / "scales").glob("*.yaml"))


def strings(content, key=""):
    """(key, text) of all texts of a configuration."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from strings(value, name)
    elif isinstance(content, list):
        for value in content:
            yield from strings(value, key)
    elif isinstance(content, str):
        yield key, content


@pytest.mark.parametrize("scale", SCALES, ids=lambda path: path.stem)
def test_every_url_of_a_scale_is_found(scale):
    """Those of `note` and the like are for people."""
    content = yaml.safe_load(scale.read_text())
    there = {text for key, text in strings(content) if addresses.is_url(text) and key != "note"}
    assert {remote.url for remote in found(content)} == there


def test_what_a_configuration_names_is_found_once():
    content = {
        "datasets": {"a": {"options": {"file": "https://x.org/a", "sha256": "1" * 8, "downloads": "kept"}}},
        "models": {"b": {"training": {"file": "hf://o/r/b", "sha256": None}}, "c": {"training": {"file": "c.pt"}}},
        "generators": {
            "d": {"samples": "https://x.org/d"},
            "e": {"samples": "https://x.org/d", "note": "https://x.org"},
        },
        "samples": {"eval": {"per_seed": 5}},
        "list": [{"file": "file:///f"}],
    }
    assert found(content) == [
        Remote("https://x.org/a", "1" * 8, "kept"),
        Remote("hf://o/r/b"),
        Remote("https://x.org/d"),
        Remote("file:///f"),
    ]
    assert KEYS == ("file", "samples")


@pytest.fixture
def three(site, tmp_path) -> list[Remote]:
    """One file that is there, one of which a part is there, one of unknown size."""
    site.files |= {"/a.pt": b"a" * 1_000_000, "/b.pt": b"b" * 2_000_000, "/c.pt": b"c" * 3_000_000}
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "a.pt").write_bytes(site.files["/a.pt"])
    (kept / "b.pt.part").write_bytes(b"b" * 500_000)
    return [Remote(f"{site.address}/{name}.pt", None, str(kept)) for name in "ab"]


def test_a_plan_says_how_much_it_is(site, three, tmp_path):
    kept, missing = tmp_path / "kept", f"{site.address}/d.pt"
    planned = fetching.plan([*three, Remote(missing, None, str(kept))])
    said = fetching.lines(planned, [str(tmp_path / "imagenet"), str(kept)])
    assert said[:3] == [
        f"   1.00 MB  here   {kept}/a.pt",
        f"   1.50 MB  fetch  {kept}/b.pt  from {three[1].url} (the rest of 2.00 MB)",
        f"   unknown  fetch  {kept}/d.pt  from {missing} (HTTP 404 Not Found)",
    ]
    assert re.fullmatch(
        rf"0.00 GB to fetch and what is unknown: 2 of 3 files, 1 of unknown size; .* free at {kept}", said[3]
    )
    assert said[4:] == [f"   by hand  put    {tmp_path}/imagenet"]
    assert [method for method, _, _ in site.asked] == ["HEAD", "HEAD"]


def test_nothing_is_fetched_where_there_is_no_room(three, monkeypatch):
    planned = fetching.plan(three)
    fetching.check_room(planned)
    usage = fetching.shutil._ntuple_diskusage(9, 9, 1_000_000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"kept: 1.00 MB free on its disk, expected 1.50 MB for the downloads$"):
        fetching.check_room(planned)


def test_two_urls_of_one_copy(site, tmp_path):
    urls = [f"{site.address}/{folder}/a.pt" for folder in "xy"]
    with pytest.raises(InputError, match=rf"^{urls[1]}: its copy is {tmp_path}/a.pt, as that of {urls[0]}; expected a"):
        fetching.plan([Remote(url, None, str(tmp_path)) for url in urls])
    assert len(fetching.plan([Remote(url, "0" * 8, str(tmp_path)) for url in urls])) == 1  # the hash says it is one


def script(folder, *arguments):
    command = [sys.executable, ROOT / "src" / "fetch.py", *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "PAGBOOST_MIRRORS"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    return subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)


def test_script_of_a_configuration(site, three, tmp_path):
    """Its mirrors count; what fails is said at the end, and the others are there."""
    far = "https://example.invalid/"
    models = {
        "b": {"training": {"file": f"{far}b.pt", "downloads": "kept"}},
        "d": {"training": {"file": f"{far}d.pt", "downloads": "kept"}},
        "c": {"training": {"file": f"{far}c.pt", "sha256": None}},
    }
    (tmp_path / "scale.yaml").write_text(yaml.safe_dump({"mirrors": {far: f"{site.address}/"}, "models": models}))
    listed = script(tmp_path, "--spec", "scale.yaml", "--list", "--by-hand", "imagenet")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert re.search(r"^0.00 GB to fetch and .*: 3 of 3 files", listed.stdout, flags=re.MULTILINE)
    assert listed.stdout.endswith("by hand  put    imagenet\n")
    assert not (tmp_path / "downloads").exists()

    done = script(tmp_path, "--spec", "scale.yaml")
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last == f"error: 1 of 3 files not fetched (see above): {far}d.pt"
    assert f"{far}d.pt: not downloaded (HTTP 404 Not Found, asked at {site.address}/d.pt)" in done.stderr
    assert (tmp_path / "downloads" / "c.pt").read_bytes() == site.files["/c.pt"]
    assert (tmp_path / "kept" / "b.pt").read_bytes() == site.files["/b.pt"]

    site.files["/d.pt"] = b"d"
    assert script(tmp_path, "--spec", "scale.yaml:models").returncode == 1  # that part names no mirrors
    again = script(tmp_path, "--spec", "scale.yaml")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("here") == 2


def test_script_of_urls(site, three, tmp_path):
    done = script(tmp_path, f"{site.address}/c.pt", "--downloads", "x", "--sha256", "0" * 8)
    assert done.returncode == 1 and "c.pt: has sha256" in done.stderr
    done = script(tmp_path, f"{site.address}/b.pt", f"{site.address}/c.pt", "--downloads", "x")
    assert done.returncode == 0 and json.loads((tmp_path / "x/hashes.json").read_text()).keys() == {"b.pt", "c.pt"}
    done = script(tmp_path, f"{site.address}/b.pt", f"{site.address}/c.pt", "--sha256", "0" * 8)
    assert (done.returncode, done.stderr) == (2, "error: argument --sha256: with 2 URLs, expected one (see --help)\n")
    done = script(tmp_path, "no url")
    assert (done.returncode, done.stderr) == (1, "error: no url: expected a URL (https, http, file, hf)\n")
    done = script(tmp_path)
    assert (done.returncode, done.stdout) == (0, "0.00 GB to fetch: 0 of 0 files\n")
