"""From images to the metrics file, through the scripts' own main()."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pagboost import artifacts, networks
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.metrics import evaluation, frechet, reference
from pagboost.metrics.features import Extractor, Features, load_extractor
from pagboost.metrics.image_sets import InMemory, SampleFile

SRC = Path(__file__).parents[3] / "src"
SPEC = {
    "kind": "cnn",
    "in_channels": 1,
    "num_classes": 4,
    "input_size": 8,
    "widths": [4],
    "depth": 1,
    "kernel": 3,
    "feature_dim": 6,
    "activation": "silu",
    "pool": "average",
}
CPU = torch.device("cpu")
METRICS = {"fid", "inception_score", "inception_score_std", "precision", "recall", "kid", "kid_std"}
QUICK = ("--resamplings", "0", "--no-fid-infinity")


def pixels(n: int, seed: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 1), dtype=np.uint8)


def extractor_file(folder: Path, name: str, seed: int) -> Path:
    torch.manual_seed(seed)
    path = folder / f"{name}.safetensors"
    networks.save(path, networks.build(SPEC), SPEC, {"kind": "classifier"})
    return path


def made_up(n: int, shift: float, seed: int = 0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features(torch.randn(n, 5, generator=generator) + shift, torch.randn(n, 3, generator=generator))


def made_up_reference(n: int = 40, k: int = 3) -> reference.Reference:
    torch.manual_seed(0)
    extractor = Extractor("made_up", "f" * 64, networks.build(SPEC))
    return reference.make(made_up(n, 0.0), extractor, split="train", image_shape=(8, 8, 1), k=k)


def script(name: str, *arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments), "--threads", "1", "--device", "cpu"])
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    runpy.run_path(str(SRC / name), run_name="__main__")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two extractors, three references, samples of two seeds."""
    for seed, name in enumerate("ab"):
        extractor_file(tmp_path, name, seed)
    for split, n, seed in (("train", 60, 0), ("heldout", 30, 1)):
        artifacts.save_samples(tmp_path / f"{split}.npz", SampleSet(pixels(n, seed)))
    for label, split, name in (("train", "train", "a"), ("heldout", "heldout", "a"), ("cross", "train", "b")):
        weights, out = tmp_path / f"{name}.safetensors", tmp_path / f"ref_{label}.npz"
        images = tmp_path / f"{split}.npz"
        script(
            "make_reference.py", images, "--extractor", weights, "--split", split, "--out", out, monkeypatch=monkeypatch
        )
    seeds = np.repeat([0, 7], 25)
    artifacts.save_samples(tmp_path / "samples.npz", SampleSet(pixels(50, 2), seeds=seeds))
    return tmp_path


def scored(files: Path, monkeypatch: pytest.MonkeyPatch, out: str = "metrics.json") -> dict:
    references = [f"{label}={files / f'ref_{label}.npz'}" for label in ("train", "heldout", "cross")]
    weights = [files / "a.safetensors", files / "b.safetensors"]
    script(
        "evaluate.py",
        files / "samples.npz",
        *("--extractor", *weights),
        *("--reference", *references),
        *("--out", files / out),
        *QUICK,
        monkeypatch=monkeypatch,
    )
    return json.loads((files / out).read_text())


