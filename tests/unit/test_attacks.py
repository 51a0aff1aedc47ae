"""Gradient walks: closed forms, projections, early stop, and that a network comes out of an attack as it went in."""

from __future__ import annotations

import pytest
import torch

from pagboost import attacks, objectives, rng
from pagboost.errors import InputError

G = rng.generator("test attacks")
PROJECTIONS = [(attacks.project_l2, lambda d: d.flatten(1).norm(dim=1)), (attacks.project_linf, lambda d: d.abs())]


def linear(x, y):
    """Loss w . x with w = (3, 4, 0, ...): its normalised gradient is (0.6, 0.8, 0, ...)."""
    return 3 * x[:, 0, 0, 0] + 4 * x[:, 0, 0, 1]


def state_of(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def assert_same_state(network, before):
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


# -- frozen


@pytest.mark.parametrize("failing", [False, True])
def test_frozen_restores_every_mode_and_gradient_flag(classifier, failing):
    classifier.train()
    classifier.trunk[1].eval()
    classifier.head.bias.requires_grad_(False)
    modes = [module.training for module in classifier.modules()]
    flags = [p.requires_grad for p in classifier.parameters()]
    try:
        with attacks.frozen(classifier):
            assert not any(module.training for module in classifier.modules())
            assert not any(p.requires_grad for p in classifier.parameters())
            if failing:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert failing
    assert [module.training for module in classifier.modules()] == modes
    assert [p.requires_grad for p in classifier.parameters()] == flags


def test_an_attack_moves_no_statistics_and_computes_no_parameter_gradient(classifier, x, y):
    before = state_of(classifier.train())
    with attacks.frozen(classifier):
        x_adv = attacks.pgd(lambda x, y: objectives.ce(classifier(x), y), x, y, alpha=0.1, steps=3)
    assert classifier.training and not torch.equal(x_adv, x)
    assert_same_state(classifier, before)
    assert all(p.grad is None and p.requires_grad for p in classifier.parameters())
    assert not x_adv.requires_grad and x_adv.grad_fn is None


def test_works_inside_no_grad_and_leaves_its_input(classifier, x, y):
    original = x.clone()
    with torch.no_grad(), attacks.frozen(classifier):
        x_adv = attacks.pgd(lambda x, y: objectives.ce(classifier(x), y), x, y, alpha=0.1, steps=1)
    assert not torch.equal(x_adv, x)
    assert torch.equal(x, original)


# -- directions and projections


@pytest.mark.parametrize("scale", [1e30, 1.0, 1e-12, 1e-25, 1e-37])
def test_the_direction_has_length_one_however_small_the_gradient(scale):
    gradient = scale * torch.rand(3, 1, 4, 4, generator=G)
    torch.testing.assert_close(attacks.l2_norm(attacks.l2_direction(gradient)), torch.ones(3))


def test_a_zero_gradient_does_not_move():
    x = torch.rand(2, 1, 4, 4, generator=G)
    for norm in ("l2", "linf"):
        moved = attacks.pgd(lambda x, y: 0 * x.sum((1, 2, 3)), x, torch.zeros(2), alpha=1.0, steps=2, norm=norm)
        assert torch.equal(moved, x)


@pytest.mark.parametrize(("project", "size"), PROJECTIONS)
def test_projection_lands_inside_and_stays(project, size):
    delta = torch.randn(20, 1, 4, 4, generator=G) * torch.logspace(-2, 3, 20).view(-1, 1, 1, 1)
    inside = project(delta, 0.7)
    assert float(size(inside).max()) <= 0.7 * (1 + 1e-6)
    torch.testing.assert_close(project(inside, 0.7), inside, rtol=1e-6, atol=0)
    unmoved = size(delta).view(20, -1).amax(1) <= 0.7
    assert 0 < int(unmoved.sum()) < 20
    assert torch.equal(inside[unmoved], delta[unmoved])


@pytest.mark.parametrize(("project", "size"), PROJECTIONS)
def test_projection_is_the_nearest_point(project, size):
    delta = torch.randn(1, 1, 2, 2, generator=G) * 3
    nearest = project(delta, 1.0)
    others = project(torch.randn(5000, 1, 2, 2, generator=G), 1.0)
    others = torch.cat([others, project(nearest + 0.05 * torch.randn(5000, 1, 2, 2, generator=G), 1.0)])
    distance = attacks.l2_norm(delta - nearest)
    assert float(attacks.l2_norm(delta - others).min()) >= float(distance) * (1 - 1e-6)


# -- PGD


def test_l2_steps_have_length_alpha_and_end_on_the_ball():
    x = torch.full((1, 1, 2, 2), 0.5)
    walk = list(attacks.pgd_walk(linear, x, torch.zeros(1), alpha=0.1, steps=4, eps=0.25))
    lengths = torch.stack([attacks.l2_norm(step - x)[0] for step in walk])
    torch.testing.assert_close(lengths, torch.tensor([0.1, 0.2, 0.25, 0.25]))
    torch.testing.assert_close(walk[-1].flatten(), 0.5 - 0.25 * torch.tensor([0.6, 0.8, 0, 0]))


def test_linf_steps_move_each_pixel_by_alpha():
    x = torch.full((1, 1, 2, 2), 0.5)
    moved = attacks.pgd(linear, x, torch.zeros(1), alpha=0.1, steps=4, eps=0.25, norm="linf")
    torch.testing.assert_close(moved.flatten(), torch.tensor([0.25, 0.25, 0.5, 0.5]))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_each_image_may_have_its_own_lengths(classifier, x, y, norm):
    def loss_fn(x, y):
        return objectives.ce(classifier(x), y)

    eps, alpha = torch.linspace(0.1, 0.3, 12), torch.linspace(0.02, 0.2, 12)
    moved = attacks.pgd(loss_fn, x, y, alpha=alpha, eps=eps, steps=4, norm=norm)
    for i in (0, 5, 11):
        lengths = {"alpha": float(alpha[i]), "eps": float(eps[i])}
        alone = attacks.pgd(loss_fn, x[i : i + 1], y[i : i + 1], steps=4, norm=norm, **lengths)
        torch.testing.assert_close(moved[i : i + 1], alone, rtol=0, atol=1e-5)


def test_lengths_stay_with_their_image_when_others_stop():
    start = torch.tensor([0.9, 0.1]).view(-1, 1, 1, 1).expand(2, 1, 2, 2)
    lengths = {"alpha": torch.tensor([0.1, 0.2]), "eps": torch.tensor([0.1, 0.3])}
    moved = attacks.pgd(Brightness(0.8), start, torch.zeros(2), steps=5, **lengths)
    torch.testing.assert_close(moved.mean((1, 2, 3)), torch.tensor([0.9, 0.25]))  # 0.1 + eps / 2


@pytest.mark.parametrize(("bounds", "lowest"), [((0.0, 1.0), 0.0), ((-1.0, 1.0), -0.7), (None, -0.7)])
def test_images_stay_in_their_bounds(bounds, lowest):
    x = torch.full((1, 1, 1, 2), 0.1)
    moved = attacks.pgd(linear, x, torch.zeros(1), alpha=1.0, steps=1, bounds=bounds)
    assert float(moved[0, 0, 0, 1]) == pytest.approx(lowest, abs=1e-6)


def test_one_walk_serves_every_number_of_steps(classifier, x, y):
    def loss_fn(x, y):
        return objectives.ce(classifier(x), y)

    walk = list(attacks.pgd_walk(loss_fn, x, y, alpha=0.1, steps=4, eps=0.3))
    assert len(walk) == 4
    for count, step in enumerate(walk, start=1):
        assert torch.equal(step, attacks.pgd(loss_fn, x, y, alpha=0.1, steps=count, eps=0.3))
    assert attacks.pgd(loss_fn, x, y, alpha=0.1, steps=0) is x


def test_a_gradient_does_not_depend_on_its_company(classifier, x, y):
    def loss_fn(x, y):
        return objectives.ce(classifier(x), y)

    whole, _ = attacks.gradient(loss_fn, x, y)
    for rows in ([3], [7, 1, 4]):
        torch.testing.assert_close(attacks.gradient(loss_fn, x[rows], y[rows])[0], whole[rows], rtol=1e-4, atol=1e-7)


# -- early stop


class Brightness:
    """Loss -mean, stop above a level; keeps the sizes of the batches it is asked about."""

    def __init__(self, level):
        self.level, self.sizes = level, []

    def __call__(self, x, y):
        self.sizes.append(len(x))
        mean = x.mean((1, 2, 3))
        return -mean, mean.detach() > self.level


def test_a_stopped_sample_never_moves_again_and_costs_no_compute():
    start = torch.tensor([0.9, 0.3, 0.1, 0.2]).view(-1, 1, 1, 1).expand(4, 1, 2, 2)
    rule = Brightness(0.35)
    walk = list(attacks.pgd_walk(rule, start, torch.zeros(4), alpha=0.2, steps=6))  # a step adds 0.1 to the mean
    means = torch.stack([step.mean((1, 2, 3)) for step in walk])
    expected = torch.tensor(
        [
            [0.9, 0.4, 0.2, 0.3],
            [0.9, 0.4, 0.3, 0.4],
            [0.9, 0.4, 0.4, 0.4],
            [0.9, 0.4, 0.4, 0.4],
            [0.9, 0.4, 0.4, 0.4],
            [0.9, 0.4, 0.4, 0.4],
        ]
    )
    torch.testing.assert_close(means, expected)
    assert rule.sizes == [4, 3, 2, 1]  # looked at once after the last move, then never again
    assert all(torch.equal(step[0], start[0]) for step in walk)


def test_a_stop_of_some_leaves_the_others_where_they_would_be(classifier, x, y):
    def stopping(x, y):
        loss = objectives.ce(classifier(x), y)
        return loss, (y == 1) | (loss.detach() < 0)

    moved = attacks.pgd(stopping, x, y, alpha=0.1, steps=3, eps=0.2)
    free = attacks.pgd(lambda x, y: objectives.ce(classifier(x), y), x, y, alpha=0.1, steps=3, eps=0.2)
    assert torch.equal(moved[y == 1], x[y == 1])
    torch.testing.assert_close(moved[y != 1], free[y != 1], rtol=0, atol=1e-5)


def test_noise_is_drawn_for_active_samples_only():
    asked = []

    def noise(shape, rows):
        asked.append(rows)
        return torch.zeros(len(rows), *shape)

    start = torch.tensor([0.3, 0.9, 0.1]).view(-1, 1, 1, 1).expand(3, 1, 2, 2)
    attacks.sgld(Brightness(0.35), start, torch.zeros(3), alpha=0.2, steps=5, noise=noise, noise_std=1.0)
    assert asked == [[0, 2], [2], [2], []]


# -- SGLD


def streams(count):
    return rng.SampleStreams("sgld", [0] * count, range(count))


@pytest.mark.parametrize("noise_std", [0.0, 0.005])
def test_sgld_ascends_the_logit(classifier, x, y, noise_std):
    def logits(x):
        return objectives.target_logit(classifier(x), y).detach()

    moved = attacks.sgld(
        lambda x, y: objectives.logit(classifier(x), y),
        x,
        y,
        alpha=0.1,
        steps=5,
        noise=streams(12).randn,
        noise_std=noise_std,
    )
    assert bool((logits(moved) > logits(x)).all())


@pytest.mark.parametrize(("direction", "drift"), [("l2", [0.6, 0.8]), ("raw", [3.0, 4.0])])
def test_sgld_step_is_drift_and_own_noise_unclipped(direction, drift):
    x = torch.zeros(2, 1, 1, 2)
    options = {"alpha": 0.5, "steps": 1, "noise_std": 0.1, "direction": direction}
    moved = attacks.sgld(linear, x, torch.zeros(2), noise=streams(2).randn, **options)
    expected = -0.5 * torch.tensor(drift) + 0.1 * streams(2).randn((1, 1, 2))
    torch.testing.assert_close(moved, expected)
    assert float(moved.min()) < 0


# -- bad options


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": -0.1}, "alpha -0.1: expected a step above 0"),
        ({"alpha": float("nan")}, "alpha nan"),
        ({"steps": -1}, "steps -1: expected 0 or more"),
        ({"eps": 0.0}, "eps 0.0: expected a radius above 0"),
        ({"eps": torch.zeros(1)}, "eps .*: expected a radius above 0"),
        ({"norm": "l1"}, "norm l1: unknown, expected one of: l2, linf"),
    ],
)
def test_bad_pgd_options_are_named(change, message):
    with pytest.raises(InputError, match=message):
        attacks.pgd(linear, torch.zeros(1, 1, 1, 2), torch.zeros(1), **{"alpha": 0.1, "steps": 1, **change})


