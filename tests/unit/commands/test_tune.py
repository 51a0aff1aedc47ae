"""`pagboost tune` on .npz files; docs/your_samples.md runs it on pictures."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from pagboost import artifacts, networks
from pagboost.artifacts import SampleSet
from pagboost.boosting import walks
from pagboost.boosting.guide import Guide
from pagboost.options.boosts import StepBoost
from pagboost.options.reading import read
from pagboost.sources import pictures

CPU = torch.device("cpu")
BOOST = json.dumps({"objective": "ce", "sampler": "pgd", "alpha": 0.3})


@pytest.fixture
def ask(tmp_path, classifier, cnn_spec, monkeypatch):
    """The command, in a folder with drawn.npz, others.npz and real.npz, labelled, and a guide that looks too."""
    monkeypatch.chdir(tmp_path)
    dataset = {"num_classes": 3, "channels": 1, "size": 8}
    networks.save("guide.safetensors", classifier, cnn_spec, {"kind": "classifier", "dataset": dataset})
    for seed, name in enumerate(("drawn", "others", "real")):
        images = np.random.default_rng(seed).integers(0, 256, (60, 8, 8, 1), np.uint8)
        made = SampleSet(images, np.arange(60) % 3)
        if name == "real":  # so that boosting helps
            guide = Guide(classifier, num_classes=3, channels=1, size=8)
            made = walks.boost_samples(guide, read(StepBoost, json.loads(BOOST), "boost"), made, 6, 60, CPU)
        artifacts.save_samples(f"{name}.npz", made)
    command = ["tune", "drawn.npz", "--guide", "guide.safetensors", "--boost", BOOST, "--reference", "real.npz"]
    return [*command, "--extractor", "guide.safetensors", "--threads", "1", "--resamplings", "0"]


def test_a_part_is_looked_at_and_the_command_boosts_the_rest(ask, called):
    code, out, error = called(*ask, "--steps", "1", "3", "--share", "0.5", "--out", "tuned")
    assert code == 0, error
    assert sorted(path.name for path in Path("tuned").iterdir()) == [
        "curve.csv",
        "curve.png",
        "test.npz",
        "tune.json",
        "validation.npz",
    ]
    found = artifacts.load_json("tuned/tune.json")
    assert [row["steps"] for row in found["lengths"]] == [0, 1, 3] and found["protocol"]["n"] == 30
    best = min(found["lengths"], key=lambda row: row["fid"])
    assert best["chosen"] == "yes" and best["steps"]
    program, *arguments = shlex.split(out.splitlines()[-1])
    assert (program, arguments[0], arguments[1]) == ("pagboost", "boost", "tuned/test.npz")
    assert f"--steps={best['steps']}" in arguments and f"--boost={BOOST}" in arguments
    assert called(*arguments)[0] == 0
    boosted, rest = (artifacts.load_samples(f"tuned/{name}.npz") for name in ("boosted", "test"))
    assert boosted.same_streams(rest) and boosted.labels.tolist() == rest.labels.tolist()
    assert (boosted.images != rest.images).any((1, 2, 3)).all()


def test_folders_that_are_no_classes_stay_none(ask, called):
    """In the parts that are dealt out too, and in the command that boosts the rest."""
    for i, one in enumerate(artifacts.load_samples("drawn.npz").images):
        path = Path("drawn", "abc"[i % 3], f"{i:02}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures.image_of(one).save(path)
    ask[1], none = "drawn", ("--labels", "none", "--label-rule", "argmax", "--share", "0.5", "--steps", "3")
    code, out, error = called(*ask, *none, "--out", "tuned")
    assert code == 0, error
    assert artifacts.load_json("tuned/tune.json")["labels"]["rule"] == "argmax"
    if "pagboost boost" in out:
        assert "--labels=none" in out.splitlines()[-1]


def test_other_samples_are_boosted_where_there_are_any(ask, called):
    ask[ask.index(BOOST)] = BOOST.replace("}", ', "stop": "ranks"}')
    given = ("--test", "others.npz", "--labels", "arr_1", "--real", "real.npz")
    code, out, error = called(*ask, "--steps", "2", *given, "--out", "tuned")
    assert code == 0, error
    assert sorted(path.name for path in Path("tuned").iterdir()) == ["curve.csv", "curve.png", "tune.json"]
    assert artifacts.load_json("tuned/tune.json")["protocol"]["n"] == 60
    assert (
        out.splitlines()[-1].startswith("pagboost boost others.npz ")
        and "--labels=arr_1" in out
        and "--real=real.npz" in out
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--test", "drawn.npz"), "--test drawn.npz: is what lengths would be chosen on"),
        (("--test", "copy.npz"), "copy.npz: holds the very images of drawn.npz"),
        (("--reference", "heldout=real.npz"), "heldout=real.npz: no such file"),
        (("--reference", "test.npz"), "--reference test.npz: test images, expected training or validation images"),
        (("--eps", "1"), "boost: has alpha, expected its number of steps"),
        (("--share", "1"), "1: expected a share between 0 and 1"),
        (("--share", "0.01"), "1 images per seed, expected at least 10"),
        (("--out", "full"), "--out full: holds files already"),
        (("--resamplings", "3"), "resamplings 3: expected 0, or at least 40"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(ask, called, change, message):
    Path("copy.npz").write_bytes(Path("drawn.npz").read_bytes())
    Path("test.npz").write_bytes(Path("real.npz").read_bytes())
    Path("full").mkdir()
    Path("full", "x").touch()
    before = {*Path().rglob("*")}
    code, out, error = called(*ask, *([] if "--out" in change else ["--out", "tuned"]), *change)
    lines = [line for line in error.splitlines() if not line[:2].isdecimal()]
    assert code != 0 and out == "" and len(lines) == 1 and message in lines[0], error
    assert {*Path().rglob("*")} == before
