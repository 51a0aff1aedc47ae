"""PGD and APGD-CE: balls and bounds, what a linear classifier's margin says, ridges that PGD steps over, company."""

from __future__ import annotations

import itertools

import pytest
import torch

from pagboost import attacks, rng
from pagboost.errors import InputError
from pagboost.guides import robustness

NORMS = {"l2": attacks.l2_norm, "linf": lambda delta: delta.flatten(1).abs().amax(1)}
by_norm = pytest.mark.parametrize("norm", NORMS)
by_attack = pytest.mark.parametrize("attack", [robustness.pgd, robustness.apgd], ids=lambda attack: attack.__name__)


@pytest.fixture
def sharp(classifier, x):
    """A classifier that tells these images apart, if not by much: the other one says the same of all."""
    with torch.no_grad():
        classifier.head.weight *= 20
        classifier.head.bias -= classifier(x).mean(0)
        assert len(classifier(x).argmax(1).unique()) > 1
    return classifier


@pytest.fixture
def told(sharp, x):
    """What it says of each image: labels under which none is fooled without an attack."""
    with torch.no_grad():
        return sharp(x).argmax(1)


def two_classes(score):
    """A classifier into class 1, or 0 where score(x) [N] is negative."""
    return lambda x: torch.stack([torch.zeros(len(x)), score(x)], 1)


# -- where the attacks may go, and what they leave alone


@by_norm
@by_attack
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), None])
def test_attacks_stay_in_the_ball_and_in_the_bounds(attack, norm, bounds, classifier, x):
    x = x.clone()
    x[:4] = x[:4].round()  # at the bounds already
    told = classifier(x).argmax(1)
    eps = {"l2": 2.0, "linf": 0.3}[norm]
    with attacks.frozen(classifier):
        x_adv, _ = attack(classifier, x, told, eps=eps, steps=8, norm=norm, bounds=bounds)
    size = NORMS[norm](x_adv - x)
    assert float(size.max()) <= eps * (1 + 1e-5)
    assert float(size.max()) > 0.5 * eps
    if bounds is not None:
        assert bounds[0] <= float(x_adv.min()) and float(x_adv.max()) <= bounds[1]
    else:
        assert float(x_adv.min()) < 0


@by_norm
def test_the_best_point_is_kept(norm, sharp, x, told):
    """What is not fooled ends no lower in loss than it began, and no further than the best that was seen."""
    losses = []

    def seen(x):
        logits = sharp(x)
        if len(x) == 12:  # nothing is fooled in so small a ball
            losses.append(torch.nn.functional.cross_entropy(logits.detach(), told, reduction="none"))
        return logits

    with attacks.frozen(sharp):
        x_adv, fooled = robustness.apgd(seen, x, told, eps=1e-3, steps=10, norm=norm)
        last = torch.nn.functional.cross_entropy(sharp(x_adv), told, reduction="none")
    assert not bool(fooled.any()) and len(losses) == 11
    torch.testing.assert_close(last, torch.stack(losses).amax(0), rtol=0, atol=1e-6)
    assert bool((last > losses[0]).all())


@by_attack
def test_nothing_of_the_network_moves(attack, sharp, x, told):
    before = {key: value.clone() for key, value in sharp.state_dict().items()}
    with attacks.frozen(sharp):
        x_adv, _ = attack(sharp, x, told, eps=0.5, steps=4)
        assert not any(p.requires_grad for p in sharp.parameters())
    assert all(torch.equal(value, before[key]) for key, value in sharp.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in sharp.parameters())
    assert not x_adv.requires_grad and x_adv.grad_fn is None


@by_attack
def test_attacks_work_inside_no_grad_and_leave_their_input(attack, sharp, x, told):
    original = x.clone()
    with torch.no_grad(), attacks.frozen(sharp):
        x_adv, _ = attack(sharp, x, told, eps=0.5, steps=2)
    assert not torch.equal(x_adv, x) and torch.equal(x, original)


@by_norm
@by_attack
def test_an_image_does_not_depend_on_its_company(attack, norm, sharp, x, told):
    told = torch.where(torch.arange(12) % 5 == 0, (told + 1) % 3, told)  # some are wrong from the start
    options = {"eps": {"l2": 0.4, "linf": 0.05}[norm], "steps": 12, "norm": norm}
    with attacks.frozen(sharp):
        whole, fooled = attack(sharp, x, told, **options)
        again, _ = attack(sharp, x, told, **options)
        assert torch.equal(whole, again)
        for rows in ([3], [7, 0, 4, 5]):
            alone, alone_fooled = attack(sharp, x[rows], told[rows], **options)
            torch.testing.assert_close(alone, whole[rows], rtol=0, atol=1e-4)
            assert torch.equal(alone_fooled, fooled[rows])


def test_fooled_images_leave_the_batch(sharp):
    sizes, x = [], torch.tensor([-0.1, 0.05, 0.5]).view(-1, 1, 1, 1).expand(3, 1, 1, 1)

    def logits_fn(x):
        sizes.append(len(x))
        return two_classes(lambda x: x.flatten(1).sum(1))(x)

    x_adv, fooled = robustness.apgd(logits_fn, x, torch.ones(3).long(), eps=0.2, steps=5, bounds=None)
    assert fooled.tolist() == [True, True, False]
    assert sizes == [3, 2, 1, 1, 1, 1]
    torch.testing.assert_close(x_adv.flatten(), torch.tensor([-0.1, -0.15, 0.3]))


# -- what is known of the answer


