"""The one conversion between stored and computed images, and the one resize."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pagboost import images
from pagboost.errors import InputError


@pytest.mark.parametrize("channels", [1, 3])
def test_all_256_levels_survive_the_round_trip(channels):
    levels = np.arange(256 * channels, dtype=np.uint8).reshape(1, 16, 16, channels)
    x = images.to_float(levels)
    assert (float(x.min()), float(x.max())) == (0, 1)
    assert np.array_equal(images.to_uint8(x), levels)


def test_channels_come_first_in_memory_and_last_in_store():
    stored = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)
    x = images.to_float(stored)
    assert x.shape == (2, 3, 4, 5) and x.dtype == torch.float32
    assert float(x[1, 2, 3, 4]) == pytest.approx(stored[1, 3, 4, 2] / 255)
    assert np.array_equal(images.to_uint8(x.to(memory_format=torch.channels_last)), stored)


@pytest.mark.parametrize(("value", "level"), [(-0.3, 0), (1.7, 255), (99.4 / 255, 99), (99.6 / 255, 100)])
def test_storing_clips_and_rounds_to_the_nearest_level(value, level):
    assert images.to_uint8(torch.full((1, 1, 2, 2), value)).tolist() == [[[[level]] * 2] * 2]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_broken_image_is_never_stored(bad):
    x = torch.zeros(3, 1, 2, 2)
    x[1, 0, 0, 1] = bad
    with pytest.raises(InputError, match="1 of 3 images hold NaN or infinity"):
        images.to_uint8(x)


@pytest.mark.parametrize("bad", [np.zeros((2, 4, 4, 1), np.float32), np.zeros((4, 4, 1), np.uint8)])
def test_only_stored_images_are_converted(bad):
    with pytest.raises(InputError, match=r"expected uint8 \[N, H, W, C\]"):
        images.to_float(bad)


@pytest.mark.parametrize("size", [4, 8, 16])
def test_resizing_keeps_constants_and_lets_gradients_pass(size):
    x = torch.full((2, 1, 8, 8), 0.3, requires_grad=True)
    resized = images.resize(x, size)
    torch.testing.assert_close(resized, torch.full((2, 1, size, size), 0.3))
    resized.sum().backward()
    assert float(x.grad.sum()) == pytest.approx(2 * size**2, rel=1e-5)


def test_same_size_is_the_same_tensor_and_shrinking_averages():
    x = torch.rand(1, 1, 8, 8)
    assert images.resize(x, 8) is x
    stripes = torch.tensor([1.0, 0.0, 0.0, 1.0]).repeat(1, 1, 16, 4)
    shrunk = images.resize(stripes, 4)
    assert float((shrunk - 0.5).abs().max()) < 0.1  # without antialiasing only the black columns would be seen


@pytest.mark.parametrize(("shape", "expected"), [((3, 32, 32), 30.0), ((1, 16, 16), 30 / 12**0.5), ((3, 64, 64), 60.0)])
def test_a_length_is_carried_over_at_equal_change_per_value(shape, expected):
    values = torch.Size(shape).numel()
    assert images.equal_change(30.0, values, 3072) == pytest.approx(expected)
    small, large = (torch.full((n,), 0.1, dtype=torch.float64) for n in (values, 3072))
    assert images.equal_change(float(large.norm()), values, 3072) == pytest.approx(float(small.norm()))