def test_negative_noise_is_refused():
    with pytest.raises(InputError, match="noise_std -1"):
        attacks.sgld(linear, torch.zeros(1, 1, 1, 2), torch.zeros(1), alpha=1, steps=1, noise=None, noise_std=-1)


def test_stopped_samples_may_stay_in_the_batch(x):
    """As they do on a GPU, which is not asked who has stopped; the walk's images are the same."""
    goal = x.flatten(1).mean(1) + 0.001 + 0.004 * torch.arange(len(x))

    def loss_fn(x, y):
        mean = x.flatten(1).mean(1)
        return -mean, mean >= y

    def move(current, grad, rows):
        return (current - 0.02 * attacks.l2_direction(grad)).clamp(0, 1)

    leave, stay = (list(walk(x, goal, loss_fn, 6, move)) for walk in (attacks._walk, attacks._masked_walk))
    assert len(leave) == len(stay) == 6
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(leave, stay, strict=True))
    assert 0 < sum(torch.equal(a, b) for a, b in zip(stay[-1], stay[-2], strict=True)) < len(x)  # some have stopped


def test_a_repeated_loss_is_the_loss(x, y, classifier):
    def loss_fn(x, y):
        return torch.nn.functional.cross_entropy(classifier(x), y, reduction="none")

    repeated = attacks.Repeated(loss_fn)
    assert torch.equal(repeated(x, y), loss_fn(x, y))
    assert torch.equal(attacks.gradient(repeated, x, y)[0], attacks.gradient(loss_fn, x, y)[0])
