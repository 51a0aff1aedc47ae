"""The ResNets: torchvision's own names and shapes, normalisation inside, small stems and widths."""

from __future__ import annotations

import pytest
import torch
import torchvision

from pagboost import networks
from pagboost.errors import InputError
from pagboost.networks import resnet
from pagboost.networks.folding import folded

SMALL = {
    "kind": "resnet",
    "layers": [1, 1, 1, 1],
    "width": 8,
    "bottleneck_width": 64,
    "num_classes": 5,
    "mean": [0.3],
    "std": [0.35],
    "stem": {"kernel": 3, "stride": 1, "pool": False},
}
FULL = {
    "kind": "resnet",
    "layers": [3, 4, 6, 3],
    "width": 64,
    "bottleneck_width": 64,
    "num_classes": 1000,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "stem": {"kernel": 7, "stride": 2, "pool": True},
}


@pytest.fixture
def small() -> torch.nn.Module:
    torch.manual_seed(0)
    return networks.build(SMALL).eval()


def shapes(network: torch.nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in network.state_dict().items()}


@pytest.mark.parametrize(("width", "peer"), [(64, "resnet50"), (128, "wide_resnet50_2")])
def test_full_size_has_the_tensors_of_the_public_checkpoints(width, peer):
    with torch.device("meta"):
        own, public = networks.build({**FULL, "bottleneck_width": width}), getattr(torchvision.models, peer)()
    expected = {f"model.{key}": shape for key, shape in shapes(public).items()}
    assert shapes(own) == expected | {"normalizer.new_mean": (3, 1, 1), "normalizer.new_std": (3, 1, 1)}


def test_same_weights_give_torchvisions_logits():
    torch.manual_seed(0)
    own = networks.build({**FULL, "layers": [1, 1, 1, 1], "num_classes": 7}).eval()
    public = torchvision.models.resnet.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=7).eval()
    public.load_state_dict(own.model.state_dict(), strict=True)
    x = torch.rand(2, 3, 32, 32)
    normalised = (x - torch.tensor(FULL["mean"]).view(3, 1, 1)) / torch.tensor(FULL["std"]).view(3, 1, 1)
    torch.testing.assert_close(own(x), public(normalised))


def test_normalisation_is_inside_and_unclamped(small):
    x = torch.tensor([-1.0, 0.3, 2.0]).view(3, 1, 1, 1)
    expected = torch.tensor([-1.3 / 0.35, 0.0, 1.7 / 0.35]).view(3, 1, 1, 1)
    torch.testing.assert_close(small.normalizer(x), expected)


@pytest.mark.parametrize("size", [8, 16, 33])
def test_any_image_size(small, size):
    assert small(torch.rand(2, 1, size, size)).shape == (2, 5)


@pytest.mark.parametrize(("stem", "positions"), [({"kernel": 3, "stride": 1, "pool": False}, 16), (FULL["stem"], 4)])
def test_stem_decides_how_much_is_seen(stem, positions):
    network = networks.build({**SMALL, "stem": stem}).model
    seen = network.maxpool(network.relu(network.bn1(network.conv1(torch.rand(2, 1, 16, 16)))))
    assert seen.shape == (2, 8, positions, positions)


def test_width_and_bottleneck_width_scale_the_stages():
    narrow, wide = (networks.build({**SMALL, "bottleneck_width": width}).model for width in (64, 128))
    assert narrow.fc.in_features == wide.fc.in_features == 8 * 8 * 4
    assert [narrow.layer3[0].conv2.out_channels, wide.layer3[0].conv2.out_channels] == [32, 64]


def test_feature_maps_come_from_every_stage(small):
    maps = small.feature_maps(torch.rand(2, 1, 16, 16))
    assert [tuple(f.shape[1:]) for f in maps] == [(32, 16, 16), (64, 8, 8), (128, 4, 4), (256, 2, 2)]


def test_the_deepest_map_is_what_the_head_sees(small):
    x = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(small.model.fc(small.feature_maps(x)[-1].mean((2, 3))), small(x))


def test_folding_keeps_the_feature_maps(small):
    small.train()(torch.rand(16, 1, 16, 16))
    x = torch.rand(2, 1, 16, 16)
    for own, other in zip(small.eval().feature_maps(x), folded(small).feature_maps(x), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)


def test_a_fresh_head_is_random_of_the_same_size_and_all_else_is_kept(small):
    before = {key: value.clone() for key, value in small.state_dict().items()}
    resnet.fresh_head(small)
    changed = {key for key, value in small.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"model.fc.weight", "model.fc.bias"}
    assert shapes(small)["model.fc.weight"] == before["model.fc.weight"].shape


def test_a_fresh_head_needs_a_resnet():
    with pytest.raises(InputError, match="fresh_head: true for a Linear"):
        resnet.fresh_head(torch.nn.Linear(1, 1))


def test_weights_survive_the_file(small, tmp_path):
    networks.save(tmp_path / "w.safetensors", small, SMALL, {"kind": "classifier"})
    loaded, description = networks.load(tmp_path / "w.safetensors", {"classifier"})
    assert description["network"] == SMALL
    x = torch.rand(2, 1, 16, 16)
    assert torch.equal(loaded(x), small(x))
