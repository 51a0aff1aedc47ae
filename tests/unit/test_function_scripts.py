"""Functions on the scripts' command lines: as guides, extractors, in studies, for interpolation."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pagboost import artifacts, functions
from pagboost.artifacts import SampleSet

SOURCE = Path(__file__).parents[2] / "src"
MINE = Path(__file__).with_name("functions_of_mine.py")
BOOST = json.dumps({"objective": "ce", "sampler": "pgd", "alpha": 0.3})
ENTRY = {"kind": "imported", "network": {"kind": "function", "channels": 1}, "training": {}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Samples, and the user's own file under a name of its own; made the working folder."""
    monkeypatch.delenv(functions.VARIABLE, raising=False)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), dtype=np.uint8)
    artifacts.save_samples(tmp_path / "samples.npz", SampleSet(pixels, np.arange(30) % 3))
    shutil.copy(MINE, tmp_path / "of_mine.py")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("of_mine", None)


@pytest.fixture
def script(folder, monkeypatch):
    """script(name, *arguments): the text it ends with, empty after success."""
    threads = torch.get_num_threads()

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", "--threads", str(threads), "--device", "cpu", *arguments])
        try:
            runpy.run_path(str(SOURCE / f"{name}.py"), run_name="__main__")
        except SystemExit as end:
            return "" if end.code in (0, None) else str(end.code)
        return ""

    return run


def boost(script, guide, out):
    return script("boost", "samples.npz", "--guide", guide, "--boost", BOOST, "--steps", "2", "--out", out)


def test_a_guide_in_all_its_forms_boosts_alike(script, folder, monkeypatch):
    entry = {**ENTRY, "network": {**ENTRY["network"], "function": "of_mine.py:classifier"}}
    entry["training"] = {"stands_for": {"kind": "classifier"}}
    assert (
        script("train", "--spec", json.dumps(entry), "--size", "8", "--num-classes", "3", "--out", "w.safetensors")
        == ""
    )
    assert boost(script, "of_mine.py:classifier", "direct.npz") == ""
    refused = boost(script, "w.safetensors", "file.npz")
    assert "w.safetensors: says that 'of_mine.py:classifier' makes its network" in refused
    assert not (folder / "file.npz").exists()
    monkeypatch.setenv(functions.VARIABLE, "of_mine.py:classifier")
    assert boost(script, "w.safetensors", "file.npz") == ""
    direct, file = (artifacts.load_samples(folder / name) for name in ("direct.npz", "file.npz"))
    assert np.array_equal(direct.images, file.images)
    assert (direct.images != artifacts.load_samples(folder / "samples.npz").images).any()


@pytest.mark.parametrize(
    ("guide", "message"),
    [
        ("of_mine.py:nothing", "error: function: of_mine.py:nothing: of_mine.py has no nothing, expected MODULE:NAME"),
        ("nowhere.py:net", "error: function: nowhere.py:net: no file nowhere.py"),
        ("of_mine.py:raises", "error: function: of_mine.py:raises: ValueError: no weights (of_mine.py, line "),
        ("of_mine.py:detached", "error: of_mine.py:detached: no gradient of its logits reaches the image"),
        ("of_mine.py:training", "error: of_mine.py:training: a pass changes its model.bn.running_mean"),
        ('of_mine.py:classifier?{"classes": 2}', "error: samples.npz: holds label 2, expected 0..1 (the guide's)"),
    ],
)
def test_what_cannot_guide_is_one_line(script, folder, guide, message):
    ended = boost(script, guide, "out.npz")
    assert ended.startswith(message) and "\n" not in ended
    assert not (folder / "out.npz").exists()


def test_an_extractor_is_named_in_the_protocol_and_mixes_with_no_other(script, folder):
    spec = {"function": "of_mine.py:features", "channels": 1, "input_size": 8}
    quick = ("--resamplings", "0", "--no-fid-infinity", "--out", "m.json")

    def evaluate(reference, extractor):
        return script("evaluate", "samples.npz", "--reference", reference, "--extractor", extractor, *quick)

    assert script("make_reference", "samples.npz", "--extractor", json.dumps(spec), "--out", "ref.npz") == ""
    assert evaluate("train=ref.npz", json.dumps(spec)) == ""
    facts = json.loads((folder / "m.json").read_text())["protocols"]["train"]["protocol"]
    assert (facts["extractor"], facts["input_size"]) == ("of_mine.py:features", 8)
    alone = json.dumps(spec | {"arguments": {"logits": False}})
    assert "expected one of those given: of_mine.py:features" in evaluate("train=ref.npz", alone)
    assert evaluate("train=samples.npz", alone) == ""
    result = json.loads((folder / "m.json").read_text())["protocols"]["train"]
    assert result["mean"]["inception_score"] is None and result["mean"]["fid"] is not None
    assert result["not_available"]["inception_score"] == "needs logits, the extractor gives features alone"
    assert result["protocol"]["extractor_sha256"] != facts["extractor_sha256"]
    assert "expected input_size" in evaluate("train=samples.npz", "of_mine.py:features")


def test_interpolation_by_torchvision_s_resnet(script, folder):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    for name, picture in zip("ab", pixels, strict=True):
        Image.fromarray(picture).save(folder / f"{name}.png")
    network = 'torchvision.models:resnet18?{"num_classes": 4}'
    rest = ("--ks", "0.5", "1", "--steps", "2", "--out", "strip.png")
    assert script("interpolate", "a.png", "b.png", "--network", network, *rest) == ""
    assert (folder / "strip.png").exists()
    own = 'of_mine.py:classifier?{"channels": 3}'
    assert "gives no feature maps, expected" in script("interpolate", "a.png", "b.png", "--network", own, *rest)


def test_a_study_looks_at_functions(script, folder):
    spec = {"kind": "targeted", "count": 3, "eps": 1.0, "pixels": 64, "steps": 2, "shown": 2}
    given = ("--network", "mine=of_mine.py:classifier", "--judge", 'other=of_mine.py:classifier?{"seed": 4}')
    made = ("--arrays", "study.npz", "--out", "study.json", "--data", "samples.npz")
    assert script("study", "--spec", json.dumps(spec), *given, *made) == ""
    hashes = json.loads((folder / "study.json").read_text())["provenance"]["weights_sha256"]
    assert len(hashes["mine"]) == 64 and hashes["mine"] != hashes["other"]
