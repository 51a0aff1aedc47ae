"""Folded networks compute what the originals do in eval mode, with no BatchNorm left after a convolution."""

from __future__ import annotations

import pytest
import torch

from pagboost import networks
from pagboost.networks.folding import folded

RESNET = {
    "kind": "resnet",
    "layers": [1, 1, 1, 1],
    "width": 8,
    "bottleneck_width": 64,
    "num_classes": 3,
    "mean": [0.3],
    "std": [0.4],
    "stem": {"kernel": 3, "stride": 1, "pool": False},
}
BASIC = {**RESNET, "block": "basic", "bottleneck_width": None}


@pytest.fixture(params=["cnn", "bottleneck", "basic"])
def network(request, cnn_spec):
    torch.manual_seed(0)
    made = networks.build({"cnn": cnn_spec, "bottleneck": RESNET, "basic": BASIC}[request.param])
    for _ in range(3):  # statistics that are not the initial ones
        made(torch.rand(16, 1, 8, 8))
    return made.eval()


def test_same_logits_and_same_gradient(network, x):
    results = []
    for one in (network, folded(network)):
        image = x.clone().requires_grad_(True)
        logits = one(image)
        results.append((logits, torch.autograd.grad(logits[:, 0].sum(), image)[0]))
    for mine, theirs in zip(*results, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_no_batchnorm_after_a_convolution_is_left_and_the_original_is_untouched(network):
    count = sum(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    assert count > 0
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded(network).modules())
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules()) == count
