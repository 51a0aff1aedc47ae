"""Made-up files of weights are read by the recipe for real ones, in every layout that it undoes."""

from __future__ import annotations

import os

import pytest
import torch

from pagboost import networks, recipes
from pagboost.rehearsal import weights
from pagboost.training import Run, no_data

RESNET = {"kind": "resnet", "layers": [1, 1, 1, 1], "width": 4, "bottleneck_width": 64, "num_classes": 10}
RESNET |= {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "stem": {"kernel": 3, "stride": 1, "pool": False}}
LAYOUTS = {
    "plain.pth": {},
    "robust.ckpt": {
        "select": "model",
        "ignore": ["module.attacker."],
        "strip": ["module.model."],
        "normaliser": "file",
    },
    "cifar.pt": {"select": "state_dict", "rename": {"shortcut": "downsample", "linear": "fc"}},
    "nested.pt": {"select": "model.ema", "strip": ["module.", "net."]},
    "golan.pt": {"strip": ["model."], "ignore": ["dummy"]},
    "plain.safetensors": {},
}


def entry(path, layout, network=RESNET):
    training = {"file": str(path), "sha256": None, **layout, "stands_for": {"kind": "classifier"}}
    return {"kind": "pretrained", "network": network, "training": training}


def read(path, layout, network=RESNET):
    return recipes.train(entry(path, layout, network), no_data(3, 32, 10), Run(0, torch.device("cpu")), {})


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_made_up_is_read(name, tmp_path):
    weights.write(tmp_path / name, entry(tmp_path / name, LAYOUTS[name]), {})
    made = read(tmp_path / name, LAYOUTS[name])
    own = made.network.model.state_dict()
    expected = weights.random_tensors(RESNET)
    assert all(torch.equal(own[key], value.to(own[key].dtype)) for key, value in expected.items())
    assert made.spec["mean"] == RESNET["mean"]
    logits = made.network(torch.rand(4, 3, 32, 32))
    assert logits.isfinite().all() and 1e-3 < logits.std() < 1e3  # neither dead nor exploding


def test_files_of_one_layout_and_network_are_one_on_the_disk(tmp_path):
    known = {}
    for name in ("ct.pt", "cd.pt", "other.pt"):
        network = RESNET if name != "other.pt" else {**RESNET, "width": 8}
        weights.write(tmp_path / name, entry(tmp_path / name, {}, network), known)
    assert os.path.samefile(tmp_path / "ct.pt", tmp_path / "cd.pt")
    assert not os.path.samefile(tmp_path / "ct.pt", tmp_path / "other.pt")


def test_noise_passes_through_a_unet(tmp_path):
    spec = {"kind": "unet", "image_size": 16, "in_channels": 3, "out_channels": 3, "model_channels": 32, "num_heads": 4}
    spec |= {"num_res_blocks": 2, "attention_resolutions": [8], "channel_mult": [1, 2, 2], "num_classes": 10}
    made = networks.build(spec)
    made.load_state_dict({key: value.float() for key, value in weights.random_tensors(spec).items()})
    drawn = made.eval()(torch.randn(2, 3, 16, 16), torch.tensor([3.0, 500.0]), torch.tensor([0, 1]))
    assert drawn.isfinite().all() and drawn.std() > 0.01
    assert not torch.allclose(drawn[0], drawn[1])
