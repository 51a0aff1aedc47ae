"""Time-dependent classifiers: the attack's early stop, and that robust and vanilla differ by the attack alone."""

import pytest
import torch

from pagboost import networks, rng, time_classifier, training
from pagboost.errors import InputError

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
    return time_classifier.attack_until_fooled(Threshold(), x_t, times, y, **{**ATTACK, **changed})


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


def train(attack_options, seed=0):
    x = torch.rand(32, 1, 4, 4, generator=rng.generator("data"))
    data = training.Data(x, (x.mean((1, 2, 3)) > 0.5).long(), 2)
    return time_classifier.train_time_classifier(
        data,
        {"kind": "recorder"},
        training.Run(seed=seed, device=torch.device("cpu")),
        {},
        schedule="linear",
        diffusion_steps=1000,
        iterations=6,
        batch_size=16,
        lr=0.05,
        lr_end=0.01,
        weight_decay=0.0,
        attack=attack_options,
    )


def test_vanilla_and_robust_training_differ_only_by_the_attack(recorders):
    train(None), train(ATTACK), train({**ATTACK, "steps": 0})
    vanilla, robust, unattacked = (recorder.seen for recorder in recorders)
    for (x_vanilla, t_vanilla), (x_robust, t_robust) in zip(vanilla, robust, strict=True):
        torch.testing.assert_close(t_vanilla, t_robust, rtol=0, atol=0)
        distance = (x_vanilla - x_robust).flatten(1).norm(dim=1)
        assert 0 < distance.max() <= 0.5 + 1e-5
    for (x_vanilla, _), (x_unattacked, _) in zip(vanilla, unattacked, strict=True):
        torch.testing.assert_close(x_vanilla, x_unattacked, rtol=0, atol=0)
    assert recorders[0].gain == recorders[2].gain != recorders[1].gain


def test_training_returns_an_evaluating_network_and_its_facts(recorders):
    trained = train(ATTACK)
    assert not trained.network.training
    assert trained.facts["attack"] == ATTACK
    assert (trained.facts["schedule"], trained.facts["diffusion_steps"]) == ("linear", 1000)


def test_unknown_attack_option_is_named(recorders):
    with pytest.raises(InputError, match="training.attack.radius: unknown key"):
        train({**ATTACK, "radius": 1})
