"""Studies: which images are compared, what each value means, that the JSON covers all and the pictures the first."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
import torch

from pagboost import artifacts, attacks, images, networks
from pagboost.artifacts import SampleSet
from pagboost.boosting.walks import Guide
from pagboost.errors import InputError
from pagboost.options.kinds import named
from pagboost.options.reading import read
from pagboost.options.studies import Study
from pagboost.studies import images as image_studies
from pagboost.studies import interpolation, targeted

DATASET = {"num_classes": 3, "channels": 1, "size": 8}
TARGETED = {"kind": "targeted", "count": 4, "eps": 4.0, "pixels": 256, "steps": 3, "shown": 2}
INTERPOLATION = {
    "kind": "interpolation",
    "pairs": 3,
    "ks": [0.5, 1.0, 0.2],
    "weights": [1, 0, 0, 2],
    "steps": 3,
    "shown": 2,
}
RESNET = {
    "kind": "resnet",
    "layers": [1, 1, 1, 1],
    "width": 8,
    "bottleneck_width": 64,
    "num_classes": 3,
    "mean": [0.3],
    "std": [0.35],
    "stem": {"kernel": 3, "stride": 2, "pool": False},
}


def resnet(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    network = networks.build(RESNET)
    with torch.no_grad():
        network(torch.rand(16, 1, 8, 8))
    return network.eval()


@pytest.fixture(scope="module")
def guides() -> list[Guide]:
    return [Guide.of(resnet(seed), {"dataset": DATASET}) for seed in (0, 1, 2)]


@pytest.fixture
def bench(samples, guides) -> image_studies.Bench:
    """Two networks, one, two, and a judge; batches of five."""
    names = {"one": guides[0], "two": guides[1]}
    return image_studies.Bench(samples, names, ("judge", guides[2]), 5, torch.device("cpu"))


def run(spec, bench):
    """The study of an entry, as study.py runs it."""
    return image_studies.run(read(Study, spec, "study"), bench)


def changed(bench, **changes):
    return image_studies.Bench(**(vars(bench) | changes))


# -- targeted


def test_targeted_values_are_means_over_the_classes_an_image_is_not(bench, samples):
    study = run(TARGETED, bench)
    assert (study.n, study.settings["eps"], study.settings["judge"]) == (4, pytest.approx(2.0), "judge")
    assert study.settings["alpha"] == pytest.approx(2.0 / 3)
    x, y = images.to_float(samples.images[:4]), torch.from_numpy(samples.labels[:4])
    for name in ("one", "two"):
        expected = {"l2": [], "probability": [], "agreement": []}
        for i in range(4):
            others = torch.tensor([c for c in range(3) if c != y[i]])
            done = targeted.targeted_attack(bench.networks[name].network, x[[i, i]], others, eps=2.0, steps=3)
            predicted = bench.judge[1].network(done.images).argmax(1)
            for key, value in (("l2", done.l2), ("probability", done.probability), ("agreement", predicted == others)):
                expected[key].append(float(value.float().mean()))
        for key, values in expected.items():
            assert study.quantities[key][name] == pytest.approx(values, abs=1e-3), key


def test_targeted_pictures_are_of_the_first_towards_every_class(bench, samples):
    arrays = run(TARGETED, bench).arrays
    assert arrays["networks"].tolist() == ["one", "two"]
    assert np.array_equal(arrays["source"], samples.images[:2])
    assert np.array_equal(arrays["labels"], samples.labels[:2])
    assert (arrays["images"].dtype, arrays["images"].shape) == (np.uint8, (2, 2, 3, 8, 8, 1))
    assert arrays["probability"].shape == arrays["l2"].shape == (2, 2, 3)
    moved = images.to_float(arrays["images"].reshape(-1, 8, 8, 1)).unflatten(0, (2, 2, 3))
    change = (moved - images.to_float(samples.images[:2])[:, None]).flatten(0, 2)
    torch.testing.assert_close(attacks.l2_norm(change), torch.from_numpy(arrays["l2"]).flatten(), rtol=0, atol=0.03)


def test_a_judge_is_needed_and_is_not_attacked(bench):
    with pytest.raises(InputError, match="study.judge: missing"):
        run(TARGETED, changed(bench, judge=None))
    with pytest.raises(InputError, match="study.judge: one is attacked itself"):
        run(TARGETED, changed(bench, judge=("one", bench.judge[1])))


# -- interpolation


def test_pairs_are_of_two_classes_and_no_target_is_used_twice():
    source, target = image_studies.paired(np.array([0, 1, 0, 0, 1, 0, 2, 2]), 3)
    assert source.tolist() == [0, 1, 2]
    assert target.tolist() == [4, 3, 6]
    with pytest.raises(InputError, match="study.pairs: 3, expected fewer: pair 0"):
        image_studies.paired(np.zeros(8, np.int64), 3)
    with pytest.raises(InputError, match="study.pairs: 9, expected fewer: pair 0 of 8"):
        image_studies.paired(np.arange(8), 9)


def test_distances_are_shares_of_the_first_one_at_the_largest_k(bench, samples):
    study = run(INTERPOLATION, changed(bench, judge=None))
    rows = [samples.subset(rows) for rows in image_studies.paired(samples.labels, 3)]
    source, target = (images.to_float(part.images) for part in rows)
    assert study.n == 3 and study.settings["ks"] == [0.5, 1.0, 0.2]
    for name, guide in bench.networks.items():
        with attacks.frozen(guide.network):
            (moved,) = interpolation.interpolate(
                guide.network.feature_maps, source, target, ks=[1.0], weights=[1, 0, 0, 2], steps=3
            )
        share = attacks.l2_norm(moved - target) / attacks.l2_norm(source - target)
        assert study.quantities["distance"][name] == pytest.approx(share.tolist(), abs=1e-3)
        assert study.quantities["distance_1"][name] == study.quantities["distance"][name]
    assert set(study.quantities) == {"distance", "distance_0_5", "distance_1", "distance_0_2"}
    moved = images.to_float(study.arrays["images"][0, :, 2]) - target[:2]  # as pictures, of k = 0.2
    share = attacks.l2_norm(moved) / attacks.l2_norm(source[:2] - target[:2])
    first = next(iter(bench.networks))
    assert study.quantities["distance_0_2"][first][:2] == pytest.approx(share.tolist(), abs=0.02)


def test_interpolation_pictures_are_of_the_first_pairs(bench, samples):
    arrays = run(INTERPOLATION, bench).arrays
    _, target = image_studies.paired(samples.labels, 3)
    assert np.array_equal(arrays["source"], samples.images[:2])
    assert np.array_equal(arrays["target"], samples.images[target[:2]])
    assert arrays["ks"].tolist() == [0.5, 1.0, 0.2]
    assert (arrays["images"].dtype, arrays["images"].shape) == (np.uint8, (2, 2, 3, 8, 8, 1))
    gap = images.to_float(arrays["images"][0, :, 1]) - images.to_float(arrays["target"])
    distance = torch.from_numpy(arrays["distance"][0, :, 1])
    torch.testing.assert_close(attacks.l2_norm(gap), distance, rtol=0, atol=0.03)


@pytest.mark.parametrize("spec", [TARGETED, INTERPOLATION], ids=lambda spec: spec["kind"])
def test_the_size_of_a_batch_does_not_matter(bench, spec):
    small, whole = (run(spec, changed(bench, batch_size=size)).quantities for size in (2, 100))
    for key, values in whole.items():
        for name in values:
            assert small[key][name] == pytest.approx(values[name], abs=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("spec", [TARGETED, INTERPOLATION], ids=lambda spec: spec["kind"])
def test_a_gpu_gives_the_same_values(bench, spec):
    """In the mean: near a target, steps of a fixed length amplify rounding, so that single images end elsewhere."""
    there, here = (run(spec, changed(bench, device=torch.device(name))).quantities for name in ("cuda", "cpu"))
    for key, values in here.items():
        for name in values:
            assert np.mean(there[key][name]) == pytest.approx(np.mean(values[name]), abs=0.1)


@pytest.mark.parametrize("kind", Study.kinds())
def test_every_study_exists_and_takes_its_options(kind):
    options = Study.kinds()[kind]
    parameters = inspect.signature(named(options.uses)).parameters
    assert list(parameters) == ["bench", "options"]
    assert parameters["options"].annotation.rpartition(".")[2] == options.__name__
    own = {"times"} if options.in_time else {"images", "discrimination", "gains", "debiasing"}
    assert named(options.uses).__module__.removeprefix("pagboost.studies.") in own | {"robustness"}
    assert parameters["bench"].annotation.endswith("Bench")


# -- bad input


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({**TARGETED, "kind": "blind"}, "study.kind: blind, expected one of: targeted, interpolation"),
        ({**TARGETED, "pairs": 3}, "study.pairs: unknown key.*, expected one of: .*count, eps"),
        ({key: value for key, value in TARGETED.items() if key != "eps"}, "study.eps: missing key"),
        ({**TARGETED, "count": 13}, "study.count: 13, expected at most 12"),
        ({**INTERPOLATION, "pairs": 12}, "study.pairs: 12, expected fewer"),
        ({**INTERPOLATION, "weights": [1]}, "weights .1.: expected 4"),
        ({**INTERPOLATION, "ks": []}, r"study.ks: \[\], expected at least one"),
        ({**INTERPOLATION, "ks": [0.5, 1.5]}, "study.ks.1: 1.5, expected at most 1"),
        ({**INTERPOLATION, "pairs": 0}, "study.pairs: 0, expected at least 1"),
        ({**TARGETED, "count": "2"}, "study.count: '2', expected an integer of at least 1"),
        ({**TARGETED, "eps": "1e0"}, "study.eps: '1e0', expected a number above 0"),
        ({**TARGETED, "pixels": 0}, "study.pixels: 0, expected at least 1"),
    ],
)
def test_bad_options_are_named(bench, spec, message):
    with pytest.raises(InputError, match=message):
        run(spec, bench)


def test_images_and_networks_must_fit(bench, samples, guides, classifier):
    with pytest.raises(InputError, match="--network: missing, expected at least one"):
        run(TARGETED, changed(bench, networks={}))
    with pytest.raises(InputError, match="images for one: has no labels"):
        run(TARGETED, changed(bench, samples=SampleSet(samples.images)))
    with pytest.raises(InputError, match="images for one: images have 3 channels, expected 1"):
        run(TARGETED, changed(bench, samples=SampleSet(samples.images.repeat(3, 3), samples.labels)))
    with pytest.raises(InputError, match="different numbers of classes"):
        run(TARGETED, changed(bench, judge=("judge", Guide(guides[2].network, 5, 1, 8))))
    with pytest.raises(InputError, match="two: a .* gives no feature maps"):
        run(INTERPOLATION, changed(bench, networks={"two": Guide(classifier, 3, 1, 8)}))


# -- the script


def test_the_script_writes_both_files(script, tmp_path, samples):
    artifacts.save_samples(tmp_path / "set.npz", samples)
    for seed, name in enumerate(("one", "two", "judge")):
        facts = {"kind": "classifier", "dataset": DATASET}
        networks.save(tmp_path / f"{name}.safetensors", resnet(seed), RESNET, facts)
    spec = TARGETED | {
        "dataset": "d",
        "split": "heldout",
        "networks": ["one", "two"],
        "judge": "judge",
        "source": "paper",
    }
    command = ["--device", "cpu", "--data", "set.npz"]
    command += ["--network=one=one.safetensors", "--network=two=two.safetensors", "--judge=judge=judge.safetensors"]
    command += ["--spec", json.dumps(spec)]
    command += ["--arrays", "a.npz", "--out", "a.json"]
    done = script(tmp_path, "study", *command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert np.load(tmp_path / "a.npz")["images"].shape == (2, 2, 3, 8, 8, 1)
    content = artifacts.load_json(tmp_path / "a.json")
    assert (content["kind"], content["unit"], content["n"]) == ("targeted", "image", 4)
    assert {key: {n: len(v) for n, v in values.items()} for key, values in content["quantities"].items()} == {
        key: {"one": 4, "two": 4} for key in ("l2", "probability", "agreement")
    }
    assert content["provenance"]["data_sha256"] == artifacts.file_hash(tmp_path / "set.npz")
    assert set(content["provenance"]["weights_sha256"]) == {"one", "two", "judge"}