def test_metrics_file(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = scored(files, monkeypatch)
    protocols = result["protocols"]
    assert set(protocols) == {"train", "heldout", "cross"}
    assert protocols["train"]["protocol"] == {
        "extractor": "a",
        "extractor_sha256": artifacts.file_hash(files / "a.safetensors"),
        "input_size": 8,
        "resize": "bicubic",
        "reference": "train",
        "reference_n": 60,
        "statistics": "images",
        "n": 25,
        "k": 3,
        "splits": 10,
        "kid_subsets": 100,
        "kid_size": 25,
    }
    assert protocols["cross"]["protocol"]["extractor"] == "b"
    assert protocols["heldout"]["protocol"]["reference_n"] == 30
    for part in protocols.values():
        assert set(part["seeds"]) == {"0", "7"}
        assert set(part["mean"]) == set(part["std"]) == set(part["seeds"]["0"]) == METRICS
        first, second = (part["seeds"][seed]["fid"] for seed in ("0", "7"))
        assert part["mean"]["fid"] == pytest.approx((first + second) / 2)
        assert part["std"]["fid"] == pytest.approx(abs(first - second) / np.sqrt(2))
    assert protocols["train"]["seeds"]["0"]["fid"] != protocols["cross"]["seeds"]["0"]["fid"]
    assert result["provenance"]["samples_sha256"] == artifacts.file_hash(files / "samples.npz")


def test_a_label_can_look_at_the_first_images_of_each_seed(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    references = [f"{label}={files / 'ref_train.npz'}" for label in ("train", "small")]
    arguments = ("--extractor", files / "a.safetensors", "--reference", *references, "--out", files / "m.json", *QUICK)
    script("evaluate.py", files / "samples.npz", *arguments, "--first", "small=12", monkeypatch=monkeypatch)
    protocols = json.loads((files / "m.json").read_text())["protocols"]
    assert (protocols["train"]["protocol"]["n"], protocols["small"]["protocol"]["n"]) == (25, 12)
    samples, rows = artifacts.load_samples(files / "samples.npz"), np.r_[0:12, 25:37]
    first = InMemory(samples.images[rows], seeds=samples.seeds[rows])
    extractor, loaded = load_extractor(files / "a.safetensors"), reference.load(files / "ref_train.npz")
    (alone,) = evaluation.evaluate_samples(first, [extractor], {"train": loaded}, 50, CPU).values()
    assert protocols["small"]["mean"] == pytest.approx(alone["mean"])
    for wrong, message in (("small=26", "seed 0 has 25 images, expected at least 26"), ("smal=12", "--first smal=12")):
        with pytest.raises(SystemExit) as stopped:
            script("evaluate.py", files / "samples.npz", *arguments, "--first", wrong, monkeypatch=monkeypatch)
        assert stopped.value.code == 2 or message in str(stopped.value)


def test_a_reference_is_made_of_images_alone(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another k for one that is made already would be passed over in silence."""
    arguments = ("--extractor", files / "a.safetensors", "--k", 5, "--out", files / "other.npz")
    with pytest.raises(SystemExit, match=r"ref_train\.npz: is such a reference already, expected the images"):
        script("make_reference.py", files / "ref_train.npz", *arguments, monkeypatch=monkeypatch)


def test_equal_input_gives_equal_bytes(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for out in ("first.json", "second.json"):
        scored(files, monkeypatch, out)
    assert (files / "first.json").read_bytes() == (files / "second.json").read_bytes()


def test_the_reference_scores_perfectly_against_itself(files: Path) -> None:
    extractor = load_extractor(files / "a.safetensors")
    loaded = reference.load(files / "ref_train.npz")
    samples = SampleFile(files / "train.npz")
    (part,) = evaluation.evaluate_samples(samples, [extractor], {"train": loaded}, 60, CPU).values()
    assert part["mean"]["fid"] == pytest.approx(0, abs=1e-6)
    assert part["mean"]["precision"] == part["mean"]["recall"] == 1
    assert part["std"] == dict.fromkeys(METRICS)  # one seed has no spread


def test_a_reference_file_gives_back_what_was_written(tmp_path: Path) -> None:
    made = made_up_reference()
    reference.save(tmp_path / "reference.npz", made)
    loaded = reference.load(tmp_path / "reference.npz")
    assert loaded.facts == made.facts
    for name in ("features", "radii", "members", "kernel_means", "kernel_mean"):
        assert torch.equal(getattr(loaded.points, name), getattr(made.points, name))
    assert loaded.spatial is None
    assert torch.equal(loaded.gaussian.mu, made.gaussian.mu) and torch.equal(loaded.gaussian.sigma, made.gaussian.sigma)


def test_a_saved_reference_of_fewer_images_than_features_keeps_its_root(tmp_path: Path) -> None:
    features = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    facts = reference.Facts("train", "made_up", "f" * 64, 8, (8, 8, 1), 3)
    made = reference.Reference(reference.pairs_of(features, 3), frechet.statistics(features), facts)
    reference.save(tmp_path / "reference.npz", made)
    assert torch.equal(reference.load(tmp_path / "reference.npz").gaussian.thin, made.gaussian.thin)


def test_each_seed_is_scored_as_a_set_of_its_own() -> None:
    near, far = made_up(30, 0.0, seed=1), made_up(30, 2.0, seed=2)
    mixed = Features(*(torch.cat(pair) for pair in ((near.features, far.features), (near.logits, far.logits))))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    seeds = np.repeat([3, 11], 30)[order.numpy()]
    part = evaluation.evaluate_seeds(mixed.subset(order), seeds, made_up_reference())
    for seed, alone in (("3", near), ("11", far)):
        expected = frechet.distance(frechet.statistics(alone.features), made_up_reference().gaussian)
        assert part["seeds"][seed]["fid"] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (np.repeat([0, 1], [20, 10]), "set.npz: seed 1 has 10 images and seed 0 has 20, expected as many"),
        (np.repeat([0, 1, 2, 3, 4], 6), r"set.npz: 6 images per seed, expected at least 10"),
    ],
)
def test_seeds_of_the_wrong_size(seeds: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluation.evaluate_seeds(made_up(30, 0.0), seeds, made_up_reference(), "set.npz")


def test_fewer_samples_than_neighbours() -> None:
    with pytest.raises(InputError, match=r"12 images per seed, expected at least 13 \(k \+ 1"):
        evaluation.evaluate_seeds(made_up(12, 0.0), np.zeros(12, int), made_up_reference(k=12), "set.npz")
    with pytest.raises(InputError, match="3 samples, expected at least 4"):
        made_up_reference(n=3)


def test_reference_of_another_extractor(files: Path) -> None:
    samples = SampleFile(files / "samples.npz")
    extractor = load_extractor(files / "a.safetensors")
    references = {"cross": reference.load(files / "ref_cross.npz")}
    with pytest.raises(InputError, match=r"reference cross: made with extractor b \(sha256 .*expected one of.*: a \("):
        evaluation.evaluate_samples(samples, [extractor], references, 50, CPU)


def test_samples_of_another_size_than_the_reference(files: Path) -> None:
    extractor = load_extractor(files / "a.safetensors")
    references = {"train": reference.load(files / "ref_train.npz")}
    with pytest.raises(InputError, match=r"set.npz: images .* are \[16, 16, 1\], expected \[8, 8, 1\] .*train"):
        evaluation.evaluate_samples(InMemory(pixels(20, 0, size=16), "set.npz"), [extractor], references, 20, CPU)


@pytest.mark.parametrize(
    ("broken", "message"),
    [("samples.npz", "has no facts, expected a reference"), ("a.safetensors", "not readable as a reference")],
)
def test_files_that_are_no_reference(files: Path, broken: str, message: str) -> None:
    with pytest.raises(InputError, match=f"{broken}: {message}"):
        reference.load(files / broken)


def test_bad_input_is_one_line_and_leaves_no_output(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(files / "samples.npz", arr_0=np.zeros((20, 8, 8, 1), np.float32))
    with pytest.raises(SystemExit) as stopped:
        scored(files, monkeypatch)
    assert str(stopped.value).startswith("error: ") and "arr_0: float32 [20, 8, 8, 1], expected uint8" in str(
        stopped.value
    )
    assert "\n" not in str(stopped.value) and not (files / "metrics.json").exists()
