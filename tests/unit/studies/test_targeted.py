"""Targeted attacks: the step and the radius, what is reported about them, and that the target's probability rises."""

from __future__ import annotations

import pytest
import torch

from pagboost import attacks, objectives
from pagboost.errors import InputError
from pagboost.studies import targeted


class Linear(torch.nn.Module):
    """Two classes; the logit of class 1 is w . x with w = (3, 4, 0, 0)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logit = 3 * x[:, 0, 0, 0] + 4 * x[:, 0, 0, 1]
        return torch.stack([torch.zeros_like(logit), logit], 1)


def test_a_straight_walk_uses_the_whole_radius_in_equal_steps():
    x = torch.full((2, 1, 2, 2), 0.5)
    done = targeted.targeted_attack(Linear(), x, torch.tensor([1, 0]), eps=0.25, steps=5)
    step = 0.25 * torch.tensor([0.6, 0.8, 0.0, 0.0])
    torch.testing.assert_close(done.images.flatten(1), torch.stack([0.5 + step, 0.5 - step]))
    torch.testing.assert_close(done.l2, torch.tensor([0.25, 0.25]))
    logit = torch.tensor([3 * 0.5 + 4 * 0.5 + 0.25 * 5, 3 * 0.5 + 4 * 0.5 - 0.25 * 5])
    torch.testing.assert_close(done.probability, torch.stack([logit[0].sigmoid(), (-logit[1]).sigmoid()]))


def test_a_walk_of_t_steps_is_pgd_of_eps_over_t(classifier, x, y):
    done = targeted.targeted_attack(classifier, x, y, eps=0.6, steps=3)
    with attacks.frozen(classifier):
        plain = attacks.pgd(lambda x, y: objectives.ce(classifier(x), y), x, y, eps=0.6, alpha=0.2, steps=3)
    assert torch.equal(done.images, plain)


def test_the_targets_probability_rises_within_the_radius(classifier, x, y):
    targets = (y + 1) % 3
    before = classifier(x).softmax(1).gather(1, targets[:, None]).squeeze(1)
    done = targeted.targeted_attack(classifier, x, targets, eps=1.0, steps=10)
    assert bool((done.probability > before).all())
    torch.testing.assert_close(
        classifier(done.images).softmax(1).gather(1, targets[:, None]).squeeze(1), done.probability
    )
    torch.testing.assert_close(done.l2, (done.images - x).flatten(1).norm(dim=1))
    assert float(done.l2.max()) <= 1.0 + 1e-5
    assert float(done.images.min()) >= 0 and float(done.images.max()) <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [({"eps": -1.0}, "eps -1.0: expected a radius above 0"), ({"steps": 0}, "steps 0: expected at least 1")],
)
def test_bad_options_are_named(classifier, x, y, change, message):
    with pytest.raises(InputError, match=message):
        targeted.targeted_attack(classifier, x, y, **({"eps": 1.0, "steps": 2} | change))
