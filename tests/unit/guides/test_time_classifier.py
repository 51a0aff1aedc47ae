"""Time-dependent classifiers: the attack's early stop, and that robust and vanilla differ by the attack alone."""

import pytest
import torch
from msgspec.structs import replace

from pagboost import networks, rng, training
from pagboost.errors import InputError
from pagboost.generators.diffusion.schedule import make_schedule
from pagboost.guides import time_classifier
from pagboost.options.reading import read
from pagboost.options.trainings import FoolingAttack, TimeClassifier

ATTACK = {"eps": 0.5, "alpha": 0.2, "steps": 4, "norm": "l2"}


class Threshold(torch.nn.Module):
    """Two classes by the sign of the mean pixel minus time / 1000."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(4.0))

    def forward(self, x, times):
        score = self.gain * (x.mean((1, 2, 3)) - times / 1000)
        return torch.stack([-score, score], 1)


def attack(x_t, times, y, **changed):
    return time_classifier.attack_until_fooled(Threshold(), x_t, times, y, FoolingAttack(**{**ATTACK, **changed}))


def test_misclassified_samples_do_not_move_and_the_rest_stop_when_fooled():
    x_t = torch.tensor([-0.3, 0.02, 0.3, 3.0]).view(-1, 1, 1, 1).expand(4, 1, 4, 4)
    times, y = torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    moved = (attack(x_t, times, y) - x_t).flatten(1).norm(dim=1)
    # one step of 0.2 lowers the mean of 16 pixels by 0.05: enough for the second, not within eps for the others
    torch.testing.assert_close(moved, torch.tensor([0.0, 0.2, 0.5, 0.5]))


def test_each_sample_is_attacked_at_its_own_time():
    x_t = torch.full((3, 1, 4, 4), 0.5)
    times, y = torch.tensor([900, 490, 0]), torch.ones(3, dtype=torch.long)
    moved = (attack(x_t, times, y) - x_t).flatten(1).norm(dim=1)
    torch.testing.assert_close(moved, torch.tensor([0.0, 0.2, 0.5]))


def test_x_t_is_not_clipped():
    x_t = torch.full((1, 1, 4, 4), -2.0)
    result = attack(x_t, torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long), eps=30.0, alpha=10.0)
    assert result.min() > 0.4
    assert attack(-x_t, torch.zeros(1, dtype=torch.long), torch.ones(1, dtype=torch.long), steps=0).min() == 2


def test_infinity_norm_moves_every_pixel_alike():
    x_t = torch.full((1, 1, 4, 4), 0.5)
    result = attack(x_t, torch.tensor([0]), torch.tensor([1]), norm="linf", eps=8 / 255, alpha=4 / 255)
    torch.testing.assert_close(result, x_t - 8 / 255)


class Counting(Threshold):
    """Notes how many images each pass is asked about."""

    def __init__(self):
        super().__init__()
        self.passes = []

    def forward(self, x, times):
        self.passes.append(len(x))
        return super().forward(x, times)


def test_fooled_samples_cost_no_compute_and_are_left_untouched():
    classifier = Counting()
    x_t = torch.tensor([-0.3, 0.02, 0.07, 3.0, -1.0]).view(-1, 1, 1, 1).expand(5, 1, 4, 4)
    times, y = torch.zeros(5, dtype=torch.long), torch.ones(5, dtype=torch.long)
    moved = time_classifier.attack_until_fooled(classifier, x_t, times, y, FoolingAttack(**ATTACK))
    # two are misclassified from the start, one after a step of 0.05 in the mean, one after two
    assert classifier.passes == [5, 3, 2, 1]
    assert torch.equal(moved[[0, 4]], x_t[[0, 4]])
    classifier.passes.clear()
    time_classifier.attack_until_fooled(classifier, x_t[:1], times[:1], y[:1], FoolingAttack(**ATTACK))
    assert classifier.passes == [1]  # and no more once all are fooled


def test_an_attack_may_take_all_steps_whether_fooled_or_not():
    classifier = Counting()
    x_t = torch.tensor([-0.3, 0.02, 3.0]).view(-1, 1, 1, 1).expand(3, 1, 4, 4)
    times, y = torch.zeros(3, dtype=torch.long), torch.ones(3, dtype=torch.long)
    options = FoolingAttack(**ATTACK, until_fooled=False)
    moved = (time_classifier.attack_until_fooled(classifier, x_t, times, y, options) - x_t).flatten(1).norm(dim=1)
    assert classifier.passes == [3, 3, 3, 3]
    torch.testing.assert_close(moved, torch.full((3,), 0.5))


class Wavy(torch.nn.Module):
    """Never fooled; its gradient turns with x, so that the attack's path is bent and reaches the ball's edge."""

    def forward(self, x, times):
        score = 50 + torch.sin(3 * x).sum((1, 2, 3))
        return torch.stack([-score, score], 1)


@pytest.mark.parametrize(("norm", "eps", "alpha"), [("l2", 0.5, 0.2), ("linf", 8 / 255, 5 / 255)])
def test_the_attack_stays_in_its_ball_far_outside_the_images_range(norm, eps, alpha):
    x_t = 3 * torch.randn(16, 3, 4, 4, generator=rng.generator("far"), dtype=torch.float64)
    times, y = torch.zeros(16, dtype=torch.long), torch.ones(16, dtype=torch.long)
    options = FoolingAttack(eps=eps, alpha=alpha, steps=7, norm=norm)
    result = time_classifier.attack_until_fooled(Wavy(), x_t, times, y, options)
    length = (result - x_t).flatten(1).norm(dim=1, p=2 if norm == "l2" else float("inf"))
    assert (length <= eps * (1 + 1e-6)).all() and length.max() == pytest.approx(eps)
    outside = x_t.abs() > 1.1
    assert bool(((result != x_t) & outside).any()) and (result[outside].abs() > 1).all()


class Recorder(Threshold):
    """Keeps what it was trained on."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x, times):
        if self.training:
            self.seen.append((x.detach().clone(), times.clone()))
        return super().forward(x, times)


