"""The script as a whole: several sets in one call, all that may be asked of them, one line for what is wrong."""

from __future__ import annotations

import csv
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pagboost import artifacts, networks
from pagboost.artifacts import SampleSet
from pagboost.metrics import features

SCRIPT = Path(__file__).parents[3] / "src" / "evaluate.py"
SPEC = {"kind": "cnn", "in_channels": 1, "num_classes": 4, "input_size": 8, "widths": [4], "depth": 1, "kernel": 3}
SPEC |= {"feature_dim": 6, "activation": "silu", "pool": "average"}
QUICK = ("--resamplings", "0", "--no-fid-infinity")


def pixels(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 1), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two extractors, two references, two sets of samples, one of two seeds; made the working folder."""
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        networks.save(tmp_path / f"{name}.safetensors", networks.build(SPEC), SPEC, {"kind": "classifier"})
    for seed, (name, n) in enumerate({"train": 60, "test": 50, "one": 40, "two": 40}.items()):
        seeds = np.repeat([0, 7], 20) if name == "two" else None
        artifacts.save_samples(tmp_path / f"{name}.npz", SampleSet(pixels(n, seed), np.arange(n) % 4, seeds))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> dict:
    """What the script writes to m.json."""
    given = ["evaluate.py", *map(str, arguments), "--out", "m.json", "--threads", "1", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", given)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return json.loads(Path("m.json").read_text())


def test_several_sets_are_scored_as_each_alone_is(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    common = ("--reference", "train.npz", "test.npz", "--extractor", "a.safetensors", *QUICK)
    looked = []
    original = features.extract
    monkeypatch.setattr("pagboost.metrics.references.extract", lambda *args: looked.append(args) or original(*args))
    both = evaluate(monkeypatch, "one.npz", "mine=two.npz", *common)
    assert len(looked) == 2  # each reference once
    printed = capsys.readouterr().out
    assert printed.startswith("== one\ntrain: 40 samples") and "\n== mine\ntrain: 20 samples in each of 2" in printed
    for name, file in (("one", "one.npz"), ("mine", "two.npz")):
        alone = evaluate(monkeypatch, file, *common)
        assert alone["protocols"] == both["sets"][name]["protocols"]
        assert alone["provenance"]["samples_sha256"] == both["provenance"]["samples_sha256"][name]
    assert "protocols" not in both


def test_everything_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    asked = ("--also", "coverage", "cmmd", "--memorisation", "train", "test", "--judge", "b.safetensors")
    written = ("--per-class", "c.csv", "--save-features", "kept", "--table", "t.csv", "--plot", "p.svg")
    common = ("--reference", "train.npz", "test.npz", "--extractor", "a.safetensors", "--resamplings", "40")
    result = evaluate(monkeypatch, "one.npz", "two.npz", *common, *asked, *written)
    one = result["sets"]["one"]
    assert {"coverage", "cmmd"} < set(one["protocols"]["test"]["mean"])
    assert set(one["memorisation"]) == {"train"} and one["memorisation"]["train"]["test"] == "test"
    assert 0 <= one["judge"]["mean"]["agreement"] <= 1 and one["judge"]["judge"] == "b"
    printed = capsys.readouterr().out
    assert "AuthPct" in printed and "judge b: agrees with the labels of" in printed
    with open("c.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["set"], row["reference"], row["class"]) for row in rows} == {
        (name, label, str(c)) for name in ("one", "two") for label in ("train", "test") for c in range(4)
    }
    assert all(row["fid"] and row["agreement"] for row in rows)
    assert sorted(path.name for path in (folder / "kept").iterdir()) == ["one_a.npz", "two_a.npz"]
    with open("t.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["set"], row["reference"], row["seeds"]) for row in table] == [
        ("one", "train", "1"), ("one", "test", "1"), ("two", "train", "2"), ("two", "test", "2"),
    ]  # fmt: skip
    assert float(table[0]["cmmd"]) == one["protocols"]["train"]["mean"]["cmmd"]
    assert (folder / "p.svg").read_text().startswith("<?xml")


def test_saved_features_in_place_of_samples_and_beside_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    common = ("--reference", "train.npz", *QUICK, "--extractor", "a.safetensors")
    looked = evaluate(monkeypatch, "two.npz", *common, "--save-features", "kept", "--per-class", "first.json")
    read = evaluate(monkeypatch, "kept/two_a.npz", *common, "--per-class", "second.json")
    assert read["protocols"] == looked["protocols"]
    assert read["provenance"]["samples_sha256"] == looked["provenance"]["samples_sha256"]
    assert read["provenance"]["features_sha256"] == artifacts.file_hash("kept/two_a.npz")
    first, second = (json.loads(Path(name).read_text())["classes"] for name in ("first.json", "second.json"))
    assert [row | {"set": ""} for row in first] == [row | {"set": ""} for row in second]
    beside = evaluate(monkeypatch, "two.npz", *common, "--features", "kept/two_a.npz")
    assert beside == looked
    with pytest.raises(SystemExit, match="--save-features kept/two_a.npz: is the input kept/two_a.npz, expected anoth"):
        evaluate(monkeypatch, "two.npz", *common, "--features", "kept/two_a.npz", "--save-features", "kept")
    for arguments, message in (
        (("one.npz", *common, "--features", "kept/two_a.npz"), "features of other samples"),
        (("kept/two_a.npz", *common[:-1], "b.safetensors"), "features by a .* expected those by b .*, or the images"),
        (("kept/two_a.npz", *common, "--judge", "b.safetensors"), "features by a .* expected those by b"),
    ):
        with pytest.raises(SystemExit, match=message):
            evaluate(monkeypatch, *arguments)


def test_saved_features_against_a_saved_reference_need_no_weights(folder: Path, monkeypatch) -> None:
    from pagboost.metrics import reference, references

    made = references.open_reference(
        "train.npz", [features.load_extractor("a.safetensors")], 3, 50, torch.device("cpu")
    )
    reference.save("ref.npz", made[0])
    arguments = ("--reference", "ref.npz", *QUICK)
    looked = evaluate(monkeypatch, "one.npz", *arguments, "--extractor", "a.safetensors", "--save-features", "kept")
    (folder / "a.safetensors").unlink()
    assert evaluate(monkeypatch, "kept/one_a.npz", *arguments)["protocols"] == looked["protocols"]


def test_class_folders_against_class_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matched by name, though the samples lack a class; a judge's numbers are the reference's."""
    for name, kinds, seed in (("real", ("ape", "cat", "dog"), 0), ("mine", ("cat", "dog"), 1)):
        for i, image in enumerate(pixels(36, seed)):
            path = folder / name / kinds[i % len(kinds)] / f"{i:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(path)
    result = evaluate(
        monkeypatch, "mine", "--reference", "real", "--extractor", "a.safetensors", *QUICK, "--judge", "a.safetensors",
        "--per-class", "c.json",
    )  # fmt: skip
    rows = json.loads(Path("c.json").read_text())["classes"]
    assert [(row["class"], row["name"], row["n"]) for row in rows] == [(0, "ape", 0), (1, "cat", 18), (2, "dog", 18)]
    assert rows[0]["fid"] is None and "too few images" in rows[0]["note"] and rows[1]["fid"] > 0
    means = [row["agreement"] for row in rows[1:]]
    assert result["judge"]["mean"]["agreement"] == pytest.approx(np.mean(means))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("one.npz", "one=two.npz"), "samples two.npz: a second one labelled one, expected LABEL=two.npz"),
        (("one.npz", "--table", "t.txt"), "--table t.txt: expected a name that ends in .csv or .md"),
        (("one.npz", "--plot", "p.gif"), "--plot p.gif: expected a name that ends in .png or .pdf or .svg"),
        (("one.npz", "--per-class", "c.md"), "--per-class c.md: expected a name that ends in .csv or .json"),
        (
            ("one.npz", "--memorisation", "train", "no"),
            "--memorisation train no: no reference no, expected one of train",
        ),
        (
            ("one.npz", "--also", "density", "--density-k", "60"),
            "density and coverage: 60 samples, expected at least 61",
        ),
        (
            ("one.npz", "--judge", "inception"),
            "--judge inception: its outputs are no data set's classes",
        ),
        (("plain.npz", "--per-class", "c.csv"), "plain.npz: says no classes, expected samples with labels"),
        (("plain.npz", "--judge", "b.safetensors"), "plain.npz: says no classes, expected samples with labels"),
        (
            ("one.npz", "one_more.npz"),
            "one_more.npz: images .* are .9, 9, 1., expected .8, 8, 1. as in reference train",
        ),
    ],
)
def test_one_line_and_no_output(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    artifacts.save_samples(folder / "plain.npz", SampleSet(pixels(40, 5)))
    artifacts.save_samples(folder / "one_more.npz", SampleSet(np.zeros((40, 9, 9, 1), np.uint8) + 7))
    with pytest.raises(SystemExit, match=message) as stopped:
        evaluate(monkeypatch, *arguments, "--reference", "train.npz", "--extractor", "a.safetensors", *QUICK)
    assert "\n" not in str(stopped.value)
    assert not any((folder / name).exists() for name in ("m.json", "t.txt", "c.csv", "p.gif"))


def test_a_judge_of_colours_sees_grey_images(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPEC | {"in_channels": 3}
    networks.save(folder / "rgb.safetensors", networks.build(spec), spec, {"kind": "classifier"})
    arguments = ("--reference", "train.npz", "--extractor", "a.safetensors", *QUICK, "--judge", "rgb.safetensors")
    assert evaluate(monkeypatch, "one.npz", *arguments)["judge"]["judge"] == "rgb"


def test_a_saved_reference_says_no_classes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("stats.npz", mu=np.zeros(6), sigma=np.eye(6))
    arguments = ("--extractor", "a.safetensors", *QUICK, "--per-class", "c.json")
    with pytest.raises(SystemExit, match="--reference stats.npz: says no classes, expected images with labels"):
        evaluate(monkeypatch, "one.npz", "--reference", "stats.npz", *arguments)
    evaluate(monkeypatch, "one.npz", "--reference", "stats.npz", "train.npz", *arguments)
    assert {row["reference"] for row in json.loads(Path("c.json").read_text())["classes"]} == {"train"}
