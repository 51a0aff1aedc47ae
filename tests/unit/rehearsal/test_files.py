"""Made-up data sets and batches are read by the readers of real ones."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from pagboost import artifacts
from pagboost.metrics import published, references
from pagboost.options.models import Dataset
from pagboost.options.reading import read
from pagboost.rehearsal import batches, pictures
from pagboost.sources import data

TREE = {"source": "folder", "size": 16, "num_classes": 6, "split_seed": 0}
PARTS = {"train": 8, "validation": 4, "heldout": 5}


def tree(path, **over):
    options = {"file": str(path), "test": "val", "crop": True}
    return {**TREE, "options": options, "splits": PARTS, **over}


@pytest.mark.parametrize("name", ["imagenet", "imagenet.zip", "imagenet.tar"])
def test_a_tree_of_pictures(name, tmp_path, caplog):
    entry = tree(tmp_path / name)
    larger = {**entry, "size": 24, "options": {**entry["options"], "at_most": 6}}
    larger["splits"] = {"train": 4, "validation": 2, "heldout": 5}
    pictures.write(tmp_path / name, [entry, larger])
    with caplog.at_level(logging.INFO):
        parts = data.prepare(read(Dataset, entry, "x"))
    assert {key: len(part) for key, part in parts.items()} == PARTS
    labels = np.concatenate([parts["train"].labels, parts["validation"].labels])
    assert set(labels.tolist()) == set(range(6))
    assert parts["train"].images.shape == (8, 16, 16, 3) and parts["train"].images.std() > 10
    assert "1 outside train/ and val/" in caplog.text  # what lies beside the pictures is told
    assert len(data.prepare(read(Dataset, larger, "x"))["train"]) == 4


def test_pictures_of_one_size(tmp_path):
    """CMYK, which ImageNet has and ADM's fitting converts, is none of what other folders may hold."""
    entry = tree(tmp_path / "all", options={"file": str(tmp_path / "all"), "test": "test", "channels": 1})
    pictures.write(tmp_path / "all", [entry])
    assert data.prepare(read(Dataset, entry, "x"))["train"].images.shape == (8, 16, 16, 1)


def test_cifar10(tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    entry = {"source": "cifar10", "size": 32, "num_classes": 10, "split_seed": 0, "splits": PARTS}
    entry["options"] = {"file": str(path)}
    pictures.write(path, [entry])
    assert {key: len(part) for key, part in data.prepare(read(Dataset, entry, "x")).items()} == PARTS


def test_sources_that_nothing_stands_for_are_named(tmp_path):
    with pytest.raises(Exception, match="read by source mine, expected one of: folder, cifar10"):
        pictures.write(tmp_path / "x", [{"source": "mine"}])


@pytest.mark.parametrize("labelled", [True, False])
def test_batches_of_samples(labelled, tmp_path):
    batches.write_samples(tmp_path / "batch.npz", tree("x"), 9, labelled)
    found = artifacts.load_samples(tmp_path / "batch.npz", 6)
    assert found.images.shape == (9, 16, 16, 3) and (found.labels is not None) == labelled
    assert len(np.unique(found.images.reshape(9, -1), axis=0)) == 9


def test_references_are_openai_s_where_the_extractor_is_theirs(tmp_path):
    for name, openai in (("theirs.npz", True), ("plain.npz", False)):
        batches.write_reference(tmp_path / name, tree("x"), openai)
    assert [references.kind_of(str(tmp_path / name)) for name in ("theirs.npz", "plain.npz")] == ["openai", "images"]
    stated = type("Extractor", (), {"resize": "tensorflow", "name": "inception"})()
    pool3, spatial = published.openai_statistics(str(tmp_path / "theirs.npz"), stated, torch.device("cpu"))
    for found in (pool3, spatial):
        published.check_covariance(found, "theirs", "sigma")
