"""The measure of noise: closed forms of waves, checkerboards and white noise."""

import math

import pytest
import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.studies import noisiness


def wave(size, cycles, channels=1):
    """A cosine of so many cycles along the last axis."""
    line = torch.cos(2 * math.pi * cycles * torch.arange(size) / size)
    return line.expand(1, channels, size, size)


@pytest.mark.parametrize(("cycles", "share"), [(1, 0.0), (4, 0.0), (5, 1.0), (8, 1.0)])
def test_a_wave_is_high_above_a_quarter_per_pixel(cycles, share):
    x = wave(16, cycles)
    assert noisiness.high_frequency_share(x).item() == pytest.approx(share, abs=1e-9)
    assert noisiness.high_frequency_share(x.transpose(2, 3)).item() == pytest.approx(share, abs=1e-9)


def test_energies_of_waves_and_channels_add_up():
    mixed = wave(16, 2) + 2 * wave(16, 7)  # energies 1 and 4
    assert noisiness.high_frequency_share(mixed).item() == pytest.approx(0.8)
    channels = torch.cat([wave(16, 2), wave(16, 7), torch.full((1, 1, 16, 16), 3.0)], 1)
    assert noisiness.high_frequency_share(channels).item() == pytest.approx(0.5)


def test_a_checkerboard_is_all_high_and_a_smooth_blob_hardly():
    i = torch.arange(16)
    checkerboard = ((i[:, None] + i) % 2).float()[None, None]
    blob = torch.exp(-((i[:, None] - 8.0) ** 2 + (i - 8.0) ** 2) / 18)[None, None]
    assert noisiness.high_frequency_share(checkerboard).item() == pytest.approx(1)
    assert noisiness.high_frequency_share(blob).item() < 1e-3


@pytest.mark.parametrize(("size", "low"), [(16, 9), (15, 7)])
def test_white_noise_has_the_share_of_high_frequencies(size, low):
    x = torch.randn(400, 3, size, size, generator=rng.generator(0))
    expected = 1 - (low**2 - 1) / (size**2 - 1)
    assert noisiness.high_frequency_share(x).mean().item() == pytest.approx(expected, abs=0.005)


def test_noise_added_to_a_smooth_image_raises_the_share_steadily():
    smooth, noise = wave(16, 1), torch.randn(1, 1, 16, 16, generator=rng.generator(1))
    shares = [noisiness.high_frequency_share(smooth + std * noise).item() for std in (0.0, 0.1, 0.3, 1.0, 3.0)]
    assert shares == sorted(shares) and shares[-1] > 0.5


def test_scale_offset_and_company_do_not_matter():
    x = torch.randn(3, 2, 8, 8, generator=rng.generator(2), dtype=torch.float64)
    share = noisiness.high_frequency_share(x)
    torch.testing.assert_close(noisiness.high_frequency_share(-1e-25 * x), share)
    torch.testing.assert_close(noisiness.high_frequency_share(x + 5), share)
    torch.testing.assert_close(noisiness.high_frequency_share(x[1:2]), share[1:2])


def test_a_constant_has_no_share():
    x = torch.randn(2, 1, 4, 4, generator=rng.generator(3))
    x[1] = 0
    with pytest.raises(InputError, match="gradient is constant, expected one that varies"):
        noisiness.high_frequency_share(x)


def test_min_max_takes_each_image_to_its_extremes():
    x = torch.tensor([[-2.0, 0.0, 2.0], [0.0, 1e-25, 4e-25]]).view(2, 3, 1, 1)  # three channels of one pixel
    expected = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.25, 1.0]]).view(2, 3, 1, 1)
    torch.testing.assert_close(noisiness.min_max(x), expected)
