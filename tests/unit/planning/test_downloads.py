"""What is fetched: all that the chosen papers need, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pagboost.planning import configuration, downloads, flags
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import Results
from pagboost.sources.remotes import Remote

ROOT = Path(__file__).parents[3]
CONFIG = {"scale": "digits", "results": "results", "seeds": [0], "trainings": [0], "answers": "answers"}
WEIGHTS = {"file": "hf://own/repo/net.ckpt", "sha256": None}
ARCHIVE = {"file": "https://x.org/set.tar", "sha256": "1" * 64, "downloads": "kept"}


@pytest.fixture
def scale() -> dict:
    """The digits scale with an extractor, a generator and a data set from elsewhere."""
    found = json.loads(json.dumps(configuration.load(ROOT, CONFIG), default=str))
    elsewhere = {"kind": "pretrained", "training": WEIGHTS}
    network = found["models"]["cnn_a"] | elsewhere
    found["models"] |= {"cnn_a": network, "unused": network | {"training": WEIGHTS | {"file": "hf://o/r/unused"}}}
    web = {"samples": "https://x.org/s.npz", "dataset": "digits16"}
    found["generators"] |= {"cgan": web | {"published": found["generators"]["cgan"]["published"]}, "unused": web}
    return found


def needed(scale: dict) -> downloads.Needed:
    return downloads.needed(Outputs(Results(scale)))


def test_nothing_is_needed_of_digits():
    scale = configuration.load(ROOT, CONFIG)
    assert needed(scale) == ([], [])
    assert flags.fetched(Outputs(Results(scale))) == ['--spec={"files": []}']


def test_what_the_papers_show_is_needed(scale):
    found = needed(scale)
    assert set(found.remotes) == {Remote("hf://own/repo/net.ckpt"), Remote("https://x.org/s.npz")}
    scale["papers"] = {"kawar2023": scale["papers"]["kawar2023"]}  # which has no cgan
    assert needed(scale).remotes == [Remote("hf://own/repo/net.ckpt")]


def test_what_is_put_there_by_hand_is_said(scale, tmp_path):
    data = scale["datasets"]["digits16"]
    data |= {"source": "folder", "options": {"file": f"{tmp_path}/set"}, "class_names": f"{tmp_path}/names.txt"}
    found = needed(scale)
    assert found.by_hand == [f"{tmp_path}/set", f"{tmp_path}/names.txt"]
    assert flags.fetched(Outputs(Results(scale)))[1:] == ["--by-hand", *found.by_hand]
    data["options"] = ARCHIVE
    assert Remote(ARCHIVE["file"], "1" * 64, "kept") in needed(scale).remotes


def test_of_a_scale_without_papers_all_is_needed(scale):
    scale["papers"] = {}
    assert {remote.url for remote in needed(scale).remotes} == {
        "hf://own/repo/net.ckpt",
        "hf://o/r/unused",
        "https://x.org/s.npz",
    }


def test_another_url_makes_samples_anew_and_a_path_does_not(scale):
    """Nothing but the URL may tell what was downloaded: it needs no hash."""

    def settings(**entry: str) -> dict:
        scale["generators"]["unused"] |= entry
        return dict(Results(scale).generated("unused", "eval").settings)

    assert settings(samples="https://x.org/a") != settings(samples="https://x.org/b")
    assert settings(samples="a.npz") == settings(samples="b.npz")
