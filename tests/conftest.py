"""What all tests share: Inception's public file, made up; and how they are dealt out to workers (pytest -n)."""

from __future__ import annotations

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from pagboost import networks


@pytest.hookimpl(tryfirst=True)  # before groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is made from one run of a workflow goes to one worker, the one small run first: it takes longest.

    Files of workflow tests share what their own runs have made.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    small, other = [], []
    for item in items:
        if item.get_closest_marker("workflow"):
            (small if "run" in item.fixturenames else other).append(item)
    for item in (*small, *other):
        item.add_marker(pytest.mark.xdist_group("small run" if item in small else item.path.stem))
    order = {item: (item not in small, item not in other) for item in items}
    items.sort(key=order.__getitem__)


@pytest.fixture(scope="session")
def inception_weights() -> dict[str, torch.Tensor]:
    """Random tensors under the names of the public file, BatchNorm's statistics moved; activations stay of order 1."""
    state = networks.build({"kind": "inception"}).model.state_dict()
    draws = torch.Generator().manual_seed(0)
    for key, value in state.items():
        if key.endswith(("running_var", "bn.weight")):
            value.uniform_(0.5, 1.5, generator=draws)
        elif value.dim() == 4:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=draws)
        elif value.is_floating_point():
            value.normal_(0, 0.1, generator=draws)
    return state


@pytest.fixture(scope="session")
def inception_file(inception_weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """They as a .pth file, without BatchNorm's batch counters, as files of old PyTorch versions are."""
    path = tmp_path_factory.mktemp("public") / "weights.pth"
    tensors = {key: value for key, value in inception_weights.items() if not key.endswith("num_batches_tracked")}
    torch.save(tensors, path)
    return path
