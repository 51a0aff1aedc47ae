"""docs/api.md says what runs: its Python blocks, one after the other, and its commands' flags."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import pagboost
from pagboost import artifacts, networks
from pagboost.artifacts import SampleSet

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()


@pytest.fixture
def folder(tmp_path, monkeypatch, classifier, cnn_spec):
    """What the page's examples name, small; made the working folder."""
    dataset = {"num_classes": 3, "channels": 1, "size": 8}
    for name in ("guide", "features"):
        networks.save(
            f"{tmp_path}/{name}.safetensors", classifier, cnn_spec, {"kind": "classifier", "dataset": dataset}
        )
    for seed, name in enumerate(("samples", "train")):
        images = np.random.default_rng(seed).integers(0, 256, (24, 8, 8, 1), np.uint8)
        artifacts.save_samples(tmp_path / f"{name}.npz", SampleSet(images, np.arange(24) % 3))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_examples_run(folder, capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(compile(block, "docs/api.md", "exec"), names)  # noqa: S102
    assert "FID" in capsys.readouterr().out
    assert names["towards_class_2"].shape == names["x"].shape and names["after"].protocol()["reference"] == "train"
    assert artifacts.load_samples("boosted.npz").labels is not None


def test_its_commands_are_understood(folder, monkeypatch):
    """Their flags: what they do is other tests'."""
    from pagboost.boosting import flags as of_boost
    from pagboost.metrics import flags as of_evaluate

    evaluate, boost = (line for line in PAGE.splitlines() if re.match(r"pagboost (evaluate|boost) ", line))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("sys.argv", [*shlex.split(evaluate)[1:], "--threads", "1"])
    assert of_evaluate.parse(of_evaluate.parser("")).samples == [("", "samples.npz")]
    monkeypatch.setattr("sys.argv", [*shlex.split(boost)[1:], "--threads", "1"])
    assert of_boost.parse("").eps == 1.5


def test_everything_that_is_offered_is_on_it():
    for name in set(pagboost.__all__) - {"Guide", "__version__"}:
        assert name in PAGE
