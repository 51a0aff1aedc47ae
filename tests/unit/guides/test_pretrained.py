"""Public weights: loaded strictly and as tensors only, by the recipe and by the script that runs it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pagboost import artifacts, images, networks, recipes, rng
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.generators import sampling
from pagboost.options.reading import read
from pagboost.options.samplers import Sampler
from pagboost.training import Data, Run

TRAIN = Path(__file__).parents[3] / "src" / "train.py"
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
        (lambda w: w["fc.bias"].fill_(math.nan), "public.pth: tensor fc.bias holds NaN or infinity, expected finite"),
    ],
)
def test_tensors_have_to_fit(weights, tmp_path, change, message):
    change(weights)
    torch.save(weights, tmp_path / "public.pth")
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "public.pth")


def renamed(weights, prefix):
    return {prefix + key: value for key, value in weights.items()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            lambda w: renamed(w, "module."),
            r"(\d+) of its \1 tensors are named module.…, .*they would fit without module.",
        ),
        (lambda w: renamed(w, "_orig_mod.module."), "they would fit without _orig_mod.module."),
        (
            lambda w: {**renamed(w, "module.model."), "module.normalizer.mean": torch.zeros(3)},
            r"tensors are named module.model.…, expected the names of a ResNet: they would fit without module.model.",
        ),
        (
            lambda w: {**renamed(w, "module."), "module.more": torch.zeros(1)},
            r"tensors bn1.bias, bn1.running_mean, bn1.running_var, … \(\d+ more\) are missing, "
            r"tensors module.bn1.bias, .* … \(\d+ more\) are not part of this architecture \(ResNet\)",
        ),
        (
            lambda w: {"state_dict": w, "epoch": 3, "optimizer": {"lr": 1}},
            r"holds state_dict \(\d+ tensors by name\), epoch \(int\), optimizer \(1 entries, no tensors\), expected",
        ),
        (lambda w: {"model": renamed(w, "module."), "ema": w}, r"holds model \(\d+ tensors .*, ema \(\d+ tensors"),
        (lambda w: {**w, "epoch": 3}, r"holds epoch \(int\) beside \d+ tensors, expected tensors by name and nothing"),
        (lambda w: {str(i): i for i in range(99)}, r"2 \(int\), … \(96 more\), expected tensors by name"),
        (lambda w: {}, "holds nothing, expected tensors by name"),
        (lambda w: [torch.zeros(1)], "holds list, expected tensors by name"),
    ],
)
def test_tensors_under_other_names_are_told(weights, tmp_path, content, message):
    torch.save(content(weights), tmp_path / "public.pth")
    with pytest.raises(InputError, match=f"^{tmp_path}/public.pth: .*{message}") as caught:
        convert(tmp_path / "public.pth")
    assert "\n" not in str(caught.value)


class Foreign:
    """Anything but a tensor."""


def scripted(path):
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1)), path)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (
            lambda path: torch.save({"fc.weight": Foreign()}, path),
            r"holds fc.weight \(\S+\.Foreign\), expected",
        ),
        (lambda path: torch.save({"best": np.float64(1)}, path), r"are missing, tensor best is not part of this arch"),
        (
            lambda path: torch.save(torch.nn.Linear(1, 1), path),
            "holds torch.nn.modules.linear.Linear, expected",
        ),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "no file of tensors that torch.save writes"),
        (lambda path: save_file({"a": torch.zeros(1)}, path), "are missing, tensor a is not part of this architecture"),
        (scripted, "it is a TorchScript program, not tensors by name"),
        (lambda path: path.write_text("\n<!DOCTYPE html><html>"), "it is an HTML page: was the download refused?"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid"), "it is a Git LFS pointer"),
        (lambda path: path.touch(), "it is empty"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_file_of_more_or_less_than_tensors_is_refused(tmp_path, write, reason, recwarn):
    write(tmp_path / "public.pth")
    recwarn.clear()
    with pytest.raises(InputError, match=f"^{tmp_path}/public.pth: .*{reason}") as e:
        convert(tmp_path / "public.pth")
    assert "weights_only" not in str(e.value) and "\n" not in str(e.value) and not recwarn.list


def test_a_classifier_can_stand_for_one_and_an_extractor_stays_what_it_is(weights, tmp_path):
    torch.save(weights, tmp_path / "public.pth")
    spec = entry(tmp_path / "public.pth")
    assert "kind" not in recipes.train(spec, DATA, Run(0, torch.device("cpu")), {}).facts
    spec["training"]["stands_for"] = {"kind": "classifier"}
    assert recipes.train(spec, DATA, Run(0, torch.device("cpu")), {}).facts["kind"] == "classifier"


def test_another_hash_is_refused(weights, tmp_path):
    torch.save(weights, tmp_path / "public.pth")
    with pytest.raises(InputError, match="public.pth: has sha256 .*, expected 00000000"):
        convert(tmp_path / "public.pth", "00000000")


def test_script(script, weights, tmp_path, capfd):
    """train.py with such an entry writes weights that load; what they were trained for is not known: no iterations."""
    torch.save(weights, tmp_path / "public.pth")
    artifacts.save_samples(tmp_path / "data.npz", SampleSet(np.full((4, 8, 8, 3), 99, np.uint8), np.arange(4) % 2))
    spec = json.dumps(entry(tmp_path / "public.pth"))
    script("train", "--spec", spec, "--data", "data.npz", "--num-classes", 2, "--out", "out.safetensors")
    assert capfd.readouterr() == ("", "")
    network, description = networks.load(tmp_path / "out.safetensors", {"pretrained"})
    assert torch.equal(network.model.fc.weight, weights["fc.weight"])
    assert description["iterations"] == 0 and description["dataset"] == {"channels": 3, "num_classes": 2, "size": 8}


# -- weights of x_t: ADM's diffusion models and classifiers of noisy images

ADM = {"image_size": 8, "in_channels": 3, "model_channels": 8, "num_res_blocks": 1, "attention_resolutions": [4]}
ADM |= {"channel_mult": [1, 2], "num_heads": 2, "num_classes": 2, "norm_groups": 4, "resblock_updown": True}
UNET = {**ADM, "kind": "unet", "out_channels": 6}
ENCODER = {**ADM, "kind": "unet_encoder"}
PROCESS = {"schedule": "linear", "diffusion_steps": 1000}
DIFFUSION = {"kind": "ddpm", **PROCESS, "target": "noise"}
CLASSIFIER = {"kind": "time_classifier", **PROCESS}


def public(network, path, seed=0):
    """A file of random weights under the public files' key names, which are the network's own."""
    torch.manual_seed(seed)
    tensors = {key: torch.randn(value.shape) / 5 for key, value in networks.build(network).state_dict().items()}
    torch.save(tensors, path)
    return tensors


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A function that runs one of src/*.py in this process and in tmp_path: a start of torch is seconds."""

    def run(name, *flags):
        code = importlib.util.spec_from_file_location(name, TRAIN.with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(code)
        code.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [name, "--threads", "1", "--device", "cpu", *map(str, flags)])
        module.main()

    monkeypatch.chdir(tmp_path)
    return run


