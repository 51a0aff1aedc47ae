"""pagboost.evaluate: what the command finds, whatever samples and references are held in."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pagboost
from pagboost import artifacts, images, networks
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError

SCRIPT = Path(pagboost.__file__).parents[1] / "evaluate.py"
QUICK = {"resamplings": 0, "fid_infinity": False, "device": "cpu"}


def pixels(n, seed, channels=1):
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, channels), np.uint8)


class Features(torch.nn.Module):
    """Features [N, 6] of images of 8 pixels a side, and logits [N, 3] where they are asked for."""

    def __init__(self, channels=1, logits=True):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head, self.logits = torch.nn.Conv2d(channels, 6, 3), torch.nn.Linear(6, 3), logits

    def forward(self, x):
        seen = torch.relu(self.conv(x)).mean((2, 3))
        return (seen, self.head(seen)) if self.logits else seen


@pytest.fixture
def extractor(tmp_path, classifier, cnn_spec):
    networks.save(tmp_path / "a.safetensors", classifier, cnn_spec, {"kind": "classifier"})
    return tmp_path / "a.safetensors"


def test_it_is_what_the_command_finds(extractor, tmp_path, monkeypatch, capsys):
    """All that can be asked, of a set of two seeds, in files and in memory."""
    seeds = np.repeat([3, 5], 20)
    samples = SampleSet(pixels(40, 0), np.arange(40) % 3, seeds, np.tile(np.arange(20), 2))
    real = {name: SampleSet(pixels(30, seed), np.arange(30) % 3) for name, seed in (("train", 1), ("test", 2))}
    for name, one in {"samples": samples, **real}.items():
        artifacts.save_samples(tmp_path / f"{name}.npz", one)
    monkeypatch.chdir(tmp_path)
    flags = ["samples.npz", "--reference", "train.npz", "test.npz", "--extractor", extractor, "--also", "coverage"]
    flags += ["--first", "test=15", "--memorisation", "train", "test", "--judge", extractor, "--per-class", "c.json"]
    flags += [
        "--k",
        "2",
        "--splits",
        "4",
        "--resamplings",
        "40",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--out",
        "m.json",
    ]
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, flags)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    written, printed = json.loads(Path("m.json").read_text()), capsys.readouterr().out
    options = {"extractor": extractor, "also": ["coverage"], "first": {"test": 15}, "judge": extractor, "k": 2}
    options |= {"memorisation": ("train", "test"), "per_class": True, "splits": 4, "resamplings": 40, "device": "cpu"}
    for given, references in ((Path("samples.npz"), {n: f"{n}.npz" for n in real}), (samples, real)):
        found = pagboost.evaluate(given, references, **options)
        same = json.loads(json.dumps(found.content))
        for label, one in same["protocols"].items():
            assert one == written["protocols"][label]
        assert (same["memorisation"], same["judge"]) == (written["memorisation"], written["judge"])
        assert f"{found}\n" == printed
        rows = json.loads(Path("c.json").read_text())
        assert [row["fid"] for row in found.classes] == [row["fid"] for row in rows.get("classes", rows)]
    assert found.metrics("train") == written["protocols"]["train"]["mean"]
    assert found.protocol("test")["n"] == 15 and found.intervals("train") == {}  # two seeds


def test_arrays_tensors_data_sets_and_lists_are_one(extractor):
    own, real = pixels(20, 0), pixels(25, 1)
    expected = pagboost.evaluate(own, real, extractor=extractor, **QUICK)
    labelled = torch.utils.data.TensorDataset(images.to_float(own), torch.arange(20))
    for samples in (images.to_float(own), torch.from_numpy(own), list(own), labelled):
        for reference in (images.to_float(real).numpy(), list(real)):
            found = pagboost.evaluate(samples, reference, extractor=extractor, batch_size=7, **QUICK)
            for name, value in expected.metrics().items():
                assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-6)
    assert expected["fid"] == expected.metrics("reference")["fid"] and "FID" in str(expected)
    assert list(expected.content) == ["protocols"] and expected.classes == []


def test_intervals_are_those_of_one_seed(extractor):
    options = {"resamplings": 40, "fid_infinity": False, "device": "cpu", "extractor": extractor}
    found = pagboost.evaluate(pixels(20, 0), pixels(25, 1), **options)
    low, high = found.intervals()["fid"]
    assert low <= found["fid"] <= high


def test_a_reference_is_made_once_and_used_often(extractor, tmp_path):
    own, real = pixels(20, 0), pixels(25, 1)
    loaded = pagboost.load_extractor(extractor)
    made = pagboost.make_reference(real, extractor=loaded, k=4, name="heldout", device="cpu")
    found = pagboost.evaluate(own, made, extractor=loaded, also=["density"], **QUICK)
    expected = pagboost.evaluate(own, {"heldout": real}, extractor=loaded, k=4, also=["density"], **QUICK)
    assert found.metrics("heldout") == expected.metrics("heldout")
    assert found.protocol()["reference"] == "heldout" and found.protocol()["k"] == 4
    both = pagboost.evaluate(own, {"a": made, "b": made, "c": real}, extractor=loaded, **QUICK)
    assert list(both.content["protocols"]) == ["a", "b", "c"]
    with pytest.raises(InputError, match="heldout: made with extractor a, expected --extractor"):
        pagboost.evaluate(own, made, **QUICK)
    with pytest.raises(InputError, match="heldout: is such a reference already"):
        pagboost.make_reference(made, extractor=loaded)
    with pytest.raises(InputError, match=r"samples: images \[H, W, C\] are \[9, 9, 1\], expected \[8, 8, 1\]"):
        pagboost.evaluate(np.zeros((20, 9, 9, 1), np.uint8), made, extractor=loaded, **QUICK)


def test_a_module_of_one_s_own_measures(extractor):
    module = Features().train()
    seen = pagboost.load_extractor(module, input_size=8, channels=1)
    own, real = pixels(20, 0), pixels(25, 1)
    found = pagboost.evaluate(own, real, extractor=seen, **QUICK)
    assert found.protocol()["extractor"] == "Features" and found["inception_score"] >= 1 and module.training
    again = pagboost.load_extractor(Features(), input_size=8, channels=1)
    other = pagboost.load_extractor(Features(), input_size=8, channels=1, mean=[0.5], std=[0.5])
    assert again.sha256 == seen.sha256 != other.sha256
    made = pagboost.make_reference(real, extractor=seen, device="cpu")
    with pytest.raises(InputError, match="reference reference: made with extractor Features"):
        pagboost.evaluate(own, made, extractor=other, **QUICK)
    bare = pagboost.evaluate(
        own, real, extractor=pagboost.load_extractor(Features(1, False), input_size=8, channels=1), **QUICK
    )
    assert bare["fid"] == found["fid"] and bare.metrics().get("inception_score") is None
    several = pagboost.evaluate(own, real, extractor=[seen, extractor], **QUICK)
    assert list(several.content["protocols"]) == ["reference/Features", "reference/a"]


def test_grey_images_are_rgb_to_a_network_of_colours():
    seen = pagboost.load_extractor(Features(3), input_size=8)
    grey = pixels(20, 0)
    found = pagboost.evaluate(grey, grey.repeat(3, axis=3), extractor=seen, **QUICK)
    assert found["fid"] == pytest.approx(0, abs=1e-6)


def test_public_weights_are_given_by_name(tmp_path, monkeypatch):
    """Inception is what is used where nobody says another; a small network stands for it."""
    (tmp_path / "mine.pth").write_bytes(b"weights")
    small = pagboost.load_extractor(Features(3), input_size=8).network
    monkeypatch.setattr("pagboost.metrics.public.network", lambda name, path: small)
    found = pagboost.evaluate(pixels(20, 0), pixels(20, 1), weights={"inception": tmp_path / "mine.pth"}, **QUICK)
    assert found.protocol()["extractor"] == "inception"
    assert found.protocol()["extractor_sha256"] == artifacts.file_hash(tmp_path / "mine.pth")
    made = pagboost.make_reference(pixels(20, 1), weights={"inception": tmp_path / "mine.pth"}, device="cpu")
    again = pagboost.evaluate(pixels(20, 0), made, weights={"inception": tmp_path / "mine.pth"}, **QUICK)
    assert again.metrics() == found.metrics()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"samples": images.to_float(pixels(20, 0)) * 2 - 1}, "samples: floats from -1"),
        ({"samples": pixels(3, 0)}, "samples: 3 images per seed, expected at least 10"),
        ({"samples": "nowhere.npz"}, "nowhere.npz: no such file"),
        ({"reference": pixels(20, 0)[:, :4]}, r"reference: images \[H, W, C\] are \[4, 8, 1\], expected the samples'"),
        ({"reference": {"real": pixels(3, 0)}}, r"reference real: 3 samples, expected at least 4 \(k \+ 1\)"),
        ({"reference": {}}, "reference: none, expected at least one"),
        ({"reference": "nowhere"}, "nowhere: no such file or folder"),
        ({"extractor": []}, "extractor: an empty list"),
        ({"extractor": "incepton"}, "incepton: no extractor, expected inception"),
        ({"resamplings": 3}, "resamplings 3: expected 0, or at least 40"),
        ({"resamplings": 10**9}, "resamplings 1000000000: expected at most 100,000"),
        ({"k": 0}, "k: 0, expected an integer of at least 1"),
        ({"also": ["fid"]}, "also: fid, expected of: density, coverage, cmmd"),
        ({"first": {"reference": 0.5}}, "first: reference: 0.5, expected an integer of at least 1"),
        ({"memorisation": "train"}, "memorisation: 'train', expected two labels of references"),
        ({"memorisation": ("reference", "other")}, "other"),
        ({"judge": "inception"}, "--judge inception: its outputs are no data set's classes"),
        ({"judge": torch.nn.Flatten()}, "input_size: missing"),
        ({"first": {"other": 5}}, "--first other=5: expected a label of --reference: reference"),
        ({"weights": {"resnet": "x"}, "extractor": "inception"}, "--weights resnet=x: expected one of"),
        ({"per_class": True}, "reference.*no"),
        ({"extractor": 3}, "extractor: int, expected the name of one, a weights file, what load_extractor gives"),
        ({"extractor": pagboost.Guide(torch.nn.Flatten(), 3, 1, 8)}, "extractor: Guide, expected"),
        ({"also": "fid"}, "also: fid, expected of: density, coverage, cmmd"),
        ({"first": 5}, "first: int, expected a mapping"),
        ({"memorisation": 3}, "memorisation: 3, expected two labels of references"),
        ({"weights": "x.pth", "extractor": "inception"}, "weights: str, expected a mapping"),
        ({"reference": {"a/b": pixels(20, 1)}}, "reference: label 'a/b', expected text without a slash"),
        ({"samples": ""}, "'': no such file or folder, expected an .npz of images"),
    ],
)
def test_what_does_not_fit_is_one_line(changed, said, extractor):
    given = {"samples": pixels(20, 0), "reference": pixels(20, 1), "extractor": extractor, **QUICK, **changed}
    with pytest.raises(InputError, match=said) as caught:
        pagboost.evaluate(given.pop("samples"), given.pop("reference"), **given)
    assert "\n" not in str(caught.value)


def test_a_reference_is_of_one_set_and_one_extractor(extractor):
    loaded, real = pagboost.load_extractor(extractor), pixels(20, 1)
    with pytest.raises(InputError, match="extractor: 2 of them, expected one for a reference"):
        pagboost.make_reference(real, extractor=[loaded, loaded], device="cpu")
    with pytest.raises(InputError, match="images: a mapping, expected those of one reference"):
        pagboost.make_reference({"a": real, "b": real}, extractor=loaded, device="cpu")
    several = pagboost.evaluate(pixels(20, 0), {"a": real, "b": real}, extractor=loaded, also="density", **QUICK)
    assert several.metrics("a")["density"] > 0
    with pytest.raises(KeyError, match="several references, expected the label of one: a, b"):
        several["fid"]


def test_labels_of_a_file_may_have_another_name(extractor, tmp_path):
    np.savez(tmp_path / "y.npz", arr_0=pixels(30, 0), y=np.arange(30) % 3)
    found = pagboost.evaluate(
        tmp_path / "y.npz", tmp_path / "y.npz", extractor=extractor, per_class=True, labels="y", **QUICK
    )
    assert [row["class"] for row in found.classes] == [0, 1, 2]


def test_a_reference_of_statistics_alone(extractor, tmp_path):
    """Made once of a file, it gives FID, and names the rest as not available."""
    np.savez(tmp_path / "s.npz", mu=np.zeros(8), sigma=np.eye(8))
    made = pagboost.make_reference(tmp_path / "s.npz", extractor=extractor, device="cpu")
    found = pagboost.evaluate(pixels(20, 0), {"old": made}, extractor=extractor, **QUICK)
    assert found["fid"] > 0 and found["precision"] is None and "not available" in str(found)


def test_a_module_has_to_say_what_it_sees_and_others_say_it():
    with pytest.raises(InputError, match="input_size: missing"):
        pagboost.load_extractor(Features())
    with pytest.raises(InputError, match="input_size: 8, expected with a torch.nn.Module alone"):
        pagboost.load_extractor("inception", input_size=8)
    with pytest.raises(InputError, match="Flatten: gives"):
        pagboost.load_extractor(torch.nn.Flatten(0), input_size=8)


def test_what_was_not_computed_is_named(extractor):
    found = pagboost.evaluate(pixels(20, 0), {"a": pixels(20, 1), "b": pixels(20, 2)}, extractor=extractor, **QUICK)
    with pytest.raises(KeyError, match="several references, expected the label of one: a, b"):
        found["fid"]
    with pytest.raises(KeyError, match="reference c"):
        found.metrics("c")
    one = pagboost.evaluate(pixels(20, 0), pixels(20, 1), extractor=extractor, **QUICK)
    with pytest.raises(KeyError, match="cmmd: not computed, expected one of: "):
        one["cmmd"]
