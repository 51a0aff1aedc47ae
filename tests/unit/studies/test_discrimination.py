"""Discrimination: whose share of which images each value is, how far the attacks go, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pagboost import artifacts, attacks, images, networks, objectives
from pagboost.artifacts import SampleSet
from pagboost.boosting.guide import Guide
from pagboost.errors import InputError
from pagboost.options.reading import read
from pagboost.options.studies import Study
from pagboost.options.trainings import Attack
from pagboost.studies import discrimination
from pagboost.studies import images as image_studies

CPU = torch.device("cpu")
DATASET = {"num_classes": 3, "channels": 1, "size": 8}
SPEC = {
    "kind": "discrimination",
    "count": 9,
    "shown": 2,
    "real_attack": {"eps": 0.5, "alpha": 0.25, "steps": 2},
    "generated_attack": {"eps": 0.3, "alpha": 0.2, "steps": 4},
}


def cnn(spec, seed):
    torch.manual_seed(seed)
    network = networks.build(spec)
    with torch.no_grad():
        network(torch.rand(16, 1, 8, 8))
        network.eval().head.weight *= 20
    return network


def generated(seed: int, n: int = 12) -> SampleSet:
    return SampleSet(np.random.default_rng(seed).integers(60, 200, (n, 8, 8, 1), np.uint8), np.arange(n) % 3)


@pytest.fixture
def bench(samples, cnn_spec):
    """Two networks and two sets of generated images; batches of five."""
    made = {name: Guide(cnn(cnn_spec, seed), 3, 1, 8) for seed, name in enumerate(("one", "two"))}
    return image_studies.Bench(samples, made, None, 5, CPU, {"a": generated(1), "b": generated(2)})


def run(bench, **options):
    return image_studies.run(read(Study, SPEC | options, "study"), bench)


def changed(bench, **changes):
    return image_studies.Bench(**(vars(bench) | changes))


def f_c(network, samples):
    with torch.no_grad():
        return objectives.target_logit(network(images.to_float(samples.images)), torch.from_numpy(samples.labels))


def test_the_area_under_the_curve_by_hand():
    real, fake = torch.tensor([0.0, 1.0, 2.0, 5.0]), torch.tensor([1.0, 3.0])
    shares = discrimination.auc(real, fake)
    assert shares.tolist() == [0.0, 0.25, 0.5, 1.0]
    assert discrimination.auc(fake, real).mean() == pytest.approx(1 - float(shares.mean()))


def test_generated_images_are_dealt_out_in_turn():
    sets = [generated(seed, 3) for seed in (1, 2)]
    fake = discrimination.dealt(sets, 3)
    assert np.array_equal(fake.images, [sets[0].images[0], sets[1].images[0], sets[0].images[1]])
    assert fake.labels.tolist() == [0, 0, 1]


def test_values_of_real_images_are_shares_of_generated_ones(bench):
    study = run(bench)
    assert study.n == 9 and study.settings["sets"] == ["a", "b"]
    assert {len(values) for by in study.quantities.values() for values in by.values()} == {9}
    for name, guide in bench.networks.items():
        real = f_c(guide.network, bench.samples.subset(slice(0, 9)))
        scores = {key: f_c(guide.network, one.subset(slice(0, 9))) for key, one in bench.sets.items()}
        for key, against in (("auc", torch.cat([*scores.values()])), ("auc_a", scores["a"]), ("auc_b", scores["b"])):
            expected = [float((against < one).float().mean()) for one in real]
            assert study.quantities[key][name] == pytest.approx(expected, abs=1e-5)
        mean_of_sets = np.mean([study.quantities[f"auc_{key}"][name] for key in "ab"], 0)
        assert study.quantities["auc"][name] == pytest.approx(mean_of_sets, abs=1e-5)


def test_attacks_are_those_of_training_and_what_is_fooled_passes_their_level(bench):
    study, fake = run(bench), discrimination.dealt([*bench.sets.values()], 9)
    real = bench.samples.subset(slice(0, 9))
    for name, guide in bench.networks.items():
        network = guide.network
        with attacks.frozen(network):
            ends = [
                attacks.pgd(
                    lambda x, y, network=network, sign=sign: sign * objectives.bce_real(network(x), y),
                    images.to_float(one.images),
                    torch.from_numpy(one.labels),
                    **SPEC[attack],
                )
                for one, attack, sign in ((real, "real_attack", -1), (fake, "generated_attack", 1))
            ]
            level, raised = (
                torch.sigmoid(objectives.target_logit(network(end), torch.from_numpy(one.labels)))
                for end, one in zip(ends, (real, fake), strict=True)
            )
        assert study.settings["level"][name] == pytest.approx(float(level.mean()), abs=1e-5)
        assert study.quantities["fooled"][name] == (raised > level.mean()).float().tolist()
        for end, one, which in zip(ends, (real, fake), ("real", "generated"), strict=True):
            path = attacks.l2_norm(end - images.to_float(one.images)) / SPEC[f"{which}_attack"]["eps"]
            assert study.quantities[f"path_{which}"][name] == pytest.approx(path.tolist(), abs=1e-4)
            assert study.quantities[f"edge_{which}"][name] == (path >= 0.999).float().tolist()
        assert np.mean(f_c(network, fake).sigmoid().tolist()) < float(raised.mean())


def test_the_ball_is_active_where_it_has_changed_the_walk(bench):
    """A path as long as the radius cannot leave the ball; a longer one does unless it turns back."""
    found = run(bench).quantities
    assert {value for values in found["ball_real"].values() for value in values} == {0.0}
    assert {value for values in found["ball_generated"].values() for value in values} == {1.0}
    wide = run(bench, generated_attack={"eps": 10.0, "alpha": 0.2, "steps": 4}).quantities
    for key in ("ball_generated", "edge_generated"):
        assert {value for values in wide[key].values() for value in values} == {0.0}
    assert max(wide["path_generated"]["one"]) <= 0.08 + 1e-5


def test_an_edge_is_told_from_a_walk_that_turns_back(classifier, x, y):
    """Without a gradient nothing moves, and nothing is on the edge."""

    def still(x):
        return classifier(x) * 0

    walked = discrimination._attacked(still, x, y, Attack(eps=0.1, alpha=0.2, steps=1), 1, 12)
    assert walked.path.tolist() == [0.0] * 12 and not bool(walked.ball.any())


def test_pictures_are_of_the_first_real_and_generated(bench):
    arrays, fake = run(bench).arrays, discrimination.dealt([*bench.sets.values()], 9)
    assert arrays["networks"].tolist() == ["one", "two"]
    assert np.array_equal(arrays["source"], bench.samples.images[:2])
    assert np.array_equal(arrays["generated"], fake.images[:2])
    assert (arrays["images"].dtype, arrays["images"].shape) == (np.uint8, (2, 2, 2, 8, 8, 1))
    assert arrays["realness"].shape == (2, 2, 2)


def test_the_size_of_a_batch_does_not_matter_and_networks_stay_as_they_were(bench):
    before = {name: guide.network.state_dict() for name, guide in bench.networks.items()}
    before = {name: {key: value.clone() for key, value in state.items()} for name, state in before.items()}
    small, whole = (run(changed(bench, batch_size=size)).quantities for size in (2, 100))
    for key, values in whole.items():
        for name in values:
            assert small[key][name] == pytest.approx(values[name], abs=1e-4), key
    for name, guide in bench.networks.items():
        assert all(torch.equal(value, before[name][key]) for key, value in guide.network.state_dict().items())
        assert all(p.requires_grad and p.grad is None for p in guide.network.parameters())


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"sets": {}}, {}, "--set: missing, expected at least one of generated images"),
        ({"sets": {"a": generated(1, 4)}}, {}, "study.count: 9, expected at most 4, the images of set a"),
        ({"sets": {"a": SampleSet(generated(1).images)}}, {}, "set a: has no labels"),
        ({}, {"count": 13}, "study.count: 13, expected at most 12"),
        ({}, {"real_attack": {"eps": 1.0, "alpha": 0.0, "steps": 1}}, "study.real_attack.alpha: 0.0, expected"),
        ({"networks": {}}, {}, "--network: missing"),
    ],
)
def test_what_does_not_fit_is_named(bench, changes, options, message):
    with pytest.raises(InputError, match=message):
        run(changed(bench, **changes), **options)


def test_the_script_takes_sets_and_says_what_they_were(script, tmp_path, bench, cnn_spec):
    artifacts.save_samples(tmp_path / "real.npz", bench.samples)
    for name, one in bench.sets.items():
        artifacts.save_samples(tmp_path / f"{name}.npz", one)
    for kind, (name, guide) in zip(("joint", "classifier"), bench.networks.items(), strict=True):
        facts = {"kind": kind, "dataset": DATASET, "l0": 0.5}
        networks.save(tmp_path / f"{name}.safetensors", guide.network, cnn_spec, facts)
    command = ["--device", "cpu", "--data", "real.npz"]
    command += [f"--network={name}={name}.safetensors" for name in bench.networks]
    command += [f"--set={name}={name}.npz" for name in bench.sets]
    command += ["--spec", json.dumps(SPEC), "--arrays", "s.npz", "--out", "s.json"]
    done = script(tmp_path, "study", *command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    content = artifacts.load_json(tmp_path / "s.json")
    assert (content["kind"], content["unit"], content["n"]) == ("discrimination", "image", 9)
    assert content["provenance"]["sets_sha256"].keys() == {"a", "b"}
    expected = run(bench).quantities
    assert content["quantities"]["auc"]["two"] == pytest.approx(expected["auc"]["two"], abs=1e-4)