def test_public_weights_guide_and_are_guided(script, tmp_path, caplog):
    """A .pt of each kind through train.py, then guided sampling from the two: what networks of those weights give."""
    artifacts.save_samples(tmp_path / "data.npz", SampleSet(np.full((4, 8, 8, 3), 99, np.uint8), np.arange(4) % 2))
    digests = {}
    for name, network, role in (("diffusion", UNET, DIFFUSION), ("classifier", ENCODER, CLASSIFIER)):
        public(network, tmp_path / f"{name}.pt")
        options = {"file": f"{name}.pt", "sha256": None, "stands_for": role}
        spec = json.dumps({"kind": "pretrained", "network": network, "training": options})
        script("train", "--spec", spec, "--data", "data.npz", "--num-classes", 2, "--out", f"{name}.safetensors")
        digests[name] = hashlib.sha256((tmp_path / f"{name}.pt").read_bytes()).hexdigest()
    assert caplog.messages == [
        f"{name}.pt: its content is not pinned, training.sha256 would be {digest}" for name, digest in digests.items()
    ]
    diffusion, description = networks.load(tmp_path / "diffusion.safetensors", {"ddpm"})
    assert {key: description[key] for key in (*DIFFUSION, "sha256")} == {**DIFFUSION, "sha256": digests["diffusion"]}
    classifier, description = networks.load(tmp_path / "classifier.safetensors", {"time_classifier"})
    assert {key: description[key] for key in CLASSIFIER} == CLASSIFIER

    sampler = {"kind": "guided_ddpm", "scale": 2.0, **PROCESS, "steps": 2, "target": "noise", "clip_x_0": True}
    weights = ["--weights", "diffusion.safetensors", "--classifier", "classifier.safetensors"]
    script("sample", *weights, "--sampler", json.dumps(sampler), "--seeds", 3, "--per-seed", 4, "--out", "samples.npz")
    drawn = artifacts.load_samples(tmp_path / "samples.npz", 2)
    assert drawn.images.shape == (4, 8, 8, 3) and drawn.labels.tolist() == [0, 1, 0, 1]
    options = read(Sampler, sampler, "sampler")
    expected = sampling.generate(diffusion, options, (3, 8, 8), 2, [3], 4, 4, torch.device("cpu"), classifier)
    assert np.array_equal(drawn.images, expected.images)


