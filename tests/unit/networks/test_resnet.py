"""The ResNets: torchvision's names and numbers (compared with it, which only tests import), small stems and widths."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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


PUBLIC = {
    "resnet18": {"block": "basic", "layers": [2, 2, 2, 2], "bottleneck_width": None},
    "resnet34": {"block": "basic", "bottleneck_width": None},
    "resnet50": {},
    "wide_resnet50_2": {"block": "bottleneck", "bottleneck_width": 128},
}
BASIC = {key: value for key, value in SMALL.items() if key != "bottleneck_width"} | {"block": "basic"}


def with_random_statistics(network: torch.nn.Module) -> torch.nn.Module:
    """Each BatchNorm unlike any other: one in another's place changes the outputs."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.uniform_(-0.2, 0.2)
    return network.eval()


@pytest.mark.parametrize("name", PUBLIC)
def test_torchvisions_weights_load_and_give_its_outputs(name):
    """In float64: float32's rounding depends on the kernels, and ours of a strided 1x1 convolution is another."""
    torch.manual_seed(0)
    public = with_random_statistics(getattr(torchvision.models, name)()).double()
    with torch.device("meta"):  # no weights of its own: all come from the other
        own = networks.build({**FULL, **PUBLIC[name]}).model.eval()
    assert list(own.state_dict()) == list(public.state_dict())  # an optimiser's state goes by order
    assert shapes(own) == shapes(public)
    own.load_state_dict(public.state_dict(), strict=True, assign=True)
    x = torch.randn(2, 3, 64, 64).double()
    with torch.no_grad():
        torch.testing.assert_close(own(x), public(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_torchvisions_weights_train_alike(name):
    """In float64: BatchNorm over four values makes much of float32's rounding, which depends on the kernels."""
    torch.manual_seed(0)
    public = getattr(torchvision.models, name)(num_classes=3).double().train()
    own = networks.build({**FULL, **PUBLIC[name], "num_classes": 3}).model.double().train()
    own.load_state_dict(public.state_dict(), strict=True)
    images = torch.randn(4, 3, 32, 32).double()
    gradients = []
    for network in (own, public):
        x = images.clone().requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(network(x), torch.tensor([0, 1, 2, 0]))
        gradients.append(torch.autograd.grad(loss, [x, network.conv1.weight, network.layer4[1].conv2.weight]))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(own.state_dict(), public.state_dict())  # the running statistics


def narrowed_torchvision(spec: dict) -> torch.nn.Module:
    """A spec's ResNet from torchvision's own parts, in the order that every published weight was drawn in."""
    layers, width, classes, stem = (spec[key] for key in ("layers", "width", "num_classes", "stem"))
    block = torchvision.models.resnet.Bottleneck
    model = torchvision.models.ResNet(block, layers, num_classes=classes, width_per_group=spec["bottleneck_width"])
    if width != 64:
        model.inplanes, model.bn1 = width, torch.nn.BatchNorm2d(width)
        for stage, blocks in enumerate(layers):
            made = model._make_layer(block, width << stage, blocks, stride=min(stage, 1) + 1)
            setattr(model, f"layer{stage + 1}", made)
        model.fc = torch.nn.Linear(width * 32, classes)
    kernel, channels = stem["kernel"], len(spec["mean"])
    model.conv1 = torch.nn.Conv2d(channels, width, kernel, stride=stem["stride"], padding=kernel // 2, bias=False)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


@pytest.mark.parametrize("options", [{}, {"layers": [2, 1, 1, 2], "bottleneck_width": 96}, {"width": 64}])
def test_a_seed_gives_the_weights_it_gave_when_torchvision_drew_them(options):
    spec, drawn = {**SMALL, **options}, []
    for make in (lambda: networks.build(spec).model, lambda: narrowed_torchvision(spec)):
        torch.manual_seed(3)
        drawn.append([*make().state_dict().values(), torch.rand(3)])  # and what is drawn after them
    assert all(torch.equal(own, theirs) for own, theirs in zip(*drawn, strict=True))


def test_tensors_beside_the_network_are_those_of_the_public_robust_checkpoints(small):
    beside = {key: shape for key, shape in shapes(small).items() if not key.startswith("model.")}
    assert beside == {"normalizer.new_mean": (1, 1, 1), "normalizer.new_std": (1, 1, 1)}


def test_torchvision_and_torchs_compiler_are_not_imported():
    """Two seconds in every job with a ResNet."""
    check = """
import json, sys
from pagboost import networks
networks.build(json.loads(sys.argv[1]))
print([name for name in sys.modules if name in ("torchvision", "torch._dynamo")])
"""
    source = Path(__file__).parents[3] / "src"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(source)!r}){check}", json.dumps(SMALL)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


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


def test_basic_blocks_scale_with_width_alone():
    network = networks.build(BASIC)
    assert network.model.fc.in_features == 8 * 8
    assert network.model.layer1[0].downsample is None  # 8 channels in and out
    maps = network.eval().feature_maps(torch.rand(2, 1, 16, 16))
    assert [tuple(f.shape[1:]) for f in maps] == [(8, 16, 16), (16, 8, 8), (32, 4, 4), (64, 2, 2)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"block": "plain"}, "network.block: 'plain', expected one of: bottleneck, basic"),
        ({"block": "basic"}, r"network.bottleneck_width: 64, expected none \(block: basic\)"),
        ({"bottleneck_width": None}, "network.bottleneck_width: None, expected a number of channels"),
        ({"layers": [1, 1, 1]}, r"network.layers: \[1, 1, 1\], expected 4"),
        ({"layers": [1, 1, 0, 1]}, "network.layers.2: 0, expected at least 1"),
        ({"width": None}, "network.width: None, expected an integer of at least 1"),
    ],
)
def test_options_that_do_not_go_together_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        networks.build({**SMALL, **wrong})


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
