"""The joint model: which way each attack goes, what the joint loss is, and that bad inputs are named."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pagboost import artifacts, attacks, networks, objectives, rng, training
from pagboost.errors import InputError
from pagboost.guides import joint
from pagboost.networks.cnn import ConvNet
from pagboost.options.reading import read
from pagboost.options.trainings import Attack, Joint, RealAttack

RUN = training.Run(seed=0, device=torch.device("cpu"))
REAL_ATTACK = {"eps": 0.5, "alpha": 0.2, "steps": 4}
FAKE_ATTACK = {"eps": 1.0, "alpha": 0.1, "steps": 1, "grow_every": 2, "max_steps": 3}
JOINT = {
    "iterations": 6,
    "batch_size": 10,
    "generated_batch_size": 7,
    "lr": 0.01,
    "weight_decay": 0.0,
    "shift": 0,
    "sizes": [],
    "fresh_head": False,
    "real_attack": REAL_ATTACK,
    "generated_attack": FAKE_ATTACK,
}


def f_c(network, x, y):
    with torch.no_grad():
        return objectives.target_logit(network(x), y)


def test_the_attack_on_real_images_lowers_the_target_logit(classifier, x, y):
    attacked = joint.attack_real(classifier, x, y, RealAttack(**REAL_ATTACK), rng.generator("start"))
    assert bool((f_c(classifier, attacked, y) < f_c(classifier, x, y)).all())
    assert float(attacks.l2_norm(attacked - x).max()) <= 0.5 + 1e-5


def test_an_attack_on_real_images_may_start_at_random_in_their_balls(classifier, x, y):
    still = RealAttack(eps=0.5, alpha=1e-6, steps=1, random_start=True)
    starts = [joint.attack_real(classifier, x, y, still, rng.generator(name)) - x for name in ("a", "a", "b")]
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])
    lengths = attacks.l2_norm(starts[0])
    assert float(lengths.max()) <= 0.5 + 1e-5 and float(lengths.min()) > 0.4
    wide = RealAttack(eps=0.5, alpha=0.5, steps=2, random_start=True)
    moved = joint.attack_real(classifier, x, y, wide, rng.generator("a"))
    assert float(attacks.l2_norm(moved - x).max()) <= 0.5 + 1e-5  # the ball is the image's, not the start's
    assert float(f_c(classifier, moved, y).mean()) < float(f_c(classifier, x + starts[0], y).mean())


def test_the_attack_on_generated_images_raises_the_target_logit(classifier, x, y):
    attacked = joint.attack_generated(classifier, x, y, Attack(**REAL_ATTACK), stop_above=1.0)
    assert bool((f_c(classifier, attacked, y) > f_c(classifier, x, y)).all())
    assert float(attacks.l2_norm(attacked - x).max()) <= 0.5 + 1e-5


def test_a_generated_image_more_real_than_the_threshold_stays(classifier, x, y):
    realness = torch.sigmoid(f_c(classifier, x, y))
    threshold = float(realness.median())
    attack = Attack(eps=5.0, alpha=0.05, steps=3)
    attacked = joint.attack_generated(classifier, x, y, attack, threshold)
    above = realness > threshold
    assert torch.equal(attacked[above], x[above])
    assert bool((attacks.l2_norm(attacked - x)[~above] > 0).all())


def test_joint_loss_takes_the_first_images_for_real():
    logits, y = torch.tensor([[2.0, 0.0], [0.0, -1.0], [0.5, 0.0]]), torch.tensor([0, 1, 0])
    ce = [
        math.log(math.exp(a) + math.exp(b)) - row[c] for (a, b), row, c in zip(*[logits.tolist()] * 2, y, strict=True)
    ]
    bce = [math.log1p(math.exp(-2)), math.log1p(math.exp(1)), math.log1p(math.exp(0.5))]
    assert float(joint.joint_loss(logits, y, real=2)) == pytest.approx((sum(ce) + sum(bce)) / 3, rel=1e-6)


def test_levels_are_means_over_images(classifier, data):
    logits = f_c(classifier, data.x, data.y).double()
    level = joint.reference_level(classifier, data, RUN.device)
    assert level == pytest.approx(float(torch.nn.functional.softplus(logits).mean()), rel=1e-6)
    before = {key: value.clone() for key, value in classifier.train().state_dict().items()}
    realness = joint.mean_realness(classifier, data.x, data.y)
    assert realness == pytest.approx(float(torch.sigmoid(logits).mean()), rel=1e-5)
    assert classifier.training
    assert all(torch.equal(value, before[key]) for key, value in classifier.state_dict().items())


@pytest.fixture
def inputs(tmp_path, classifier, cnn_spec):
    """A backbone's weights and two files of generated samples."""
    dataset = {"num_classes": 3, "channels": 1, "size": 8}
    networks.save(tmp_path / "backbone.safetensors", classifier, cnn_spec, {"kind": "classifier", "dataset": dataset})
    for name in ("a", "b"):
        images = np.random.default_rng(ord(name)).integers(0, 256, (9, 8, 8, 1), np.uint8)
        artifacts.save_samples(tmp_path / f"{name}.npz", artifacts.SampleSet(images, np.arange(9) % 3))
    return {"backbone": tmp_path / "backbone.safetensors", "fakes": [tmp_path / "a.npz", tmp_path / "b.npz"]}


