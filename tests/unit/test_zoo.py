"""Public weights: loaded strictly and as tensors only, by the recipe and by the script that runs it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pagboost import artifacts, networks, recipes
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.training import Data, Run

TRAIN = Path(__file__).parents[2] / "src" / "train.py"
DATA = Data(torch.zeros(1, 3, 8, 8), torch.zeros(1, dtype=torch.long), 2)
NETWORK = {"kind": "resnet", "layers": [1, 1, 1, 1], "width": 4, "bottleneck_width": 64, "num_classes": 2}
NETWORK |= {"mean": [0.5] * 3, "std": [0.5] * 3, "stem": {"kernel": 3, "stride": 1, "pool": False}}


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    """Random tensors under the names of the network's `model`."""
    torch.manual_seed(0)
    return networks.build(NETWORK).model.state_dict()


def entry(path, sha256=None):
    """A model entry for a file, whose own hash it states unless told otherwise."""
    sha256 = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    return {"kind": "pretrained", "network": NETWORK, "training": {"file": str(path), "sha256": sha256}}


def convert(path, sha256=None):
    return recipes.train(entry(path, sha256), DATA, Run(0, torch.device("cpu")), {})


def test_the_file_s_tensors_are_the_network_s(weights, tmp_path):
    torch.save(weights, tmp_path / "public.pth")
    made = convert(tmp_path / "public.pth")
    assert not made.network.training and made.facts["file"] == "public.pth"
    for key, value in made.network.model.state_dict().items():
        assert torch.equal(value, weights[key]), key


def test_batch_counters_may_be_missing(weights, tmp_path):
    torch.save({k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}, tmp_path / "old.pth")
    assert torch.equal(convert(tmp_path / "old.pth").network.model.fc.weight, weights["fc.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("fc.bias"), "public.pth: tensor fc.bias is missing"),
        (lambda w: w.update(more=torch.zeros(1)), "public.pth: tensor more is not part of this architecture"),
        (lambda w: w.update({"fc.bias": torch.zeros(3)}), r"public.pth: tensor fc.bias is \[3\], expected \[2\]"),
    ],
)
def test_tensors_have_to_fit(weights, tmp_path, change, message):
    change(weights)
    torch.save(weights, tmp_path / "public.pth")
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "public.pth")


class Foreign:
    """Anything but a tensor."""


def test_a_file_of_more_than_tensors_is_refused(tmp_path):
    torch.save({"fc.weight": Foreign()}, tmp_path / "code.pth")
    with pytest.raises(InputError, match=r"code.pth: not readable as public weights \(.pth of tensors\)"):
        convert(tmp_path / "code.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(InputError, match="list.pth: holds list, expected tensors by name"):
        convert(tmp_path / "list.pth")


def test_another_hash_is_refused(weights, tmp_path):
    torch.save(weights, tmp_path / "public.pth")
    with pytest.raises(InputError, match="public.pth: has sha256 .*, expected 00000000"):
        convert(tmp_path / "public.pth", "00000000")


def test_script(weights, tmp_path):
    """train.py with such an entry writes weights that load; what they were trained for is not known: no iterations."""
    torch.save(weights, tmp_path / "public.pth")
    artifacts.save_samples(tmp_path / "data.npz", SampleSet(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4) % 2))
    spec = json.dumps(entry(tmp_path / "public.pth"))
    command = [sys.executable, TRAIN, "--threads", "1", "--device", "cpu", "--spec", spec, "--data", "data.npz"]
    command += ["--num-classes", "2", "--out", "out.safetensors"]
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    network, description = networks.load(tmp_path / "out.safetensors", {"pretrained"})
    assert torch.equal(network.model.fc.weight, weights["fc.weight"])
    assert description["iterations"] == 0 and description["dataset"] == {"channels": 3, "num_classes": 2, "size": 8}
