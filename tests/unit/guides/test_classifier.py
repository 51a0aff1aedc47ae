"""The robust classifier: which way the attack goes, what augmentation does, and what a training gives."""

from __future__ import annotations

import pytest
import torch

from pagboost import attacks, objectives, training
from pagboost.guides import classifier as classifiers
from pagboost.machine import number_format
from pagboost.options.reading import read
from pagboost.options.trainings import Classifier

RUN = training.Run(seed=0, device=torch.device("cpu"))
ATTACK = {"eps": 0.5, "alpha": 0.2, "steps": 4}
CLASSIFIER = {
    "iterations": 25,
    "batch_size": 30,
    "lr": 0.05,
    "weight_decay": 0.0,
    "shift": 1,
    "sizes": [],
    "attack": None,
}
RESNET = {
    "kind": "resnet", "layers": [1, 1, 1, 1], "width": 16, "block": "basic", "num_classes": 3,
    "mean": [0.5], "std": [0.3], "stem": {"kernel": 3, "stride": 1, "pool": False},
}  # fmt: skip
ROBUST = {"eps": 0.5, "alpha": 0.3, "steps": 2, "norm": "l2", "ramp": 0.5}


def test_untargeted_attack_raises_cross_entropy(classifier, x, y):
    attacked = classifiers.attacked(classifier, classifiers.misclassify(classifier), x, y, **ATTACK)
    with torch.no_grad():
        before, after = (objectives.ce(classifier(part), y) for part in (x, attacked))
    assert bool((after > before).all())


def test_accuracy_counts_hits(classifier, data):
    guesses = classifier(data.x).argmax(1)
    hits = int((guesses == data.y).sum())
    assert classifiers.accuracy(classifier, data, RUN.device) == pytest.approx(hits / 60)
    assert classifiers.accuracy(classifier, training.Data(data.x, guesses, 3), RUN.device) == 1


def test_learning_rate_rises_then_falls_to_zero():
    rates = [classifiers.one_cycle(i, 50, lr=0.4) for i in range(50)]
    assert rates[:10] == pytest.approx([0.04 * (i + 1) for i in range(10)])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[29] == pytest.approx(0.2)  # half-way down
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def train_classifier(data, spec, seed=0, **changed):
    run = training.Run(seed=seed, device=RUN.device)
    return classifiers.train_classifier(data, spec, run, {}, read(Classifier, CLASSIFIER | changed, "training"))


@pytest.mark.parametrize("attack", [None, ROBUST])
def test_a_classifier_learns_and_evaluates(data, cnn_spec, attack):
    trained = train_classifier(data, cnn_spec, attack=attack)
    assert not trained.network.training
    assert trained.spec == cnn_spec
    assert trained.facts["train_accuracy"] == classifiers.accuracy(trained.network, data, RUN.device) > 0.9


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


def test_attacks_in_bf16_train_as_robust_a_resnet(data, monkeypatch):
    """What is reported of it, measured in fp32: a robust training's accuracy under attack, and how far it is moved."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("oneDNN takes no bf16 here")
    monkeypatch.setattr(number_format, "computes_bf16", lambda: True)
    robust = {"attack": ROBUST, "iterations": 60}
    plain, in_fp32 = (train_classifier(data, RESNET, **made).network for made in ({"iterations": 60}, robust))
    with number_format.bf16_on_cpu():
        in_bf16 = train_classifier(data, RESNET, **robust).network
    assert all(value.dtype == torch.float32 for value in in_bf16.parameters())
    assert not all(map(torch.equal, in_bf16.parameters(), in_fp32.parameters()))  # bf16 was at work
    losses = []
    for network in (plain, in_fp32, in_bf16):
        attacked = classifiers.attacked(network, classifiers.misclassify(network), data.x, data.y, **ATTACK)
        with torch.no_grad():
            losses.append(float(objectives.ce(network(attacked), data.y).mean()))
    assert abs(losses[2] - losses[1]) < 0.1 * (losses[0] - losses[1])
