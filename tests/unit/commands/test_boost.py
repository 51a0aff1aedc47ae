"""`pagboost boost` on pictures, as people run it: killed in the middle, refused in one line."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pagboost import artifacts, cli, networks
from pagboost.artifacts import SampleSet
from pagboost.metrics.image_sets import Folder
from pagboost.sources import pictures

SOURCE = Path(cli.__file__).parents[1]
BOOST = json.dumps({"objective": "ce", "sampler": "sgld", "alpha": 0.3, "noise_std": 0.05, "labels": "argmax"})
GUIDE = """
import os, signal, torch

class Guide(torch.nn.Module):
    seen = 0

    def forward(self, x):
        Guide.seen += len(x) == 3  # of a batch; the probe sees two images
        if str(Guide.seen) == os.environ.get("KILLED_AT"):
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.stack([x[:, :, :4].mean((1, 2, 3)), x[:, :, 4:].mean((1, 2, 3)), x.std((1, 2, 3))], 1)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Nine pictures in two folders, and a guide's code: of one place, as a module is of one."""
    folder, draws = tmp_path_factory.mktemp("boost"), np.random.default_rng(0)
    for number in range(9):
        path = folder / "mine" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures.image_of(draws.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    (folder / "guides.py").write_text(GUIDE)
    return folder


@pytest.fixture
def folder(made, monkeypatch):
    """The same, as the working folder."""
    monkeypatch.chdir(made)
    return made


ASK = ("boost", "mine", "--guide", "guides.py:Guide", "--boost", BOOST, "--steps", "4", "--batch-size", "3")
ASK += ("--labels", "none", "--threads", "1")


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_killed_in_the_middle_the_same_command_ends_in_the_same_bytes(folder, called, caplog):
    assert called(*ASK, "--out", "whole")[0] == 0
    command = [sys.executable, SOURCE / "boost.py", *ASK[1:], "--out", "boosted"]
    environment = os.environ | {"KILLED_AT": "9"}  # three batches are labelled, one is walked, the next is at work
    killed = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (folder / "boosted").exists() and (folder / ".boosted.unfinished").exists()
    caplog.set_level(logging.INFO)
    assert called(*ASK, "--out", "boosted")[0] == 0
    assert "1 of 3 batches were boosted by an earlier run, going on" in caplog.text
    assert content(folder / "boosted") == content(folder / "whole")
    assert sorted(path.name for path in folder.iterdir() if path.name[0] == ".") == []
    found = Folder(folder / "boosted")
    assert found.names == Folder(folder / "mine").names and len(found.labels().numbers) == 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--out", "mine/boosted"), "--out mine/boosted: lies in mine or around it"),
        (("--out", "mine"), "--out mine: holds files already"),
        (("--out", "."), "--out .: holds files already"),
        (("--out", "guides.py"), "--out guides.py: is a file, expected a folder"),
        (("--out", "b", "--label", "1"), "--labels: expected without --label 1"),
        (("--out", "b.tar"), "--out b.tar: archives are not written"),
        (("--out", "b.npz", "--plan-out", "p.npz"), "mine: holds pictures, expected an .npz with --plan"),
        (("--out", "b", "--classes", "[]"), "--classes: not a list of names"),
        (("--out", "b", "--classes", '["x", "y", "z"]'), "--classes: mine has no class folders"),
        (("--out", "b", "--real", ""), "argument --real: an empty name, expected a file or folder"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(folder, called, change, message):
    before = {*folder.rglob("*")}
    code, out, said = called(*ASK, *change)
    (line,) = [line for line in said.splitlines() if not line[:2].isdecimal()]  # the log's begin with the time
    assert code != 0 and out == "" and line.startswith("error: ") and message in line
    assert {*folder.rglob("*")} - before <= {folder / "__pycache__", *(folder / "__pycache__").glob("*")}


def test_a_file_of_others_guides_as_the_same_weights_of_ours(folder, called, classifier, cnn_spec):
    """Named as an entry of kind pretrained; nothing is written of it."""
    dataset = {"num_classes": 3, "channels": 1, "size": 8}
    networks.save(folder / "ours.safetensors", classifier, cnn_spec, {"kind": "classifier", "dataset": dataset})
    torch.save({"state_dict": {f"module.{key}": value for key, value in classifier.state_dict().items()}}, "net.pth")
    training = {
        "file": "net.pth",
        "sha256": None,
        "select": "state_dict",
        "strip": ["module."],
        "stands_for": {"kind": "classifier"},
    }
    theirs = json.dumps({"kind": "pretrained", "network": cnn_spec, "training": training})
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    artifacts.save_samples("set.npz", SampleSet(images, np.arange(5) % 3))
    for name, guide in (("ours", "ours.safetensors"), ("theirs", theirs)):
        code, _, said = called("boost", "set.npz", "--guide", guide, *ASK[4:8], "--out", f"{name}.npz")
        assert code == 0, said
    assert Path("ours.npz").read_bytes() == Path("theirs.npz").read_bytes()
    code, _, said = called(
        "boost", "set.npz", "--guide", theirs.replace("classifier", "gan"), *ASK[4:8], "--out", "x.npz"
    )
    assert code == 1 and "error: " in said