@pytest.mark.parametrize("network", [UNET, ENCODER])
def test_a_network_without_wrapper_is_loaded_itself(network, tmp_path):
    tensors = public(network, tmp_path / "adm.pt")
    role = DIFFUSION if network is UNET else CLASSIFIER
    spec = entry(tmp_path / "adm.pt") | {"network": network}
    spec["training"]["stands_for"] = role
    made = recipes.train(spec, DATA, Run(0, torch.device("cpu")), {})
    assert all(torch.equal(value, tensors[key]) for key, value in made.network.state_dict().items())
    assert {key: made.facts[key] for key in role} == role and not made.network.training
    torch.save({f"module.{key}": value for key, value in tensors.items()}, tmp_path / "adm.pt")
    spec["training"]["sha256"] = None
    with pytest.raises(InputError, match=r"adm.pt: \d+ of its \d+ tensors are named module.…, expected .* a UNet"):
        recipes.train(spec, DATA, Run(0, torch.device("cpu")), {})


@pytest.mark.parametrize(
    ("network", "stands_for", "message"),
    [
        (
            UNET,
            {"kind": "vae"},
            "training.stands_for.kind: vae, expected one of: ddpm, edm, consistency, time_c",
        ),
        (UNET, {"kind": "gan"}, "network.kind: unet, expected mimicry_generator or resnet_generator"),
        (ENCODER, {"kind": "edm"}, "network.kind: unet_encoder, expected unet"),
        (
            UNET,
            {"kind": "consistency"},
            r"network.out_channels: 6, expected 3 \(training.stands_for.kind: consist",
        ),
        (UNET, {"kind": "edm"}, "network.out_channels: 6, expected 3"),
        (UNET, {"kind": "joint"}, "network.kind: unet, expected resnet"),
        (UNET, {"kind": "ddpm", **PROCESS}, "training.stands_for.target: missing key"),
        (UNET, {**DIFFUSION, "target": "v"}, "training.stands_for.target: 'v', expected one of: noise, x_0"),
        (
            UNET,
            {**DIFFUSION, "schedule": "sigmoid"},
            "training.stands_for.schedule: 'sigmoid', expected one of: linear, cosine",
        ),
        (
            ENCODER,
            {**CLASSIFIER, "target": "noise"},
            "training.stands_for.target: unknown key, expected one of: schedule, diff",
        ),
        (ENCODER, {**CLASSIFIER, "diffusion_steps": 1}, "diffusion_steps: 1, expected 2 or more"),
        (ENCODER, {**CLASSIFIER, "diffusion_steps": 10}, "diffusion_steps: 10, too few for the linear schedule"),
        (ENCODER, DIFFUSION, r"network.kind: unet_encoder, expected unet \(training.stands_for.kind: ddpm\)"),
        (UNET, CLASSIFIER, "network.kind: unet, expected unet_encoder"),
        (UNET, {"kind": "classifier"}, "network.kind: unet, expected resnet"),
        (UNET | {"out_channels": 3}, DIFFUSION, "network.out_channels: 3, expected 6"),
    ],
)
def test_what_weights_stand_for_has_to_fit(network, stands_for, message, tmp_path):
    public(network, tmp_path / "adm.pt")
    spec = entry(tmp_path / "adm.pt") | {"network": network}
    spec["training"]["stands_for"] = stands_for
    with pytest.raises(InputError, match=f"^{message}"):
        recipes.train(spec, DATA, Run(0, torch.device("cpu")), {})


# -- weights that are more than one network's tensors: normalisation, consistency models, joint models


