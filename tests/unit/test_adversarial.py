"""Attacked training: which way each attack goes, what the joint loss is, and that bad inputs are named."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pagboost import adversarial, artifacts, attacks, networks, objectives, rng, training
from pagboost.errors import InputError

RUN = training.Run(seed=0, device=torch.device("cpu"))
REAL_ATTACK = {"eps": 0.5, "alpha": 0.2, "steps": 4}
FAKE_ATTACK = {"eps": 1.0, "alpha": 0.1, "steps": 1, "grow_every": 2, "max_steps": 3}
CLASSIFIER = {
    "iterations": 25,
    "batch_size": 30,
    "lr": 0.05,
    "weight_decay": 0.0,
    "shift": 1,
    "sizes": [],
    "attack": None,
}
ROBUST = {"eps": 0.5, "alpha": 0.3, "steps": 2, "norm": "l2", "ramp": 0.5}
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


@pytest.fixture
def data():
    """Sixty images of three classes: which third of the columns is bright."""
    y = torch.arange(60) % 3
    x = 0.3 * torch.rand(60, 1, 8, 8, generator=rng.generator("stripes"))
    for c in range(3):
        x[y == c, :, :, 3 * c : 3 * c + 2] += 0.6
    return training.Data(x, y, 3)


# -- the two attacks of joint training


def test_the_attack_on_real_images_lowers_the_target_logit(classifier, x, y):
    attacked = adversarial.attack_real(classifier, x, y, REAL_ATTACK)
    assert bool((f_c(classifier, attacked, y) < f_c(classifier, x, y)).all())
    assert float(attacks.l2_norm(attacked - x).max()) <= 0.5 + 1e-5


def test_the_attack_on_generated_images_raises_the_target_logit(classifier, x, y):
    attack = {"eps": 0.5, "alpha": 0.2, "steps": 4}
    attacked = adversarial.attack_generated(classifier, x, y, attack, stop_above=1.0)
    assert bool((f_c(classifier, attacked, y) > f_c(classifier, x, y)).all())
    assert float(attacks.l2_norm(attacked - x).max()) <= 0.5 + 1e-5


def test_a_generated_image_more_real_than_the_threshold_stays(classifier, x, y):
    realness = torch.sigmoid(f_c(classifier, x, y))
    threshold = float(realness.median())
    attack = {"eps": 5.0, "alpha": 0.05, "steps": 3}
    attacked = adversarial.attack_generated(classifier, x, y, attack, threshold)
    above = realness > threshold
    assert torch.equal(attacked[above], x[above])
    assert bool((attacks.l2_norm(attacked - x)[~above] > 0).all())


def test_untargeted_attack_raises_cross_entropy(classifier, x, y):
    attacked = adversarial.attacked(classifier, adversarial.misclassify(classifier), x, y, **REAL_ATTACK)
    with torch.no_grad():
        before, after = (objectives.ce(classifier(part), y) for part in (x, attacked))
    assert bool((after > before).all())


# -- closed forms


def test_joint_loss_takes_the_first_images_for_real():
    logits, y = torch.tensor([[2.0, 0.0], [0.0, -1.0], [0.5, 0.0]]), torch.tensor([0, 1, 0])
    ce = [
        math.log(math.exp(a) + math.exp(b)) - row[c] for (a, b), row, c in zip(*[logits.tolist()] * 2, y, strict=True)
    ]
    bce = [math.log1p(math.exp(-2)), math.log1p(math.exp(1)), math.log1p(math.exp(0.5))]
    assert float(adversarial.joint_loss(logits, y, real=2)) == pytest.approx((sum(ce) + sum(bce)) / 3, rel=1e-6)


def test_levels_are_means_over_images(classifier, data):
    logits = f_c(classifier, data.x, data.y).double()
    level = adversarial.reference_level(classifier, data, RUN.device)
    assert level == pytest.approx(float(torch.nn.functional.softplus(logits).mean()), rel=1e-6)
    before = {key: value.clone() for key, value in classifier.train().state_dict().items()}
    realness = adversarial.mean_realness(classifier, data.x, data.y)
    assert realness == pytest.approx(float(torch.sigmoid(logits).mean()), rel=1e-5)
    assert classifier.training
    assert all(torch.equal(value, before[key]) for key, value in classifier.state_dict().items())


def test_accuracy_counts_hits(classifier, data):
    guesses = classifier(data.x).argmax(1)
    hits = int((guesses == data.y).sum())
    assert adversarial.accuracy(classifier, data, RUN.device) == pytest.approx(hits / 60)
    assert adversarial.accuracy(classifier, training.Data(data.x, guesses, 3), RUN.device) == 1


def test_learning_rate_rises_then_falls_to_zero():
    rates = [adversarial.one_cycle(i, 50, lr=0.4) for i in range(50)]
    assert rates[:10] == pytest.approx([0.04 * (i + 1) for i in range(10)])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[29] == pytest.approx(0.2)  # half-way down
    assert rates[-1] == pytest.approx(0, abs=1e-9)


# -- augmentation


def test_shifts_move_whole_images_and_fill_with_zeros():
    x = torch.zeros(300, 1, 8, 8)
    x[:, :, 3:5, 3:5] = 1
    moved = adversarial.shifted(x, 2, rng.generator("shift"))
    assert torch.equal(moved.sum((1, 2, 3)), torch.full((300,), 4.0))
    corners = {tuple(image[0].nonzero()[0].tolist()) for image in moved}
    assert corners == {(i, j) for i in range(1, 6) for j in range(1, 6)}
    edge = adversarial.shifted(torch.ones(50, 1, 4, 4), 1, rng.generator("shift"))
    assert set(edge.sum((1, 2, 3)).tolist()) == {16.0, 12.0, 9.0}


def test_no_shift_is_no_copy_and_draws_repeat():
    x = torch.rand(5, 1, 8, 8)
    assert adversarial.shifted(x, 0, rng.generator("shift")) is x
    once, again = (adversarial.shifted(x, 3, rng.generator("shift")) for _ in range(2))
    assert torch.equal(once, again)


def test_batches_come_at_every_asked_size():
    batches = ((torch.rand(2, 1, 8, 8), torch.zeros(2)) for _ in range(30))
    seen = [x for x, _ in adversarial.augmented(batches, 1, [8, 16], rng.generator("sizes"))]
    assert {x.shape[-1] for x in seen} == {8, 16}
    assert all(float(x.min()) >= 0 and float(x.max()) <= 1 for x in seen)


# -- the classifier


def train_classifier(data, spec, seed=0, **changed):
    run = training.Run(seed=seed, device=RUN.device)
    return adversarial.train_classifier(data, spec, run, {}, **{**CLASSIFIER, **changed})


@pytest.mark.parametrize("attack", [None, ROBUST])
def test_a_classifier_learns_and_evaluates(data, cnn_spec, attack):
    trained = train_classifier(data, cnn_spec, attack=attack)
    assert not trained.network.training
    assert trained.spec == cnn_spec
    assert trained.facts["train_accuracy"] == adversarial.accuracy(trained.network, data, RUN.device) > 0.9


def test_the_attack_ramps_up_to_its_full_radius(data, cnn_spec, monkeypatch):
    asked = []
    pgd = attacks.pgd
    monkeypatch.setattr(attacks, "pgd", lambda *a, **options: asked.append(options) or pgd(*a, **options))
    train_classifier(data, cnn_spec, attack=ROBUST, iterations=8)
    assert [options["eps"] for options in asked] == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert [options["alpha"] / options["eps"] for options in asked] == pytest.approx([0.6] * 8)


def test_weights_depend_on_the_seed_alone(data, cnn_spec):
    torch.manual_seed(1)
    first = train_classifier(data, cnn_spec, iterations=3).network.state_dict()
    torch.manual_seed(2)
    again, other = (train_classifier(data, cnn_spec, seed, iterations=3).network.state_dict() for seed in (0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


# -- the joint model


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
    return adversarial.train_joint(data, None, RUN, inputs, **{**JOINT, **changed})


def test_a_joint_model_carries_its_reference_level(data, inputs, cnn_spec):
    trained = train_joint(data, inputs)
    assert not trained.network.training
    assert trained.spec == cnn_spec
    assert trained.facts["l0"] == adversarial.reference_level(trained.network, data, RUN.device) > 0


def test_joint_training_tells_real_from_generated(data, inputs):
    network = train_joint(data, inputs, iterations=50, lr=0.03).network
    fakes = adversarial.generated_data(inputs["fakes"], data)
    real, fake = (adversarial.mean_realness(network, *part.batch(slice(None))) for part in (data, fakes))
    assert real > 0.6 > 0.4 > fake


def test_the_attack_on_generated_images_grows_and_stops_at_the_attacked_real_ones(data, inputs, monkeypatch):
    steps, thresholds = [], []
    attack, realness = adversarial.attack_generated, adversarial.mean_realness

    def watched_attack(net, x, y, options, stop_above):
        assert set(options) == {"eps", "alpha", "steps"}
        assert len(x) == 7
        steps.append(options["steps"])
        assert stop_above == thresholds[-1]
        return attack(net, x, y, options, stop_above)

    def watched_realness(net, x, y):
        assert len(x) == 10
        thresholds.append(realness(net, x, y))
        return thresholds[-1]

    monkeypatch.setattr(adversarial, "attack_generated", watched_attack)
    monkeypatch.setattr(adversarial, "mean_realness", watched_realness)
    train_joint(data, inputs, iterations=8)
    assert steps == [1, 1, 2, 2, 3, 3, 3, 3]


def test_updates_see_real_and_generated_images_in_one_batch(data, inputs, monkeypatch):
    sizes = {True: [], False: []}
    forward = networks.named("pagboost.networks.cnn:ConvNet").forward

    def watched(network, x):
        sizes[network.training].append(len(x))
        return forward(network, x)

    monkeypatch.setattr(networks.named("pagboost.networks.cnn:ConvNet"), "forward", watched)
    train_joint(data, inputs, iterations=2)
    assert sizes[True] == [17, 17]  # attacks, all in eval mode, never move BatchNorm's statistics


def test_the_non_robust_ablation_attacks_nothing(data, inputs, monkeypatch):
    monkeypatch.setattr(attacks, "pgd", None)
    train_joint(data, inputs, real_attack=None, generated_attack=None, iterations=2)


def test_several_resolutions_are_trained_in_turn(data, inputs, monkeypatch):
    seen = []
    attack = adversarial.attack_real
    monkeypatch.setattr(adversarial, "attack_real", lambda net, x, *a: seen.append(x.shape[-1]) or attack(net, x, *a))
    train_joint(data, inputs, sizes=[8, 16], iterations=12)
    assert set(seen) == {8, 16}


# -- bad inputs


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
