"""pagboost.boost: what the command makes of the same samples, whatever they are held in."""

from __future__ import annotations

import copy
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pagboost
from pagboost import artifacts, images, networks
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError

SCRIPT = Path(pagboost.__file__).parents[1] / "boost.py"
SGLD = {"objective": "logit", "sampler": "sgld", "alpha": 0.1, "noise_std": 0.05}
PGD = {"objective": "bce", "sampler": "pgd", "alpha": 0.1}


@pytest.fixture
def weights(tmp_path, classifier, cnn_spec):
    dataset = {"num_classes": 3, "channels": 1, "size": 8}
    networks.save(tmp_path / "w.safetensors", classifier, cnn_spec, {"kind": "classifier", "dataset": dataset})
    return tmp_path / "w.safetensors"


@pytest.fixture
def guide(weights):
    return pagboost.load_guide(weights)


@pytest.fixture
def plain(samples):
    """Without seeds and index, as arrays are."""
    return SampleSet(samples.images, samples.labels)


@pytest.mark.parametrize(("boost", "length"), [(PGD, {"steps": 3}), (SGLD, {"steps": 3}), (None, {"eps": 0.7})])
def test_it_is_what_the_command_makes(boost, length, weights, plain, tmp_path, monkeypatch):
    from pagboost.api.boosting import BIGROC

    artifacts.save_samples(tmp_path / "s.npz", plain)
    out = tmp_path / "out.npz"
    flags = [text for name, value in length.items() for text in (f"--{name}", str(value))]
    flags += ["--guide", str(weights), "--boost", json.dumps(dict(boost or BIGROC)), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["boost.py", str(tmp_path / "s.npz"), "--threads", "1", "--device", "cpu", *flags])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    options = length if boost is None else {**length, "boost": boost}
    found = pagboost.boost(plain.images, plain.labels, weights, device="cpu", **options)
    assert np.array_equal(found, artifacts.load_samples(out).images) and (found != plain.images).any((1, 2, 3)).all()


def test_what_comes_back_is_as_what_was_given(guide, plain, tmp_path):
    options = {"boost": PGD, "steps": 2, "device": "cpu"}
    expected = pagboost.boost(plain, None, guide, **options)
    assert isinstance(expected, SampleSet) and expected.labels.tolist() == plain.labels.tolist()
    before = plain.images.copy()
    x = images.to_float(plain.images)
    for given in (x, x.numpy(), torch.from_numpy(plain.images), plain.images):
        found = pagboost.boost(given, plain.labels, guide, **options)
        assert type(found) is type(given) and found.dtype == given.dtype and found.shape == given.shape
        stored = found if found.dtype in (torch.uint8, np.uint8) else images.to_uint8(torch.as_tensor(found))
        assert np.array_equal(stored, expected.images)
    assert np.array_equal(before, plain.images) and torch.equal(x, images.to_float(before))
    artifacts.save_samples(tmp_path / "s.npz", plain)
    pairs = [(one, int(label)) for one, label in zip(plain.images, plain.labels, strict=True)]
    for given in (tmp_path / "s.npz", pairs):
        assert np.array_equal(pagboost.boost(given, None, guide, **options).images, expected.images)


def test_a_folder_has_its_class_folders_labels(guide, plain, tmp_path):
    for i, (one, label) in enumerate(zip(plain.images, plain.labels, strict=True)):
        folder = tmp_path / "set" / "cba"[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(one[..., 0]).save(folder / f"{i:02}.png")
    options = {"eps": 0.5, "device": "cpu"}
    found = pagboost.boost(tmp_path / "set", None, guide, classes=["c", "b", "a"], **options)
    rows = np.argsort(2 - plain.labels, kind="stable")
    expected = pagboost.boost(plain.subset(rows), None, guide, **options)
    assert np.array_equal(found.images, expected.images) and np.array_equal(found.labels, expected.labels)
    towards = pagboost.boost(str(tmp_path / "set"), 1, guide, **options)
    assert towards.labels.tolist() == [1] * 12


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        ("ab", {}, "class folders a, b: 2, and the guide has 3 classes, expected --classes"),
        (("0", "1", "10"), {}, "class folders 0, 1, 10: 10 would be class 2, in the order of text"),
        ("abc", {"classes": ["x", "b", "c"]}, "class folder a, expected one of --classes: x, b, c"),
        ("abc", {"classes": "nowhere.txt"}, "nowhere.txt: no such file, expected class names"),
        ("abc", {"classes": [1, 2, 3]}, "classes: not a list of names"),
        ("abc", {"labels": "y"}, "--labels y: expected with an .npz"),
        ("a", {"classes": ["a", "b", "c"]}, "--classes: what is given has no class folders"),
    ],
)
def test_folders_that_may_be_other_classes_are_refused_as_by_the_command(names, options, said, guide, plain, tmp_path):
    for i, one in enumerate(plain.images[:6]):
        folder = tmp_path / "set" / names[i % len(names)]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(one[..., 0]).save(folder / f"{i}.png")
    given = {"eps": 0.5, "device": "cpu", "labels": None, **options}
    for images_given in {tmp_path / "set", str(tmp_path / "set")}:
        with pytest.raises(InputError, match=said):
            pagboost.boost(images_given, given["labels"], guide, **{k: v for k, v in given.items() if k != "labels"})
    if not options:  # a reference's folders, and those of images to debias by, are as likely to be others
        for name in ("validation", "real"):
            with pytest.raises(InputError, match=said):
                pagboost.boost(plain, None, guide, **{name: tmp_path / "set"}, eps=0.5, device="cpu")


