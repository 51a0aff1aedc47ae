"""A tiny classifier and a tiny sample set, what most of the core's tests are made on; scripts as a run starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pagboost import networks, rng
from pagboost.artifacts import SampleSet
from pagboost.machine import warm


@pytest.fixture
def cnn_spec() -> dict[str, Any]:
    """A classifier of 8x8 one-channel images into three classes."""
    return {
        "kind": "cnn",
        "in_channels": 1,
        "num_classes": 3,
        "input_size": 8,
        "widths": [4],
        "depth": 1,
        "kernel": 3,
        "feature_dim": 8,
        "activation": "silu",
        "pool": "average",
    }


@pytest.fixture
def classifier(cnn_spec: dict[str, Any]) -> torch.nn.Module:
    """That network with random weights and BatchNorm statistics that have moved, in eval mode."""
    torch.manual_seed(0)
    network = networks.build(cnn_spec)
    with torch.no_grad():
        network(torch.rand(16, 1, 8, 8))
    return network.eval()


@pytest.fixture
def x() -> torch.Tensor:
    """Twelve images [12, 1, 8, 8] well inside [0, 1]."""
    return 0.2 + 0.6 * torch.rand(12, 1, 8, 8, generator=rng.generator("images"))


@pytest.fixture
def y() -> torch.Tensor:
    """Their classes, each four times."""
    return torch.arange(12) % 3


@pytest.fixture
def samples() -> SampleSet:
    """Twelve stored images of two sampling seeds."""
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8)
    return SampleSet(images, np.arange(12) % 3, np.repeat([5, 6], 6), np.tile(np.arange(6), 2))


@pytest.fixture
def script(warm_process: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """script(folder, "boost", …) runs src/boost.py with one thread in `folder`, as a run's job does; more variables of
    the environment by name. What it used is no part of what it said."""
    source = Path(warm.__file__).parents[2]

    def run(folder: Path, name: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, source / f"{name}.py", "--threads", "1", *arguments]
        environment = os.environ | {"PYTHONPATH": str(source)} | warm_process | variables
        done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
        lines = done.stderr.splitlines(keepends=True)
        done.stderr = "".join(line for line in lines if not line.startswith(warm.PEAK))
        return done

    return run
