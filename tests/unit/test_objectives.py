"""Objectives: closed forms, the direction each one pushes f_c, and the two sides of Eq. 12."""

from __future__ import annotations

import math

import pytest
import torch

from pagboost import objectives
from pagboost.errors import InputError
from pagboost.options import boosts
from pagboost.options.reading import read

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])
Y = torch.tensor([0, 2])
ALL = ["ce", "bce", "ce_minus_bce", "logit", "none", "ce_bce_ref"]


def softplus(z: float) -> float:
    return math.log1p(math.exp(z))


def cross_entropy(row: list[float], c: int) -> float:
    return math.log(sum(map(math.exp, row))) - row[c]


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (objectives.target_logit, lambda row, c: row[c]),
        (objectives.ce, cross_entropy),
        (objectives.bce_real, lambda row, c: softplus(-row[c])),
        (objectives.bce_generated, lambda row, c: softplus(row[c])),
        (objectives.ce_minus_bce, lambda row, c: cross_entropy(row, c) - softplus(row[c])),
        (objectives.ce_bce_ref(1.5), lambda row, c: cross_entropy(row, c) + (softplus(row[c]) - 1.5) ** 2 / 2),
        (objectives.logit, lambda row, c: -row[c]),
    ],
)
def test_closed_forms(objective, expected):
    values = [expected(row, c) for row, c in zip(LOGITS.tolist(), Y.tolist(), strict=True)]
    torch.testing.assert_close(objective(LOGITS, Y), torch.tensor(values))


def slope(objective: objectives.Objective, f_c: float) -> float:
    """d loss / d f_c of class 0, the other logits being 0."""
    logits = torch.tensor([[f_c, 0.0, 0.0]], requires_grad=True)
    objective(logits, torch.tensor([0])).sum().backward()
    return float(logits.grad[0, 0])


@pytest.mark.parametrize("name", ["ce", "bce", "ce_minus_bce", "logit"])
@pytest.mark.parametrize("f_c", [-4.0, 0.0, 4.0])
def test_minimising_raises_the_target_logit(name, f_c):
    assert slope(objectives.objective(name), f_c) < 0


@pytest.mark.parametrize("f_c", [-4.0, 0.0, 4.0])
def test_without_an_objective_there_is_no_direction(f_c):
    assert slope(objectives.objective("none"), f_c) == 0
    assert objectives.none(LOGITS, Y).tolist() == [0, 0]


@pytest.mark.parametrize(("f_c", "sign"), [(-2.0, -1), (0.0, -1), (6.0, 1)])
def test_equation_12_approaches_the_reference_from_both_sides(f_c, sign):
    """softplus(0) = 0.69 < l0 = 3 < softplus(6): the square alone, and the whole, push f_c towards l0."""
    reference = objectives.objective("ce_bce_ref", l0=3.0)
    assert slope(reference, f_c) * sign > 0
    assert slope(lambda logits, y: reference(logits, y) - objectives.ce(logits, y), f_c) * sign > 0


@pytest.mark.parametrize("name", ALL)
def test_each_sample_has_its_own_loss(name):
    objective = objectives.objective(name, l0=1.0)
    loss = objective(LOGITS, Y)
    assert loss.shape == (2,)
    assert torch.equal(loss[1:], objective(LOGITS[1:], Y[1:]))


def test_unknown_objective_lists_the_known_ones():
    with pytest.raises(InputError) as error:
        read(boosts.StepBoost, {"objective": "bse", "sampler": "pgd", "alpha": 0.1}, "boost")
    assert all(name in str(error.value) for name in ["bse", *ALL])
    assert list(boosts.OBJECTIVES) == ALL


def test_a_name_added_to_the_table_is_an_objective(monkeypatch):
    """As a plug-in adds one."""
    monkeypatch.setitem(boosts.OBJECTIVES, "own", "pagboost.objectives:target_logit")
    boost = read(boosts.StepBoost, {"objective": "own", "sampler": "pgd", "alpha": 0.1}, "boost")
    assert objectives.objective(boost.objective) is objectives.target_logit


def test_equation_12_needs_a_reference():
    with pytest.raises(InputError, match="ce_bce_ref: the guide's weights carry no l0"):
        objectives.objective("ce_bce_ref")