@pytest.fixture
def recorders(monkeypatch):
    built = []

    def build(spec):
        built.append(Recorder())
        return built[-1]

    monkeypatch.setattr(networks, "build", build)
    return built


class Unfooled(Recorder):
    """Always sees class 1, the more surely the brighter the image."""

    def forward(self, x, times):
        return super().forward(x, times) + torch.tensor([0.0, 40.0])


@pytest.fixture
def unfooled(monkeypatch):
    built = []
    monkeypatch.setattr(networks, "build", lambda spec: built.append(Unfooled()) or built[-1])
    return built


def dataset():
    x = torch.rand(32, 1, 4, 4, generator=rng.generator("data"))
    return training.Data(x, (x.mean((1, 2, 3)) > 0.5).long(), 2)


TRAINING = {"schedule": "linear", "diffusion_steps": 1000, "iterations": 6, "batch_size": 16}
TRAINING |= {"lr": 0.05, "lr_end": 0.01, "weight_decay": 0.0}


def train(attack_options, data=None):
    """A training by these options of its attack: a mapping, None, or an attack that no configuration may ask for."""
    unread = isinstance(attack_options, FoolingAttack)
    options = read(TimeClassifier, TRAINING | {"attack": None if unread else attack_options}, "training")
    if unread:
        options = replace(options, attack=attack_options)
    run = training.Run(seed=0, device=torch.device("cpu"))
    return time_classifier.train_time_classifier(data or dataset(), {"kind": "recorder"}, run, {}, options)


def test_vanilla_and_robust_training_differ_only_by_the_attack(recorders):
    train(None), train(ATTACK), train(FoolingAttack(**{**ATTACK, "steps": 0}))
    vanilla, robust, unattacked = (recorder.seen for recorder in recorders)
    for (x_vanilla, t_vanilla), (x_robust, t_robust) in zip(vanilla, robust, strict=True):
        torch.testing.assert_close(t_vanilla, t_robust, rtol=0, atol=0)
        distance = (x_vanilla - x_robust).flatten(1).norm(dim=1)
        assert 0 < distance.max() <= 0.5 + 1e-5
    for (x_vanilla, _), (x_unattacked, _) in zip(vanilla, unattacked, strict=True):
        torch.testing.assert_close(x_vanilla, x_unattacked, rtol=0, atol=0)
    assert recorders[0].gain == recorders[2].gain != recorders[1].gain


def test_lengths_are_those_of_images_from_minus_one_to_one(unfooled):
    """x_t = sqrt(signal) (2 x - 1) + noise, and an attack that never fools moves it by eps of that scale."""
    data = training.Data(dataset().x, torch.ones(32, dtype=torch.long), 2)
    train(None, data=data), train(ATTACK, data=data)
    draw = training.Batches(data, 16, rng.generator(0, "time_classifier"), torch.device("cpu"))
    x_0, (x_t, times) = next(draw)[0] * 2 - 1, unfooled[0].seen[0]
    signal = make_schedule("linear", 1000).alphas_cumprod.float()[times.long()].view(-1, 1, 1, 1)
    noise = (x_t - signal.sqrt() * x_0) / (1 - signal).sqrt()
    assert (noise.mean().item(), noise.std().item()) == (pytest.approx(0, abs=0.2), pytest.approx(1, abs=0.15))
    for (plain, _), (attacked, _) in zip(unfooled[0].seen, unfooled[1].seen, strict=True):
        torch.testing.assert_close((attacked - plain).flatten(1).norm(dim=1), torch.full((16,), 0.5))


def test_training_returns_an_evaluating_network_and_its_facts(recorders):
    trained = train(ATTACK)
    assert not trained.network.training
    assert trained.facts["attack"] == {**ATTACK, "until_fooled": True}
    assert (trained.facts["schedule"], trained.facts["diffusion_steps"]) == ("linear", 1000)


def test_unknown_attack_option_is_named(recorders):
    with pytest.raises(InputError, match="training.attack.radius: unknown key"):
        train({**ATTACK, "radius": 1})
