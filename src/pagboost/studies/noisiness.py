"""How noisy gradients are, and how they are shown (Kawar et al. 2023, Fig. 3)."""

from __future__ import annotations

import torch

from pagboost import images
from pagboost.errors import InputError


def high_frequency_share(x: torch.Tensor) -> torch.Tensor:
    """How noisy images or gradients [N, C, H, W] are: the share [N] of their energy in detail finer than 4 pixels.

    Energy is squared Fourier amplitude over all channels, each channel's mean left out; a frequency counts as high
    above 1/4 per pixel in either direction: what halving the resolution would lose. White noise has about 3/4 (the
    share of such frequencies), a smooth image near 0, a checkerboard 1; scaling x changes nothing.
    Raises InputError for a constant x: it has no energy.
    """
    if not bool((x.amax((2, 3)) > x.amin((2, 3))).any(1).all()):
        raise InputError("noisiness: an image or gradient is constant, expected one that varies (saturated network?)")
    energy = torch.fft.fft2(x.double()).abs().square().sum(1)
    energy[:, 0, 0] = 0
    rows, columns = (torch.fft.fftfreq(side, device=x.device).abs() > 1 / 4 for side in x.shape[2:])
    return (energy * (rows[:, None] | columns)).sum((1, 2)) / energy.sum((1, 2))


def min_max(x: torch.Tensor) -> torch.Tensor:
    """Each image [N, C, H, W] brought to [0, 1] by its own extremes, all channels alike (Kawar Fig. 3)."""
    x = x.double()
    low, high = (images.per_image(bound, x) for bound in (x.flatten(1).amin(1), x.flatten(1).amax(1)))
    return ((x - low) / (high - low)).float()