def train_joint(data, inputs, **changed):
    return joint.train_joint(data, None, RUN, inputs, read(Joint, JOINT | changed, "training"))


def test_a_joint_model_carries_its_reference_level(data, inputs, cnn_spec):
    trained = train_joint(data, inputs)
    assert not trained.network.training
    assert trained.spec == cnn_spec
    assert trained.facts["l0"] == joint.reference_level(trained.network, data, RUN.device) > 0


def test_joint_training_tells_real_from_generated(data, inputs):
    network = train_joint(data, inputs, iterations=50, lr=0.03).network
    fakes = joint.generated_data(inputs["fakes"], data)
    real, fake = (joint.mean_realness(network, *part.batch(slice(None))) for part in (data, fakes))
    assert real > 0.6 > 0.4 > fake


def test_the_attack_on_generated_images_grows_and_stops_at_the_attacked_real_ones(data, inputs, monkeypatch):
    steps, thresholds = [], []
    attack, realness = joint.attack_generated, joint.mean_realness

    def watched_attack(net, x, y, options, stop_above, loss_fn):
        assert (options.eps, options.alpha) == (1.0, 0.1)
        assert len(x) == 7
        steps.append(options.steps)
        assert stop_above == thresholds[-1]
        return attack(net, x, y, options, stop_above, loss_fn)

    def watched_realness(net, x, y):
        assert len(x) == 10
        thresholds.append(realness(net, x, y))
        return thresholds[-1]

    monkeypatch.setattr(joint, "attack_generated", watched_attack)
    monkeypatch.setattr(joint, "mean_realness", watched_realness)
    train_joint(data, inputs, iterations=8)
    assert steps == [1, 1, 2, 2, 3, 3, 3, 3]


def test_without_the_early_stop_no_generated_image_stops(data, inputs, monkeypatch):
    thresholds, attack = [], joint.attack_generated
    monkeypatch.setattr(joint, "attack_generated", lambda *a: thresholds.append(a[-2]) or attack(*a))
    monkeypatch.setattr(joint, "mean_realness", None)  # not even asked
    train_joint(data, inputs, iterations=3, generated_attack={**FAKE_ATTACK, "early_stop": False})
    assert thresholds == [1.0] * 3


def test_updates_see_real_and_generated_images_in_one_batch(data, inputs, monkeypatch):
    sizes = {True: [], False: []}
    forward = ConvNet.forward

    def watched(network, x):
        sizes[network.training].append(len(x))
        return forward(network, x)

    monkeypatch.setattr(ConvNet, "forward", watched)
    train_joint(data, inputs, iterations=2)
    assert sizes[True] == [17, 17]  # attacks, all in eval mode, never move BatchNorm's statistics


def test_the_non_robust_ablation_attacks_nothing(data, inputs, monkeypatch):
    monkeypatch.setattr(attacks, "pgd", None)
    train_joint(data, inputs, real_attack=None, generated_attack=None, iterations=2)


def test_several_resolutions_are_trained_in_turn(data, inputs, monkeypatch):
    seen = []
    attack = joint.attack_real
    monkeypatch.setattr(joint, "attack_real", lambda net, x, *a: seen.append(x.shape[-1]) or attack(net, x, *a))
    train_joint(data, inputs, sizes=[8, 16], iterations=12)
    assert set(seen) == {8, 16}


@pytest.mark.parametrize("role", ["backbone", "fakes"])
def test_missing_inputs_are_named(data, inputs, role):
    del inputs[role]
    with pytest.raises(InputError, match=r"expected a backbone \(weights\) and fakes \(samples\)"):
        train_joint(data, inputs)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((3, 8, 8, 1), np.uint8), None, "has no labels"),
        (np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 1, 3]), r"label 3, expected 0\.\.2"),
        (np.zeros((3, 16, 16, 1), np.uint8), np.arange(3), r"images are \[16, 16, 1\], expected \[8, 8, 1\]"),
        (np.zeros((3, 8, 8, 3), np.uint8), np.arange(3), r"images are \[8, 8, 3\], expected \[8, 8, 1\]"),
    ],
)
def test_generated_samples_must_fit_the_data(data, inputs, images, labels, message):
    artifacts.save_samples(inputs["fakes"][1], artifacts.SampleSet(images, labels))
    with pytest.raises(InputError, match=f"b.npz: .*{message}"):
        train_joint(data, inputs)


def test_a_backbone_must_have_the_classes_of_the_data(data, inputs):
    with pytest.raises(InputError, match=r"backbone.safetensors: has 3 classes, expected 4"):
        train_joint(training.Data(data.x, data.y, 4), inputs)


def test_only_a_resnet_gets_a_fresh_head(data, inputs):
    with pytest.raises(InputError, match="fresh_head: true for a ConvNet, expected a backbone of kind resnet"):
        train_joint(data, inputs, fresh_head=True)