@by_norm
@by_attack
def test_a_linear_classifier_falls_where_its_margin_ends(attack, norm):
    """Distance to the plane w x + b = 0: |w x + b| over the dual norm of w."""
    draws = rng.generator("plane")
    w, x = torch.randn(1, 5, 5, generator=draws), torch.randn(200, 1, 5, 5, generator=draws)

    def score(x):
        return (x * w).flatten(1).sum(1) + 0.3

    y = (score(x) > 0).long()
    distance = score(x).abs() / (w.norm() if norm == "l2" else w.abs().sum())
    eps = float(distance.median())
    clear = (distance / eps - 1).abs() > 1e-3
    _, fooled = attack(two_classes(score), x, y, eps=eps, steps=20, norm=norm, bounds=None)
    assert torch.equal(fooled[clear], (distance < eps)[clear])
    assert 0.4 < float(fooled.float().mean()) < 0.6


@by_norm
def test_apgd_finds_a_ridge_that_pgd_steps_over(norm):
    """Wrong only within 0.02 of 0.31: PGD's steps of 0.125 turn round it for ever; halved ones land in it."""
    ridge = two_classes(lambda x: (x.flatten(1).sum(1) - 0.31).abs() - 0.02)
    x, y = torch.zeros(1, 1, 1, 1), torch.ones(1).long()
    options = {"eps": 1.0, "steps": 20, "norm": norm, "bounds": None}
    assert not bool(robustness.pgd(ridge, x, y, **options)[1])
    x_adv, fooled = robustness.apgd(ridge, x, y, **options)
    assert bool(fooled) and float(x_adv) == pytest.approx(0.31, abs=0.02)


@by_norm
def test_apgd_is_never_worse_than_pgd_where_pgd_stalls(norm):
    """Ridges of many places and widths along one axis, with the same number of steps."""
    for place, width in itertools.product((0.11, 0.31, 0.47, 0.63, 0.9), (0.01, 0.03, 0.1)):
        ridge = two_classes(lambda x, at=place, wide=width: (x.flatten(1).sum(1) - at).abs() - wide)
        options = {"eps": 1.0, "steps": 40, "norm": norm, "bounds": None}
        x, y = torch.zeros(1, 1, 1, 1), torch.ones(1).long()
        assert bool(robustness.apgd(ridge, x, y, **options)[1]) >= bool(robustness.pgd(ridge, x, y, **options)[1])


def test_checkpoints_are_those_of_the_paper():
    assert robustness.checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert robustness.checkpoints(20) == [5, 9, 12, 14, 16, 18, 19, 20]
    assert robustness.checkpoints(1) == [1]


@by_norm
def test_it_is_the_public_apgd(norm, sharp):
    """Against the AutoAttack package (fra31/auto-attack), started at x too; there, fooled images go on."""
    public = pytest.importorskip("autoattack.autopgd_base")
    x = torch.rand(100, 1, 8, 8, generator=rng.generator("more images"))
    eps, known = {"l2": (0.08, "L2"), "linf": (0.015, "Linf")}[norm]
    with attacks.frozen(sharp):
        y = sharp(x).argmax(1)
        theirs = public.APGDAttack(sharp, n_iter=100, norm=known, eps=eps, seed=0, device=torch.device("cpu"))
        theirs.init_hyperparam(x)
        _, right, loss, _ = theirs.attack_single_run(x, y, x_init=x)
        x_adv, fooled = robustness.apgd(sharp, x, y, eps=eps, steps=100, norm=norm)
        own = torch.nn.functional.cross_entropy(sharp(x_adv), y, reduction="none")
    assert torch.equal(~fooled, right)
    torch.testing.assert_close(own[~fooled], loss[~fooled], rtol=1e-3, atol=1e-5)
    assert 20 < int(fooled.sum()) < 80


# -- both attacks at several radii


@by_norm
def test_columns_say_what_each_attack_leaves_right(norm, sharp, x, y):
    eps = [{"l2": 0.5, "linf": 0.05}[norm], 1e-6]
    with attacks.frozen(sharp):
        right, moved = robustness.resisted(sharp, x, y, eps=eps, steps=5, norm=norm)
        clean = sharp(x).argmax(1) == y
        assert torch.equal(right[:, 0], clean) and torch.equal(right[:, 4], clean)  # nothing within 1e-6
        for i, radius in enumerate(eps):
            options = {"eps": radius, "steps": 5, "norm": norm}
            by = [attack(sharp, x, y, **options) for attack in (robustness.pgd, robustness.apgd)]
            pgd, apgd, both = right[:, 1 + 3 * i : 4 + 3 * i].unbind(1)
            assert torch.equal(pgd, ~by[0][1]) and torch.equal(apgd, ~by[1][1]) and torch.equal(both, pgd & apgd)
            assert torch.equal(moved[:, i], by[1][0])
    assert right.dtype == torch.bool and moved.shape == (12, 2, 1, 8, 8)


def test_radii_are_named_as_claims_can_name_them():
    assert robustness.names([1.5, 3.0, 8 / 255]) == [
        "accuracy",
        *(f"accuracy_{way}_{eps}" for eps in ("1_5", "3", "0_0313725") for way in ("pgd", "apgd", "robust")),
    ]


@by_attack
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": 0.0}, "eps 0.0: expected a radius above 0"),
        ({"eps": float("nan")}, "eps nan: expected"),
        ({"steps": 0}, "steps 0: expected 1 or more"),
        ({"norm": "l1"}, "norm l1: unknown, expected one of: l2, linf"),
    ],
)
def test_bad_options_are_named(attack, change, message, sharp, x, y):
    with pytest.raises(InputError, match=message):
        attack(sharp, x, y, **{"eps": 0.1, "steps": 1, **change})
