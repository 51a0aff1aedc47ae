"""A published batch from its import to its score, as the jobs of a plan call the scripts, on tiny made files."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from pagboost import artifacts, networks
from pagboost.errors import InputError

SOURCE = Path(__file__).parents[2] / "src"
DATASET = {"num_classes": 3, "channels": 1, "size": 8}
PUBLISHED = json.dumps({"steps": 2, "alpha": 0.1, "pixels": 64, "multiples": [1]})
WALK = {"objective": "ce", "sampler": "pgd", "alpha": "published"}


def pixels(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 1), np.uint8)


@pytest.fixture
def run(tmp_path, monkeypatch, classifier, cnn_spec):
    """run(script, *arguments) in a folder with a batch of 30 images, 12 real ones, statistics, and a network."""
    monkeypatch.chdir(tmp_path)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    np.savez_compressed("batch.npz", arr_0=pixels(30, 0), arr_1=np.arange(30) % 3)
    np.savez("reals.npz", arr_0=pixels(12, 1))
    np.savez("statistics.npz", mu=np.zeros(8), sigma=np.eye(8))
    networks.save(Path("cnn.safetensors"), classifier, cnn_spec, {"kind": "classifier", "dataset": DATASET})

    def run(script: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [f"{script}.py", "--threads", "1", *map(str, arguments)])
        runpy.run_path(str(SOURCE / f"{script}.py"), run_name="__main__")

    return run


def boosted(run, out: str, **boost: str) -> artifacts.SampleSet:
    """All 30 images as one seed, boosted without any other samples."""
    if not Path("eval.npz").exists():
        run(
            "import_samples",
            "batch.npz",
            "--size=8",
            "--num-classes=3",
            "--seeds",
            0,
            "--per-seed",
            30,
            "--out",
            "eval.npz",
        )
    spec = json.dumps({**WALK, **boost})
    given = ("--guide", "cnn.safetensors", "--boost", spec, "--published", PUBLISHED, "--device", "cpu")
    run("boost", "eval.npz", *given, "--choice-out", f"{out}.json", "--out", f"{out}.npz")
    return artifacts.load_samples(Path(f"{out}.npz"))


def test_a_batch_is_boosted_whole_and_scored_against_a_file(run):
    raw, made = (boosted(run, "own"), artifacts.load_samples(Path("eval.npz")))
    assert len(made) == 30 and np.array_equal(raw.labels, made.labels)
    assert sorted(made.images.tobytes()[i : i + 64] for i in range(0, 1920, 64)) == sorted(
        pixels(30, 0).tobytes()[i : i + 64] for i in range(0, 1920, 64)
    )
    assert (raw.images != made.images).any((1, 2, 3)).all()
    choice = json.loads(Path("own.json").read_text())
    assert (choice["steps"], choice["alpha"]) == (2, pytest.approx(0.1)) and choice["labels"]["rule"] == "given"

    sha256 = artifacts.file_hash(Path("reals.npz"))
    of = ("--extractor", "cnn.safetensors", "--device", "cpu")
    run("make_reference", "reals.npz", *of, f"--sha256={sha256}", "--split=batch", "--k=3", "--out", "train.npz")
    run("make_reference", "statistics.npz", *of, "--split=alone", "--k=3", "--out", "other.npz")
    against = ("--reference", "train=train.npz", "other=other.npz", "--out", "metrics.json", "--resamplings", 0)
    run("evaluate", "own.npz", *of, *against, "--no-fid-infinity")
    found = json.loads(Path("metrics.json").read_text())["protocols"]
    facts = {name: one["protocol"] for name, one in found.items()}
    assert (facts["train"]["reference"], facts["train"]["reference_n"], facts["train"]["n"]) == ("batch", 12, 30)
    assert (facts["other"]["reference"], facts["other"]["statistics"]) == ("alone", "given")
    assert found["other"]["mean"]["fid"] > 0 and found["other"]["mean"]["precision"] is None


def test_pseudo_labels_are_the_guide_s_whatever_the_file_says(run):
    pseudo, own = boosted(run, "pseudo", labels="pseudo"), boosted(run, "own", labels="argmax")
    assert json.loads(Path("pseudo.json").read_text())["labels"]["rule"] == "pseudo"
    assert not np.array_equal(pseudo.labels, own.labels)
    assert len(set(pseudo.labels.tolist())) < 3 or (pseudo.labels == own.labels).mean() < 0.9


def test_a_file_of_another_hash_is_no_reference(run):
    with pytest.raises((InputError, SystemExit)):
        run("make_reference", "reals.npz", "--extractor", "cnn.safetensors", f"--sha256={'0' * 64}", "--out", "r.npz")
    assert not Path("r.npz").exists()
