"""A step of PGD in one kernel beside torch's: on a GPU compiled, elsewhere interpreted."""

from __future__ import annotations

import math

import pytest
import torch

pytest.importorskip("triton")

from pagboost import attacks, rng
from pagboost.machine import gpu_moves

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPTIONS = {"alpha": 0.5, "eps": 0.4, "norm": "l2", "direction": "l2", "bounds": (0.0, 1.0)}


def batch(*shape):
    """Images, a gradient and centres apart from them."""
    draws = rng.generator("moves")
    return [part.to(DEVICE) for part in (torch.rand(shape, generator=draws), torch.randn(shape, generator=draws))] + [
        torch.rand(shape, generator=draws).to(DEVICE)
    ]


def both(x, grad, centre, **options):
    return [step(x, grad, centre, **OPTIONS | options) for step in (gpu_moves.moved, attacks.pgd_step)]


@pytest.mark.parametrize("direction", ["l2", "linf", "raw"])
@pytest.mark.parametrize(("norm", "eps"), [("l2", 0.4), ("l2", 40.0), ("linf", 0.05), ("l2", None)])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
def test_it_is_torchs_step(direction, norm, eps, bounds):
    options = {"direction": direction, "norm": norm, "eps": eps, "bounds": bounds}
    found, expected = both(*batch(3, 3, 5, 7), **options)
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 40, 33), (1, 1, 1, 1), (5, 1, 16, 16), (1, 3, 64, 64)])
def test_any_size(shape):
    found, expected = both(*batch(*shape))
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_each_image_may_have_its_own_lengths(norm):
    lengths = {"alpha": torch.tensor([0.1, 0.5, 2.0]), "eps": torch.tensor([0.3, 0.01, 1.0]).double()}
    lengths = {name: value.to(DEVICE) for name, value in lengths.items()}
    found, expected = both(*batch(3, 3, 5, 7), norm=norm, direction=norm, **lengths)
    assert torch.allclose(found, expected, atol=1e-6)


def test_images_in_another_order_in_memory():
    x, grad, centre = batch(2, 3, 8, 8)
    turned = x.contiguous(memory_format=torch.channels_last)
    found, expected = both(turned, grad, centre)[0], both(x, grad, centre)[1]
    assert torch.allclose(found, expected, atol=1e-6) and found.is_contiguous(memory_format=torch.channels_last)
    sliced = torch.cat([x, x], 3)[..., :8]
    assert torch.allclose(both(sliced, grad, centre)[0], expected, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-25, 1e25])
def test_gradients_of_any_length(scale):
    x, grad, centre = batch(2, 3, 8, 8)
    found, expected = both(x, grad * scale, centre, eps=None)
    assert torch.allclose(found, expected, atol=1e-6)


def test_no_number_stays_none():
    """What went wrong is not hidden in bounds."""
    x, grad, centre = batch(2, 3, 4, 4)
    grad[0, 0, 0, 0] = math.nan
    found, expected = both(x, grad, centre)
    assert bool(found[0].isnan().all()) and torch.equal(found.isnan(), expected.isnan())
    found, expected = both(x, grad, centre, norm="linf", direction="linf")
    assert torch.allclose(found, expected)  # torch's sign of no number is 0