def test_labels_may_be_named_or_left_alone(guide, plain, tmp_path):
    np.savez(tmp_path / "y.npz", arr_0=plain.images, y=plain.labels)
    argmax = {"objective": "ce", "sampler": "pgd", "steps": 1, "eps": "published", "labels": "argmax"}
    options = {"eps": 0.5, "device": "cpu", "boost": argmax}
    with pytest.raises(InputError, match="y.npz: has no arr_1 but y int64"):
        pagboost.boost(tmp_path / "y.npz", None, guide, **options)
    assert pagboost.boost(tmp_path / "y.npz", "y", guide, **options).labels.tolist() == plain.labels.tolist()
    own = pagboost.boost(SampleSet(plain.images), None, guide, **options).labels.tolist()
    pairs = [(one, "no number") for one in plain.images]
    for given in (tmp_path / "y.npz", plain, pairs):
        assert pagboost.boost(given, "none", guide, **options).labels.tolist() == own


def test_one_class_for_all_and_the_guide_s_own(guide, plain):
    options = {"eps": 0.5, "device": "cpu"}
    towards = pagboost.boost(plain, 2, guide, **options)
    assert towards.labels.tolist() == [2] * len(plain)
    bare = SampleSet(plain.images)
    argmax = {"objective": "ce", "sampler": "pgd", "steps": 2, "eps": "published", "labels": "argmax"}
    found = pagboost.boost(bare, None, guide, boost=argmax, **options)
    with torch.no_grad():
        assert found.labels.tolist() == guide.network(images.to_float(bare.images)).argmax(1).tolist()
    with pytest.raises(InputError, match="images: has no labels"):
        pagboost.boost(bare, None, guide, **options)
    assert pagboost.boost(bare, None, guide, validation=255 - plain.images, **options).labels.shape == (12,)


def test_noise_is_named_by_the_seed(guide, plain):
    draw = [pagboost.boost(plain, None, guide, boost=SGLD, steps=1, seed=s, device="cpu").images for s in (0, 0, 1)]
    assert np.array_equal(draw[0], draw[1]) and not np.array_equal(draw[0], draw[2])


def test_a_module_of_one_s_own_guides_and_stays_as_it_is(classifier, guide, plain):
    module = copy.deepcopy(classifier).double().train()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    options = {"boost": PGD, "steps": 2, "device": "cpu"}
    found = pagboost.boost(plain.images, plain.labels, module, **options)
    assert np.abs(found.astype(int) - pagboost.boost(plain.images, plain.labels, guide, **options)).max() <= 1
    assert module.training and all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert next(module.parameters()).requires_grad and next(module.parameters()).dtype == torch.float64
    normalised = pagboost.load_guide(module, size=8, channels=1, mean=[0.5], std=[0.25], l0=1.5)
    assert (normalised.num_classes, normalised.channels, normalised.size, normalised.l0) == (3, 1, 8, 1.5)
    x = images.to_float(plain.images)
    with torch.no_grad():
        assert torch.allclose(normalised.network(x), classifier((x - 0.5) / 0.25), atol=1e-5)


