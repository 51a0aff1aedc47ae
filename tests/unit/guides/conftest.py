"""A tiny data set that trainings of guides learn from."""

from __future__ import annotations

import pytest
import torch

from pagboost import rng, training


@pytest.fixture
def data():
    """Sixty images of three classes: which third of the columns is bright."""
    y = torch.arange(60) % 3
    x = 0.3 * torch.rand(60, 1, 8, 8, generator=rng.generator("stripes"))
    for c in range(3):
        x[y == c, :, :, 3 * c : 3 * c + 2] += 0.6
    return training.Data(x, y, 3)
