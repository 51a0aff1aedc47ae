"""Files as others lay them out: real names and shapes at full width, their numbers few, so that files stay small."""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import pytest
import torch
import torchvision

from pagboost import networks, recipes
from pagboost.errors import InputError
from pagboost.options.pretrained import Layout
from pagboost.sources import tensor_files, tensor_names
from pagboost.training import Run, no_data

DATA = Path(__file__).parents[2] / "data"
IMAGENET = {
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "stem": {"kernel": 7, "stride": 2, "pool": True},
}
CIFAR = {"mean": [0.4914, 0.4822, 0.4465], "std": [0.2023, 0.1994, 0.2010]}
CIFAR |= {"stem": {"kernel": 3, "stride": 1, "pool": False}}
RN50 = {"kind": "resnet", "layers": [3, 4, 6, 3], "width": 64, "bottleneck_width": 64, "num_classes": 1000, **IMAGENET}
WRN50_2 = {**RN50, "bottleneck_width": 128}
CIFAR_RN50 = {**RN50, "num_classes": 10, **CIFAR}
MIMICRY = {"kind": "mimicry_generator", "size": 32, "channels": 3, "num_classes": None, "widths": [256] * 4}
ROBUSTNESS = {"ignore": ["module.attacker."], "strip": ["module.model."], "normaliser": "file"}


def torchvision_s(name: str) -> dict[str, list[int]]:
    """Names and shapes of one of its networks."""
    with torch.device("meta"):
        network = getattr(torchvision.models, name)()
    return {key: list(value.shape) for key, value in network.state_dict().items()}


def renamed(shapes: dict[str, list[int]], **parts: str) -> dict[str, list[int]]:
    return {".".join(parts.get(part, part) for part in key.split(".")): shape for key, shape in shapes.items()}


def cifar_s() -> dict[str, list[int]]:
    """The robustness library's ResNet-50 of CIFAR-10: shortcut and linear, a 3x3 stem, ten classes."""
    shapes = renamed(torchvision_s("resnet50"), downsample="shortcut", fc="linear")
    return shapes | {"conv1.weight": [64, 3, 3, 3], "linear.weight": [10, 2048], "linear.bias": [10]}


def mimicry_s(num_classes: int | None) -> dict[str, list[int]]:
    """Its ResNetGenerator32: what torch_mimicry/nets and modules build, written out."""
    counters = {"running_mean": [256], "running_var": [256], "num_batches_tracked": []}
    plain = {"weight": [256], "bias": [256], **counters}
    conditional = {f"bn.{key}": shape for key, shape in counters.items()} | {"embed.weight": [num_classes, 512]}
    shapes = {"l1.weight": [4096, 128], "l1.bias": [4096], "c5.weight": [3, 256, 3, 3], "c5.bias": [3]}
    shapes |= {f"b5.{key}": shape for key, shape in plain.items()}
    for block in ("block2", "block3", "block4"):
        for conv, side in (("c1", 3), ("c2", 3), ("c_sc", 1)):
            shapes |= {f"{block}.{conv}.weight": [256, 256, side, side], f"{block}.{conv}.bias": [256]}
        for norm in ("b1", "b2"):
            held = plain if num_classes is None else conditional
            shapes |= {f"{block}.{norm}.{key}": shape for key, shape in held.items()}
    return shapes


