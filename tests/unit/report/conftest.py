"""A small made-up paper and made-up metrics for it, written as evaluation writes them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pagboost import artifacts
from pagboost.report.cells import metrics_file, samples_file, steps_file, study_file, training_folder

FACTS = {
    "extractor": "cnn_a",
    "extractor_sha256": "a" * 64,
    "input_size": 32,
    "reference": "train",
    "reference_n": 1097,
    "n": 1000,
    "k": 3,
    "splits": 10,
}


def scores(fids: Sequence[float], facts: Mapping[str, Any]) -> dict[str, Any]:
    """One protocol of a metrics file: the given fid per seed, other metrics derived from it."""
    by_seed = {
        str(seed): {"fid": fid, "inception_score": 10 - fid / 10, "precision": 0.5, "recall": 0.25}
        for seed, fid in enumerate(fids)
    }
    columns = {metric: [values[metric] for values in by_seed.values()] for metric in by_seed["0"]}
    spread = {m: statistics.stdev(v) if len(v) > 1 else None for m, v in columns.items()}
    mean = {m: statistics.fmean(v) for m, v in columns.items()}
    return {"protocol": dict(facts), "seeds": by_seed, "mean": mean, "std": spread}


class Results:
    """A results folder to write into."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def training(self, number: int) -> Results:
        """The results of a training beyond the first, to write into."""
        return Results(training_folder(self.root, number))

    def metrics(
        self, generator: str, boost: str, train: Sequence[float], heldout: Sequence[float] | None = None, **facts: Any
    ) -> Path:
        """Write metrics with these FIDs per sampling seed; heldout is the same as train unless given."""
        path = metrics_file(self.root, generator, boost)
        protocols = {
            "train": scores(train, FACTS | facts),
            "heldout": scores(heldout or train, FACTS | facts | {"reference": "heldout", "reference_n": 450}),
        }
        artifacts.save_json(path, {"protocols": protocols, "provenance": {"versions": {"numpy": "2.0.0"}}})
        return path

    def steps(self, generator: str, boost: str, steps: int, alpha: float, **stated: Any) -> Path:
        """Write how a boost was applied."""
        path = steps_file(self.root, generator, boost)
        artifacts.save_json(path, {"steps": steps, "alpha": alpha, "candidates": [], **stated})
        return path

    def labels(self, generator: str, boost: str, counts: Mapping[str, Sequence[int]], rule: str = "argmax") -> Path:
        """Write how a boost was applied, with these target labels per sampling seed."""
        stated = {"eps": 0.6, "norm": "l2", "published_eps": 5.0, "scaled_eps": 0.3}
        return self.steps(generator, boost, 30, 0.02, labels={"rule": rule, "counts": counts, "shift": None}, **stated)

    def study(self, name: str, quantities: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Write a study's quantities and pictures."""
        content = {"kind": "targeted", "unit": "image", "settings": {"eps": 8.66, "steps": 60, "judge": "wrn"}}
        artifacts.save_json(study_file(self.root, name, "json"), content | {"quantities": quantities})
        np.savez(study_file(self.root, name, "npz"), **(arrays or {}))

    def samples(self, generator: str, boost: str, images: np.ndarray, labels: Sequence[int] | None) -> Path:
        """Write a sample set."""
        path = samples_file(self.root, generator, boost)
        labels = None if labels is None else np.asarray(labels, np.int64)
        artifacts.save_samples(path, artifacts.SampleSet(images, labels))
        return path


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


@pytest.fixture
def paper() -> dict[str, Any]:
    columns = [
        {"metric": "fid", "protocol": "train", "improvement": True},
        {"metric": "precision", "protocol": "train"},
        {"metric": "fid", "protocol": "heldout"},
    ]
    rows = [
        {"generator": "g1", "boost": "none", "reported": {"fid": 10.0, "precision": 0.7}},
        {"generator": "g1", "boost": "good", "reported": {"fid": 8.0}, "note": "A remark."},
        {"generator": "g2", "boost": "none", "reported": {"fid": 5.0}},
        {"generator": "g2", "boost": "good"},
    ]
    steps = [{"generator": "g1", "boost": "good", "reported": {"steps": 35, "alpha": 0.1}}]
    panels = [{"generator": "g1", "boost": "good"}, {"generator": "g2", "boost": "good"}]
    better = {"text": "Boosting helps", "source": "Table 1", "metric": "fid"}
    return {
        "key": "made_up",
        "title": "A made-up paper",
        "authors": ["A. Author"],
        "venue": "Nowhere",
        "setting": "nothing",
        "protocol": "train",
        "second_protocol": "heldout",
        "names": {
            "generators": {"g1": "First", "g2": "Second"},
            "boosts": {"none": "raw", "good": "Good"},
            "networks": {"r": "robust", "v": "not robust"},
        },
        "nfe": {"g1": 1},
        "tables": {
            "table1": {"kind": "metrics", "title": "Boosting", "place": "Table 1", "columns": columns, "rows": rows},
            "table2": {"kind": "steps", "title": "Steps", "place": "Table 2", "rows": steps},
        },
        "figures": {
            "figure1": {
                "kind": "before_after",
                "title": "Before, after",
                "place": "Figure 1",
                "classes": 2,
                "images_per_class": 1,
                "panels": panels,
            },
        },
        "claims": [
            {"id": "helps", **better, "each": ["g1", "g2"], "lower": {"boost": "good"}, "than": {"boost": "none"}},
            {
                "id": "gain_shrinks",
                **better,
                "quantity": "gain",
                "lower": {"generator": "g2", "boost": "good"},
                "than": {"generator": "g1", "boost": "good"},
            },
            {
                "id": "on_average",
                **better,
                "over": ["g1", "g2"],
                "lower": {"boost": "good"},
                "than": {"boost": "none"},
                "stated_percent": 20.0,
            },
        ],
    }


@pytest.fixture
def measured(results: Results) -> Results:
    """Metrics and steps of every cell of the made-up paper."""
    results.metrics("g1", "none", [12.0, 14.0], heldout=[20.0, 22.0])
    results.metrics("g1", "good", [9.0, 10.0], heldout=[19.0, 23.5])
    results.metrics("g2", "none", [6.0, 6.5])
    results.metrics("g2", "good", [5.0, 5.45])
    results.steps("g1", "good", 8, 0.2)
    results.steps("g2", "good", 4, 0.1)
    return results


@pytest.fixture
def alike(paper):
    """The made-up paper, which measured FID as the made-up metrics were measured; it has more training images."""
    facts = {key: FACTS[key] for key in ("extractor", "input_size", "reference", "n")}
    paper["measured_as"] = {"train": {"data": "Dots", "metrics": ["fid"], "reference_n": [1100, 1097], **facts}}
    return paper


@pytest.fixture
def grid(paper, results):
    """Sweeps over s of two classifiers as a table; g0 is where both start, with two different printed numbers."""
    places = [("g0", "First", "0"), ("g1", "First", "0.5"), ("g0", "Second", "0"), ("g2", "Second", "1.0")]
    rows = [{"generator": g, "boost": "none", "at": {"row": row, "column": column}} for g, row, column in places]
    rows[0]["reported"], rows[2]["reported"] = {"fid": 7.5}, {"fid": 7.0}
    rows[1]["note"] = "A remark."
    for generator, fid in (("g0", 8.0), ("g1", 6.0), ("g2", 5.0)):
        results.metrics(generator, "none", [fid - 0.5, fid + 0.5])
    paper["names"]["generators"]["g0"] = "Unguided"
    paper["tables"]["grid"] = {
        "kind": "metrics",
        "title": "Scales",
        "place": "Table 5",
        "grid": {"corner": "Classifier"},
        "columns": [{"metric": "fid", "protocol": "train"}],
        "rows": rows,
    }
    return paper