@pytest.mark.parametrize(
    ("normaliser", "mean", "std"),
    [
        (None, [0.5] * 3, [0.5] * 3),
        ("none", [0.0] * 3, [1.0] * 3),
        ({"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 3.0]}, [0.1, 0.2, 0.3], [1.0, 2.0, 3.0]),
        ("file", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ],
)
def test_what_images_are_normalised_by(normaliser, mean, std, weights, tmp_path):
    own = {"new_mean": torch.tensor([0.485, 0.456, 0.406]), "new_std": torch.tensor([0.229, 0.224, 0.225])}
    beside = {f"normalizer.{key}": value.view(3, 1, 1) for key, value in own.items()}
    torch.save({**renamed(weights, "model."), **beside}, tmp_path / "net.pt")
    spec = entry(tmp_path / "net.pt")
    ignored = [] if normaliser == "file" else ["normalizer."]
    spec["training"] |= {"strip": ["model."], "normaliser": normaliser, "ignore": ignored}
    made = recipes.train(spec, DATA, Run(0, torch.device("cpu")), {})
    assert (made.spec["mean"], made.spec["std"]) == (mean, std)
    assert torch.equal(made.network.normalizer.new_mean.flatten(), torch.tensor(mean))
    networks.save(tmp_path / "net.safetensors", made.network, made.spec, {"kind": "pretrained"})
    x = torch.rand(2, 3, 8, 8)
    expected = made.network.model((x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1))
    torch.testing.assert_close(networks.load(tmp_path / "net.safetensors")[0](x), expected)


def test_a_network_without_a_mean_has_no_normaliser(tmp_path):
    public(UNET, tmp_path / "adm.pt")
    spec = entry(tmp_path / "adm.pt") | {"network": UNET}
    spec["training"]["normaliser"] = "none"
    with pytest.raises(InputError, match="training.normaliser: none, expected null .*unet has no mean and std"):
        recipes.train(spec, DATA, Run(0, torch.device("cpu")), {})


def test_the_wrong_number_of_channels_is_named(weights, tmp_path):
    torch.save(weights, tmp_path / "net.pt")
    spec = entry(tmp_path / "net.pt")
    spec["training"]["normaliser"] = {"mean": [0.5], "std": [0.5]}
    with pytest.raises(InputError, match=r"tensor conv1.weight is \[4, 3, 3, 3\], expected \[4, 1, 3, 3\]"):
        recipes.train(spec, DATA, Run(0, torch.device("cpu")), {})


def test_public_consistency_models_are_drawn_from(script, tmp_path):
    """fp16, attention over the image as in OpenAI's files: one call of f at sigma 80 from each sample's own noise."""
    unet = {**UNET, "out_channels": 3, "attention_dims": 2, "attention_order": "new"}
    tensors = public(unet, tmp_path / "cm.pt")
    torch.save({key: value.half() for key, value in tensors.items()}, tmp_path / "cm.pt")
    options = {"file": "cm.pt", "sha256": None, "stands_for": {"kind": "consistency"}}
    spec = json.dumps({"kind": "pretrained", "network": unet, "training": options})
    script("train", "--spec", spec, "--size", 8, "--num-classes", 2, "--out", "cm.safetensors")
    network, description = networks.load(tmp_path / "cm.safetensors", {"consistency"})
    assert (description["sigma_min"], next(network.parameters()).dtype) == (0.002, torch.float32)
    sampler = {"kind": "consistency", "sigmas": [80.0]}
    drawing = ["--weights", "cm.safetensors", "--seeds", 3, "--per-seed", 4, "--out", "samples.npz"]
    script("sample", *drawing, "--sampler", json.dumps(sampler))
    streams = rng.SampleStreams("sample", np.full(4, 3), np.arange(4), torch.device("cpu"))
    x, y = 80 * streams.randn((3, 8, 8)), torch.tensor([0, 1, 0, 1])
    # Song et al. 2023, App. C, with sigma_data 0.5 and the time input of the public files
    c_skip = 0.25 / ((80 - 0.002) ** 2 + 0.25)
    c_out, c_in = 0.5 * (80 - 0.002) / (80**2 + 0.25) ** 0.5, 1 / (80**2 + 0.25) ** 0.5
    with torch.no_grad():
        f = c_skip * x + c_out * network(c_in * x, torch.full((4,), 1000 * 0.25 * math.log(80)), y)
    expected = images.to_uint8((f.clamp(-1, 1) + 1) / 2)
    drawn = artifacts.load_samples(tmp_path / "samples.npz", 2)
    assert np.abs(drawn.images.astype(int) - expected.astype(int)).max() <= 1
    with pytest.raises(InputError, match="sampler.sigma_min: 0.01, expected 0.002"):
        script("sample", *drawing, "--sampler", json.dumps({**sampler, "sigma_min": 0.01}))


@pytest.fixture
def joint(weights, tmp_path):
    """A joint model from elsewhere, as weights of this project."""
    torch.save({**renamed(weights, "model."), "dummy": torch.zeros(1)}, tmp_path / "net.pt")
    spec = entry(tmp_path / "net.pt")
    spec["training"] |= {"strip": ["model."], "ignore": ["dummy"], "stands_for": {"kind": "joint"}}
    made = recipes.train(spec, DATA, Run(0, torch.device("cpu")), {})
    dataset = {"channels": 3, "size": 8, "num_classes": 2}
    networks.save(tmp_path / "joint.safetensors", made.network, made.spec, {**made.facts, "dataset": dataset})
    return tmp_path / "joint.safetensors"


def some_data(size=8, classes=2, count=20):
    x = torch.rand(count, 3, size, size, generator=rng.generator("joint"))
    return Data(x, torch.arange(count) % classes, classes)


def test_l0_of_a_joint_model_from_elsewhere_is_a_mean_over_real_images(joint):
    data, net = some_data(), networks.load(joint)[0]
    for count in (None, 7):
        spec = {"kind": "referenced", "training": {"count": count}}
        made = recipes.train(spec, data, Run(0, torch.device("cpu")), {"joint": joint})
        with torch.no_grad():
            f_c = net(data.x)[torch.arange(20), data.y]
        expected = torch.nn.functional.softplus(f_c)[:count].double().mean()
        assert made.facts["l0"] == pytest.approx(float(expected), rel=1e-6)
        assert (made.facts["kind"], made.facts["l0_images"], made.facts["file"]) == ("joint", count or 20, "net.pt")
        assert all(torch.equal(value, net.state_dict()[key]) for key, value in made.network.state_dict().items())


def test_what_l0_is_not_measured_of(joint, tmp_path):
    run, spec = Run(0, torch.device("cpu")), {"kind": "referenced", "training": {}}
    with pytest.raises(InputError, match="inputs: none, expected joint"):
        recipes.train(spec, some_data(), run, {})
    for data in (some_data(size=16), some_data(classes=3)):
        with pytest.raises(InputError, match=r"joint.safetensors: made for .*, expected .* \(the data's\)"):
            recipes.train(spec, data, run, {"joint": joint})
    made = recipes.train(spec, some_data(), run, {"joint": joint})
    facts = {**made.facts, "dataset": {"channels": 3, "size": 8, "num_classes": 2}}
    networks.save(tmp_path / "measured.safetensors", made.network, made.spec, facts)
    with pytest.raises(InputError, match="measured.safetensors: has an l0 of its own"):
        recipes.train(spec, some_data(), run, {"joint": tmp_path / "measured.safetensors"})


def test_a_referenced_model_guides(joint, script, tmp_path):
    """train.py measures l0, boost.py compares with it; without it, it says so."""
    pixels = (255 * some_data().x).byte().permute(0, 2, 3, 1).numpy()
    artifacts.save_samples(tmp_path / "data.npz", SampleSet(pixels, np.arange(20) % 2))
    spec = json.dumps({"kind": "referenced", "training": {}})
    data = ["--data", "data.npz", "--num-classes", 2, "--input", f"joint={joint}"]
    script("train", "--spec", spec, *data, "--out", "measured.safetensors")
    _, description = networks.load(tmp_path / "measured.safetensors", {"joint"})
    assert description["l0"] > 0 and description["iterations"] == 0
    boost = json.dumps({"objective": "ce_bce_ref", "sampler": "pgd", "alpha": 0.5})
    script("boost", "data.npz", "--guide", "measured.safetensors", "--boost", boost, "--steps", 1, "--out", "out.npz")
    assert not np.array_equal(artifacts.load_samples(tmp_path / "out.npz").images, pixels)
    with pytest.raises(InputError, match="carry no l0"):
        script("boost", "data.npz", "--guide", joint, "--boost", boost, "--steps", 1, "--out", "none.npz")
