"""FID of each class and a judge's agreement: each row by its definition, classes of too few images named."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.metrics import frechet, per_class
from pagboost.metrics.class_labels import Labels


def draw(n: int, role: str) -> torch.Tensor:
    return torch.randn(n, 4, generator=rng.generator("per class", role))


def labels(numbers: list[int], names: tuple[str, ...] = ()) -> Labels:
    return Labels(np.array(numbers), names, "set")


def test_fid_of_a_class_is_that_of_its_images_over_seeds() -> None:
    features, real = draw(60, "a"), draw(50, "b")
    own, theirs, seeds = labels([0, 1, 2] * 20), labels([1, 0] * 25), np.repeat([3, 9], 30)
    found = list(per_class.rows(features, own, seeds, real, theirs))
    assert [(row["class"], row["n"], row["reference_n"]) for row in found] == [(0, 10, 25), (1, 10, 25), (2, 10, 0)]
    for row in found[:2]:
        against = frechet.statistics(real[theirs.numbers == row["class"]])
        chosen = [features[(own.numbers == row["class"]) & (seeds == seed)] for seed in (3, 9)]
        values = [frechet.distance(frechet.statistics(one), against) for one in chosen]
        assert (row["fid"], row["fid_std"]) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
        assert row["note"] == "" and row["agreement"] is None
    assert found[2]["fid"] is None and found[2]["note"].startswith("too few images for FID, expected at least 2")


def test_classes_of_few_images_are_named(caplog: pytest.LogCaptureFixture) -> None:
    own, theirs = labels([0] * 4 + [1] * 6 + [2], ("ape", "cat", "dog")), labels([0] * 9 + [1] * 9 + [2] * 9)
    with caplog.at_level(logging.WARNING):
        found = list(per_class.rows(draw(11, "a"), own, np.zeros(11, int), draw(27, "b"), theirs))
    assert [row["name"] for row in found] == ["ape", "cat", "dog"]
    assert found[0]["fid"] > 0 and found[0]["note"] == "no more images than features (4): compare at equal n alone"
    assert found[1]["note"] == "" and found[2]["fid"] is None
    assert len(caplog.messages) == 1 and "no more images than features (4) of ape: " in caplog.messages[0]


def test_classes_are_matched_by_their_folders_names() -> None:
    own, theirs = labels([0] * 6 + [1] * 6, ("cat", "dog")), labels([0] * 6 + [1] * 6 + [2] * 6, ("ape", "cat", "dog"))
    found = list(per_class.rows(draw(12, "a"), own, np.zeros(12, int), draw(18, "b"), theirs))
    assert [(row["name"], row["n"], row["reference_n"]) for row in found] == [
        ("ape", 0, 6),
        ("cat", 6, 6),
        ("dog", 6, 6),
    ]


def test_agreement_of_a_judge() -> None:
    logits = torch.eye(3)[[0, 1, 2, 0, 0, 2]]
    own, seeds = labels([0, 1, 2, 0, 1, 1]), np.repeat([0, 5], 3)
    agreeing = per_class.agreement(logits, own, "judge")
    assert agreeing.tolist() == [True, True, True, True, False, False]
    result = per_class.judged(agreeing, seeds, 40)
    assert result["mean"]["agreement"] == pytest.approx(2 / 3)
    assert result["std"]["agreement"] == pytest.approx((2 / 3) / 2**0.5)
    assert result["intervals"]["0"]["agreement"] == [1, 1]
    low, high = result["intervals"]["5"]["agreement"]
    assert 0 <= low < 1 / 3 < high <= 1
    row = list(per_class.rows(draw(6, "a"), own, np.zeros(6, int), draw(6, "b"), own, agreeing))[1]
    assert row["agreement"] == pytest.approx(1 / 3)
    with pytest.raises(InputError, match=r"set: label 3, expected 0..2 \(the classes of judge\)"):
        per_class.agreement(logits, labels([0, 1, 2, 0, 1, 3]), "judge")


def test_as_csv_and_json(tmp_path: Path) -> None:
    own = labels([0, 1] * 5)
    about = {"set": "mine", "reference": "train", "extractor": "cnn"}
    found = [about | row for row in per_class.rows(draw(10, "a"), own, np.zeros(10, int), draw(10, "b"), own)]
    per_class.save(tmp_path / "c.csv", found)
    with open(tmp_path / "c.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["class"] for row in read] == ["0", "1"] and float(read[0]["fid"]) == found[0]["fid"]
    assert "agreement" not in read[0] and read[0]["fid_std"] == ""
    per_class.save(tmp_path / "c.json", found)
    assert json.loads((tmp_path / "c.json").read_text())["classes"] == found


def test_a_set_without_labels() -> None:
    assert per_class.needed(labels([0]), "s.npz", "samples").numbers.tolist() == [0]
    with pytest.raises(InputError, match=r"s.npz: says no classes, expected samples with labels: arr_1 of an .npz"):
        per_class.needed(None, "s.npz", "samples")
