"""Weights from elsewhere are read: no images are prepared for it, and no GPU is waited for."""

from __future__ import annotations

import re

import pytest
import torch
import yaml

from pagboost import networks
from pagboost.artifacts import load_weights

from .conftest import ROOT, snakemake

pytestmark = pytest.mark.workflow


def test_public_weights_need_neither_images_nor_a_gpu(tmp_path):
    shipped = yaml.safe_load((ROOT / "config" / "scales" / "digits.yaml").read_text())
    spec = shipped["models"]["cnn_a"]["network"]
    torch.save(networks.build(spec).state_dict(), tmp_path / "net.pth")
    public = {"kind": "pretrained", "dataset": "digits16", "network": spec, "source": "code"}
    scale = {
        "base": "digits",
        "papers": [],
        "unavailable": {},
        "models": {"public": public | {"training": {"file": "net.pth", "sha256": None}}},
        "jobs": {"train": {"gpu": 1}},  # which nothing is declared to have here
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(scale))
    target = "results/mine/weights/public.safetensors"
    done = snakemake(target, "--config", "scale=mine.yaml", "results=results", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"^Job \d+: (.*)$", done.stdout + done.stderr, flags=re.MULTILINE)) == {
        "Reading public from elsewhere"
    }
    _, description = load_weights(tmp_path / target)
    assert description["dataset"] == {"channels": 1, "size": 16, "num_classes": 10}
    assert not (tmp_path / "results/mine/data").exists()
