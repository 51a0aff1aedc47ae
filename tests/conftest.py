"""What all tests share: Inception's public file, made up; slow imports; and how they are dealt out to workers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from pagboost import networks

if not torch.cuda.is_available():  # before Triton is imported: its kernels run in an interpreter
    os.environ.setdefault("TRITON_INTERPRET", "1")

THREADS = torch.get_num_threads()
# Tests that look at one small run of the whole workflow: whoever asks for it stands here, and one worker makes it
SMALL_RUN = {f"tests/workflow/test_{name}.py" for name in ("faults", "moved", "pipeline", "report")}


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def group(nodeid: str) -> str:
    """What one worker runs as a whole, and makes fixtures for once: a file; of the small run, all its files."""
    return "small run" if file_of(nodeid) in SMALL_RUN else file_of(nodeid)


def turn(nodeid: str) -> tuple[bool, ...]:
    """Long ones first, so that no worker is left alone with one at the end."""
    file = file_of(nodeid)
    return file not in SMALL_RUN, not file.startswith("tests/workflow/"), file.count("/") > 2


@pytest.fixture(scope="session", autouse=True)
def cores() -> Iterator[None]:
    """As many as this process has threads: commands start one for each, and those that wait for each other compute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: THREADS)
        yield


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """As many as at first, whatever the commands that were run in this process have set."""
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(THREADS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups in the order of `turn`. (--dist loadgroup does the like, but reads no group with pytest 9.2.)"""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in their turn, where there are several workers."""
    workflow = [item for item in items if item.get_closest_marker("workflow")]
    looking = {file_of(item.nodeid) for item in workflow if "run" in item.fixturenames}
    if looking - SMALL_RUN:
        raise pytest.UsageError(f"tests/conftest.py: SMALL_RUN lacks {', '.join(sorted(looking - SMALL_RUN))}")
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: turn(item.nodeid))


WARM = """
import os, sys
from pagboost.machine import warm
warm.start()
print(os.environ.get(warm.VARIABLE, ""), flush=True)
sys.stdin.read()
warm.stop()
"""


@pytest.fixture(scope="session")
def warm_process() -> Iterator[dict[str, str]]:
    """The environment in which scripts of one thread hand over to a process that has done the slow imports."""
    source = str(Path(__file__).parents[1] / "src")
    environment = os.environ | {"PAGBOOST_WARM": "", "PYTHONPATH": source}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", WARM], env=environment, **pipes) as starter:
        yield {"PAGBOOST_WARM": starter.stdout.readline().strip()}


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
