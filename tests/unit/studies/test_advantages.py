"""Which of two images is better: by hand."""

import math

import pytest
import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.studies import advantages


def measured(log_probability, distance):
    return {"log_probability": torch.tensor(log_probability), "distance": torch.tensor(distance)}


def test_the_margin_is_the_smaller_of_two_scaled_advantages():
    a = measured([0.0, -1.0, -3.0, -2.0], [1.0, 1.0, 1.0, 3.0])
    b = measured([-3.0, -2.0, -1.0, -1.0], [2.0, 4.0, 0.0, 2.0])
    # log p: 3, 1, -2, -1, root mean square sqrt(15 / 4); distance: 1, 3, -1, -1, root mean square sqrt(12 / 4)
    p, d = math.sqrt(15) / 2, math.sqrt(3)
    expected = torch.tensor([min(3 / p, 1 / d), min(1 / p, 3 / d), min(-2 / p, -1 / d), min(-1 / p, -1 / d)])
    torch.testing.assert_close(advantages.margins(a, b), expected)


def test_a_pair_is_won_by_one_or_none_whatever_the_units():
    a, b = ({key: torch.randn(50, generator=rng.generator(i, key)) for key in measured([0.0], [0.0])} for i in (0, 1))
    there, back = advantages.margins(a, b) > 0, advantages.margins(b, a) > 0
    disagree = (a["log_probability"] > b["log_probability"]) != (a["distance"] < b["distance"])
    assert torch.equal(there | back, ~disagree) and not bool((there & back).any())
    a, b = ({**found, "distance": 100 * found["distance"]} for found in (a, b))
    assert torch.equal(advantages.margins(a, b) > 0, there)


def test_equal_measurements_are_no_advantage():
    a, b = measured([0.0, 1.0], [2.0, 2.0]), measured([-1.0, 0.0], [2.0, 2.0])
    assert advantages.margins(a, b).tolist() == [0, 0]


def test_the_nearest_is_of_the_same_class():
    features = torch.tensor([[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]], dtype=torch.float64)
    real = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0], [1.0, 1.0 + 1e-9]], dtype=torch.float64)
    y, real_y = torch.tensor([0, 0, 1]), torch.tensor([1, 0, 0, 1])
    distance = advantages.nearest_of_class(features, y, real, real_y)
    assert distance[:2].tolist() == pytest.approx([1.0, 4.0])
    assert distance[2].item() == pytest.approx(1e-9, rel=1e-5)  # no digits lost to a product
    with pytest.raises(InputError, match="real images: none of class 1"):
        advantages.nearest_of_class(features, y, real[1:3], real_y[1:3])