def filled(shapes: dict[str, list[int]], dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Tensors of these shapes, each full of a number of its own that is stored once."""
    counted = {key: torch.int64 if key.endswith("num_batches_tracked") else dtype for key in shapes}
    return {
        key: torch.full((1,), 1 + i / 64).to(counted[key]).expand(shape) if shape else torch.tensor(7)
        for i, (key, shape) in enumerate(shapes.items())
    }


def under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in tensors.items()}


def robustness_s(tensors: dict[str, torch.Tensor], mean: list[float], std: list[float]) -> dict[str, torch.Tensor]:
    """An AttackerModel in DataParallel: the network, its normaliser, and the attacker's views of both."""
    normaliser = {"new_mean": torch.tensor(mean)[:, None, None], "new_std": torch.tensor(std)[:, None, None]}
    model = under("module.normalizer.", normaliser) | under("module.model.", tensors)
    return model | under("module.attacker.normalize.", normaliser) | under("module.attacker.model.", tensors)


def trained(tensors: dict[str, torch.Tensor], key: str = "model") -> dict[str, object]:
    """A checkpoint of a training: the network, and what torch.load with weights_only refuses."""
    momentum = {i: {"momentum_buffer": value} for i, value in enumerate(tensors.values())}
    groups = [{"lr": 0.1, "params": [*momentum], "owner": argparse.Namespace()}]
    return {key: tensors, "optimizer": {"state": momentum, "param_groups": groups}, "epoch": 105}


def made(path: Path, network: dict, layout: dict, role: str | None = None, size: int = 32):
    """What the recipe makes of a file."""
    stands_for = {"stands_for": {"kind": role}} if role else {}
    spec = {
        "kind": "pretrained",
        "network": network,
        "training": {"file": str(path), "sha256": None, **layout, **stands_for},
    }
    classes = network["num_classes"] or 10
    return recipes.train(spec, no_data(3, size, classes), Run(0, torch.device("cpu")), {})


def check(network: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Each tensor of the network is the file's."""
    own = network.state_dict()
    assert own.keys() == tensors.keys()
    assert all(torch.equal(own[key], value.to(own[key].dtype)) for key, value in tensors.items())


@pytest.mark.parametrize(("name", "network"), [("resnet50", RN50), ("wide_resnet50_2", WRN50_2)])
def test_robust_imagenet_models(name, network, tmp_path):
    """MadryLab's resnet50_l2_eps3.ckpt and wide_resnet50_2_l2_eps3.ckpt, in the format of PyTorch 1.1."""
    tensors = filled(torchvision_s(name))
    content = trained(robustness_s(tensors, IMAGENET["mean"], IMAGENET["std"]))
    torch.save(content, tmp_path / "net.ckpt", _use_new_zipfile_serialization=False)
    assert (tmp_path / "net.ckpt").stat().st_size < 500_000
    stated = {**network, "mean": [0.5] * 3, "std": [0.5] * 3}
    result = made(tmp_path / "net.ckpt", stated, {"select": "model", **ROBUSTNESS}, "classifier", size=224)
    check(result.network.model, tensors)
    assert result.spec == network and result.facts["kind"] == "classifier"
    expected = torch.tensor(IMAGENET["mean"]).view(3, 1, 1)
    assert torch.equal(result.network.normalizer.new_mean, expected)


def test_robust_cifar_models(tmp_path):
    """CIFAR.pt: older files say state_dict, and the network has other names."""
    tensors = filled(cifar_s())
    content = trained(robustness_s(tensors, CIFAR["mean"], CIFAR["std"]), "state_dict")
    torch.save(content, tmp_path / "CIFAR.pt", _use_new_zipfile_serialization=False)
    layout = {"select": "state_dict", **ROBUSTNESS}
    with pytest.raises(InputError, match=r"tensors fc.bias, .* are missing, tensors \S*shortcut.0.weight, .* not part"):
        made(tmp_path / "CIFAR.pt", CIFAR_RN50, layout)
    layout["rename"] = {"shortcut": "downsample", "linear": "fc"}
    result = made(tmp_path / "CIFAR.pt", CIFAR_RN50, layout, "classifier")
    torchvision_names = {key.replace("shortcut", "downsample").replace("linear", "fc"): v for key, v in tensors.items()}
    check(result.network.model, torchvision_names)
    assert result.spec == CIFAR_RN50
    assert not result.network.training and result.network(torch.rand(1, 3, 32, 32)).shape == (1, 10)


OPENAI = json.loads(gzip.decompress((DATA / "adm_checkpoint_shapes.json.gz").read_bytes()))
ADM = {"in_channels": 3, "num_classes": 1000, "resblock_updown": True, "attention_resolutions": [32, 16, 8]}
UNET_64 = {
    **ADM,
    "kind": "unet",
    "image_size": 64,
    "model_channels": 192,
    "num_res_blocks": 3,
    "attention_order": "new",
}
UNET_64 |= {"channel_mult": [1, 2, 3, 4], "num_head_channels": 64}
LARGE = {**ADM, "kind": "unet", "out_channels": 6, "model_channels": 256, "num_res_blocks": 2}
ENCODER = {**ADM, "kind": "unet_encoder", "model_channels": 128, "num_res_blocks": 2, "num_head_channels": 64}
MULT_128, MULT_256 = [1, 1, 2, 3, 4], [1, 1, 2, 2, 4, 4]
PUBLISHED = {
    "consistency_imagenet64": {**UNET_64, "out_channels": 3, "attention_dims": 2},
    "64x64_diffusion": {**UNET_64, "out_channels": 6, "dropout": 0.1},
    "128x128_diffusion": {**LARGE, "image_size": 128, "channel_mult": MULT_128, "num_heads": 4},
    "256x256_diffusion": {**LARGE, "image_size": 256, "channel_mult": MULT_256, "num_head_channels": 64},
    "64x64_classifier": {**ENCODER, "image_size": 64, "channel_mult": [1, 2, 3, 4], "num_res_blocks": 4},
    "128x128_classifier": {**ENCODER, "image_size": 128, "channel_mult": MULT_128},
    "256x256_classifier": {**ENCODER, "image_size": 256, "channel_mult": MULT_256},
}


@pytest.mark.parametrize("name", OPENAI)
def test_openai_s_diffusion_models_classifiers_and_consistency_models(name, tmp_path):
    """All seven, of 45 to 554 million numbers: read from a file, compared with the network before one is read."""
    torch.save(filled(OPENAI[name], torch.float16), tmp_path / "net.pt")
    found, normaliser = tensor_names.of_network(tensor_files.read(tmp_path / "net.pt"), Layout(), "net.pt")
    with torch.device("meta"):
        network = networks.build(PUBLISHED[name])
    tensor_names.check(found, network.state_dict(), "UNet", "net.pt")
    assert normaliser == {} and {stored.dtype for stored in found.values()} == {torch.float16}
    assert all(float(stored.read().flatten()[-1]) == pytest.approx(1 + i / 64, abs=0.01)
               for i, stored in enumerate(found.values()))  # fmt: skip


@pytest.mark.parametrize("num_classes", [None, 10])
def test_mimicry_s_generators(num_classes, tmp_path):
    tensors = filled(mimicry_s(num_classes))
    content = {"model_state_dict": tensors, "optimizer_state_dict": {"state": {}}, "global_step": 100_000}
    torch.save(content, tmp_path / "netG_100000_steps.pth", _use_new_zipfile_serialization=False)
    network = {**MIMICRY, "num_classes": num_classes}
    result = made(tmp_path / "netG_100000_steps.pth", network, {"select": "model_state_dict"}, "gan")
    check(result.network, tensors)
    assert result.facts["kind"] == "gan"


def test_golan_s_joint_models(tmp_path):
    """A network under model., and a parameter that nothing uses."""
    tensors = filled(torchvision_s("wide_resnet50_2"))
    torch.save(under("model.", tensors) | {"dummy": torch.zeros(1)}, tmp_path / "pgdwrn50_1000.pt")
    with pytest.raises(InputError, match=r"they would fit without model. \(strip: \[model.\]\)"):
        made(tmp_path / "pgdwrn50_1000.pt", WRN50_2, {})
    layout = {"strip": ["model."], "ignore": ["dummy"]}
    result = made(tmp_path / "pgdwrn50_1000.pt", WRN50_2, layout, "joint", size=224)
    check(result.network.model, tensors)
    assert result.facts["kind"] == "joint" and result.spec == WRN50_2


WRAPPED = {  # layout of a file -> (its content, how it is said)
    "torchvision": (lambda t: t, {}),
    "timm": (lambda t: {"arch": "resnet50", "state_dict": {}, "state_dict_ema": t, "args": argparse.Namespace(lr=1)},
             {"select": "state_dict_ema"}),
    "lightning": (lambda t: {"state_dict": under("model.net.", t), "loops": {}, "hyper": argparse.Namespace()},
                  {"select": "state_dict", "strip": ["model.net."]}),
    "RobustBench": (lambda t: {"state_dict": under("module.model.", t) | {"module.mu": torch.zeros(3, 1, 1),
                                                                          "module.sigma": torch.ones(3, 1, 1)}},
                    {"select": "state_dict", "strip": ["module.", "model."], "ignore": ["module.mu", "module.sigma"]}),
    "nested": (lambda t: {"model": {"ema": {"state_dict": t}, "step": 3}}, {"select": "model.ema.state_dict"}),
    "DataParallel": (lambda t: under("module.", t), {"strip": ["module."]}),
    "torch.compile": (lambda t: under("_orig_mod.", t), {"strip": ["_orig_mod."]}),
    "both": (lambda t: under("_orig_mod.module.", t), {"strip": ["_orig_mod.", "module."]}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "dtype"), [*((name, torch.float32) for name in WRAPPED), ("both", torch.bfloat16)])
def test_wrapped_state_dicts(name, dtype, tmp_path):
    tensors = filled(torchvision_s("resnet18"), dtype)
    network = {key: value for key, value in RN50.items() if key != "bottleneck_width"} | {"block": "basic"}
    network["layers"] = [2, 2, 2, 2]
    wrap, layout = WRAPPED[name]
    torch.save(wrap(tensors), tmp_path / "net.pth")
    check(made(tmp_path / "net.pth", network, layout, "classifier", size=224).network.model, tensors)