def test_the_caller_s_process_stays_as_it_is(weights, plain, monkeypatch):
    """Gradients switched off, and the settings of kernels."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    expected = pagboost.boost(plain.images, 1, weights, eps=0.5, device="cpu")
    with torch.no_grad():
        assert np.array_equal(pagboost.boost(plain.images, 1, weights, eps=0.5, device="cpu"), expected)
    with torch.inference_mode():
        x = images.to_float(plain.images)
        found = pagboost.boost(x, 1, pagboost.load_guide(weights), eps=0.5, device="cpu")
    assert np.array_equal(images.to_uint8(found), expected)
    assert torch.backends.cudnn.benchmark and not torch.backends.cudnn.deterministic


def test_a_boost_may_stand_in_a_file(guide, plain, tmp_path):
    (tmp_path / "mine.yaml").write_text(json.dumps({"boosts": {"good": PGD}}))
    expected = pagboost.boost(plain.images, 1, guide, boost=PGD, steps=1, device="cpu")
    file = f"{tmp_path}/mine.yaml:boosts.good"
    assert np.array_equal(pagboost.boost(plain.images, 1, guide, boost=file, steps=1, device="cpu"), expected)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "boost.eps: published, expected the radius"),
        ({"eps": 0}, "eps: 0, expected a finite number above 0"),
        ({"eps": 1.0, "steps": 2}, "steps 2: the boost takes 30 steps"),
        ({"steps": 2.5}, "steps: 2.5, expected an integer of at least 1"),
        ({"boost": {"alpha": 1}, "steps": 1}, "boost.*objective"),
        ({"boost": "nowhere.yaml:boosts.a", "steps": 1}, "boost: nowhere.yaml: no such file"),
        ({"eps": 1.0, "labels": 3}, r"images: holds label 3, expected 0..2 \(the guide's\)"),
        ({"eps": 1.0, "images": np.zeros((2, 8, 8, 3), np.uint8)}, "images: images have 3 channels, expected 1"),
        ({"eps": 1.0, "images": np.zeros((2, 8, 6, 1), np.uint8)}, "images: images of 8x6 pixels, expected square"),
        ({"eps": 1.0, "images": SampleSet(np.zeros((2, 8, 8, 1)))}, "images: float64"),
        ({"eps": 1.0, "images": "nowhere.npz"}, "nowhere.npz: no such file"),
        ({"eps": 1.0, "device": "cuda:99"}, "device: cuda:99, expected one of the 0 GPUs"),
        ({"eps": 1.0, "device": "toaster"}, "device: 'toaster', expected auto, cpu, cuda or cuda:N"),
        ({"eps": 1.0, "device": "meta"}, "device: 'meta', expected auto, cpu, cuda or cuda:N"),
        ({"eps": 1.0, "guide": None}, "guide: NoneType, expected a weights file, a function's name or"),
        ({"eps": 1.0, "classes": ["a", "b", "c"]}, "--classes: what is given has no class folders"),
        ({"eps": 1.0, "images": ""}, "'': no such file or folder, expected an .npz"),
        ({"eps": 1.0, "guide": "nowhere.safetensors"}, "nowhere.safetensors: no such file"),
        ({"eps": 1.0, "guide": torch.nn.Flatten(0)}, "Flatten: gives torch.float32"),
        ({"eps": 1.0, "seed": -1}, "seed: -1, expected an integer of at least 0"),
    ],
)
def test_what_does_not_fit_is_one_line(changed, said, guide, plain):
    given = {"images": plain.images, "labels": 1, "guide": guide, "device": "cpu", **changed}
    if torch.cuda.is_available() and "99" in given["device"]:
        pytest.skip("there are GPUs")
    with pytest.raises(InputError, match=said) as caught:
        pagboost.boost(given.pop("images"), given.pop("labels"), given.pop("guide"), **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mean": [0.5], "std": [0.5]}, "mean: .*, expected with a torch.nn.Module alone"),
        ({"l0": 1.0}, "l0: 1.0, expected with a torch.nn.Module alone"),
    ],
)
def test_weights_say_themselves_what_they_are(options, said, weights):
    with pytest.raises(InputError, match=said):
        pagboost.load_guide(weights, **options)


def test_a_module_does_not_say_what_it_was_trained_on(classifier):
    with pytest.raises(InputError, match="size: missing, expected the side in pixels"):
        pagboost.load_guide(classifier)
    with pytest.raises(InputError, match=r"network.std: None, expected as many numbers as mean"):
        pagboost.load_guide(classifier, size=8, channels=1, mean=[0.5])
