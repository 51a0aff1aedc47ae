"""Gains: each value by hand, halves by realness, whose neighbours are counted, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pagboost import artifacts, images, networks, objectives
from pagboost.artifacts import SampleSet
from pagboost.boosting.guide import Guide
from pagboost.errors import InputError
from pagboost.metrics.features import Pooled
from pagboost.options.reading import read
from pagboost.options.studies import Study
from pagboost.studies import gains, noisiness
from pagboost.studies import images as image_studies

CPU = torch.device("cpu")
DATASET = {"num_classes": 3, "channels": 1, "size": 8}
SETS = {"raw": {"generator": "g"}, "up": {"generator": "g", "boost": "b"}, "other": {"generator": "h"}}
SPEC = {"kind": "gains", "sets": SETS, "count": 7, "shown": 2}
QUANTITIES = ["agreement", "sharpness", "contrast", "moved", "nn_train", "nn_heldout", "copied"]
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


def network_of(spec, seed):
    torch.manual_seed(seed)
    network = networks.build(spec)
    with torch.no_grad():
        network(torch.rand(16, 1, 8, 8))
    return network.eval()


def drawn(seed: int, n: int = 9, labels: bool = True) -> SampleSet:
    classes = np.arange(n) % 3
    pixels = np.random.default_rng(seed).integers(40, 200, (n, 8, 8, 1), np.uint8)
    return SampleSet(pixels, classes if labels else None, np.full(n, 4), np.arange(n))


def boosted(samples: SampleSet) -> SampleSet:
    """Image i brightened by i grey levels."""
    step = np.arange(len(samples), dtype=np.uint8)[:, None, None, None]
    return SampleSet(samples.images + step, samples.labels, samples.seeds, samples.index)


@pytest.fixture
def bench(samples, cnn_spec):
    """A cnn for a judge, another for a scorer, 12 images that were held out and 10 that were seen."""
    raw = drawn(1)
    sets = {"raw": raw, "up": boosted(raw), "other": drawn(2)}
    judge, scorer = (Guide(network_of(cnn_spec, seed), 3, 1, 8) for seed in (0, 1))
    return image_studies.Bench(samples, {}, ("judge", judge), 4, CPU, sets, drawn(3, 10), ("scorer", scorer))


def run(bench, **options):
    return image_studies.run(read(Study, SPEC | options, "study"), bench)


def changed(bench, **changes):
    return image_studies.Bench(**(vars(bench) | changes))


def test_values_are_those_of_each_image(bench):
    study = run(bench)
    assert list(study.quantities) == [*QUANTITIES, "realness", "moved_by_realness"]
    assert study.n == 7 and study.settings == {"judge": "judge", "scorer": "scorer", "real": 10}
    judge, scorer = bench.judge[1].network, bench.scorer[1].network
    real = {"nn_train": bench.seen.images, "nn_heldout": bench.samples.images[:10]}
    with torch.no_grad():
        real = {key: judge.features(images.to_float(one))[0] for key, one in real.items()}
        for name, one in bench.sets.items():
            x, y = images.to_float(one.images[:7]), torch.from_numpy(one.labels[:7])
            features, logits = judge.features(x)[:2]
            found = {key: values[name] for key, values in study.quantities.items() if key != "moved_by_realness"}
            assert found["agreement"] == (logits.argmax(1) == y).float().tolist()
            assert found["sharpness"] == pytest.approx(noisiness.high_frequency_share(x).tolist(), abs=1e-5)
            deviations = [pixels.std() / 255 for pixels in one.images[:7]]
            assert found["contrast"] == pytest.approx(deviations, abs=1e-5)
            for key, reference in real.items():
                nearest = [float((feature - reference).norm(dim=1).min()) for feature in features]
                assert found[key] == pytest.approx(nearest, abs=1e-4)
            nearer = [float(a < b) for a, b in zip(found["nn_train"], found["nn_heldout"], strict=True)]
            assert found["copied"] == nearer
            before = images.to_float(bench.sets["raw" if name == "up" else name].images[:7])
            realness = torch.sigmoid(objectives.target_logit(scorer(before), y))
            assert found["realness"] == pytest.approx(realness.tolist(), abs=1e-5)


def test_a_boosted_image_has_moved_from_the_one_it_was(bench):
    moved = run(bench).quantities["moved"]
    assert moved["raw"] == moved["other"] == [0.0] * 7
    assert moved["up"] == pytest.approx([i * 8 / 255 for i in range(7)], abs=1e-4)  # 8: root of 64 pixels


def test_the_more_real_half_is_told_from_the_other(bench):
    found = run(bench).quantities
    halves = found["moved_by_realness"]
    assert halves.keys() == {"up_good", "up_poor"}  # of what nothing boosted there is nothing to say
    order = np.argsort(found["realness"]["up"])
    for name, rows in (("up_poor", order[:3]), ("up_good", order[-3:])):  # the middle one of seven is in neither
        assert halves[name] == [found["moved"]["up"][row] for row in sorted(rows)]
    values = torch.tensor([3.0, 1.0, 2.0, 0.0])
    split = gains.halves(values, by=torch.tensor([0.1, 0.9, 0.8, 0.2]))
    assert (split["good"].tolist(), split["poor"].tolist()) == ([1.0, 2.0], [3.0, 0.0])


def test_copies_of_what_was_seen_are_told(bench):
    sets = bench.sets | {"other": SampleSet(bench.seen.images[:9], bench.seen.labels[:9])}
    found = run(changed(bench, sets=sets)).quantities
    assert found["copied"]["other"] == [1.0] * 7 and found["nn_train"]["other"] == pytest.approx([0.0] * 7, abs=1e-4)
    turned = run(changed(bench, sets=sets, seen=bench.samples, samples=bench.seen)).quantities
    assert turned["copied"]["other"] == [0.0] * 7


def test_without_a_scorer_realness_is_left_out(bench):
    study = run(changed(bench, scorer=None))
    assert list(study.quantities) == QUANTITIES and study.settings["scorer"] is None


def test_unlabelled_images_have_the_labels_they_were_boosted_towards(bench):
    raw = drawn(1, labels=False)
    labelled, unlabelled = run(bench), run(changed(bench, sets=bench.sets | {"raw": raw}))
    assert unlabelled.quantities == labelled.quantities
    with pytest.raises(InputError, match="set other: has no labels"):
        run(changed(bench, sets=bench.sets | {"other": drawn(2, labels=False)}))


def test_a_resnet_judges_by_its_pooled_features(bench):
    network = network_of(RESNET, 0)
    judge = Guide.of(network, {"dataset": DATASET})
    found = run(changed(bench, judge=("judge", judge))).quantities["nn_train"]["raw"]
    with torch.no_grad():
        pooled = Pooled(network, 8)
        features, real = (pooled.features(images.to_float(one.images))[0] for one in (bench.sets["raw"], bench.seen))
    assert found == pytest.approx(torch.cdist(features[:7], real).amin(1).tolist(), rel=1e-2)


def test_pictures_are_of_the_first_of_each_set(bench):
    arrays = run(bench).arrays
    assert arrays["networks"].tolist() == list(SETS)
    assert np.array_equal(arrays["images"], np.stack([one.images[:2] for one in bench.sets.values()]))
    assert arrays["labels"].tolist() == [[0, 1]] * 3


def test_the_size_of_a_batch_does_not_matter(bench):
    small, whole = (run(changed(bench, batch_size=size)).quantities for size in (2, 100))
    for key, values in whole.items():
        for name in values:
            assert small[key][name] == pytest.approx(values[name], abs=1e-4), key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"judge": None}, "study.judge: missing"),
        ({"seen": None}, "--seen: missing"),
        (
            {"sets": {"raw": drawn(1), "up": drawn(1), "other": SampleSet(drawn(2).images, np.full(9, 3))}},
            r"set other: holds label 3, expected 0\.\.2",
        ),
        ({"sets": {"raw": drawn(1)}}, "--set: no up, expected one of that name among: raw"),
        ({"sets": {"raw": drawn(1), "up": drawn(1, 6)}}, "study.count: 7, expected at most 6, the images of set up"),
        (
            {"sets": {"raw": drawn(1), "up": drawn(1).subset(slice(1, None)), "other": drawn(2)}},
            "study.sets: up and raw differ in size, seeds or index",
        ),
    ],
)
def test_what_does_not_fit_is_named(bench, changes, message):
    with pytest.raises(InputError, match=message):
        run(changed(bench, **changes))


def test_a_boosted_set_needs_the_one_it_was_boosted_from():
    with pytest.raises(InputError, match=r"study.sets.up.boost: b, expected another set of g that nothing boosted"):
        read(Study, SPEC | {"sets": {"up": SETS["up"], "other": SETS["other"]}}, "study")
    with pytest.raises(InputError, match=r"study.seen: heldout, expected another split than heldout"):
        read(Study, SPEC | {"split": "heldout", "seen": "heldout"}, "study")


def test_the_script_takes_both_splits_and_a_scorer(script, tmp_path, bench, cnn_spec):
    files = {"heldout": bench.samples, "train": bench.seen, **bench.sets}
    for name, one in files.items():
        artifacts.save_samples(tmp_path / f"{name}.npz", one)
    for kind, (name, guide) in zip(("classifier", "joint"), (bench.judge, bench.scorer), strict=True):
        facts = {"kind": kind, "dataset": DATASET, "l0": 0.5}
        networks.save(tmp_path / f"{name}.safetensors", guide.network, cnn_spec, facts)
    command = ["--device", "cpu", "--data", "heldout.npz"]
    command += ["--seen=train=train.npz", "--judge=judge=judge.safetensors", "--scorer=scorer=scorer.safetensors"]
    command += [f"--set={name}={name}.npz" for name in bench.sets]
    command += ["--spec", json.dumps(SPEC), "--arrays", "s.npz", "--out", "s.json"]
    done = script(tmp_path, "study", *command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    content = artifacts.load_json(tmp_path / "s.json")
    assert (content["kind"], content["n"], content["settings"]["real"]) == ("gains", 7, 10)
    assert content["provenance"]["seen_sha256"].keys() == {"train"}
    expected = run(bench).quantities
    assert content["quantities"].keys() == expected.keys()
    assert content["quantities"]["moved_by_realness"]["up_good"] == expected["moved_by_realness"]["up_good"]
