"""Differentiable augmentation for GANs (Zhao et al. 2020): each image drawn its own, gradients pass through."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

SHIFT = 1 / 8  # of the image's size, the farthest translation
HOLE = 1 / 2  # of the image's size, the side of the cut-out square


def augment(x: torch.Tensor, policy: Sequence[str]) -> torch.Tensor:
    """The augmentations of `policy` in turn, on images x [N, C, H, W] in [-1, 1] (Sec. 3.2 and Appendix A)."""
    for name in policy:
        x = POLICIES[name](x)
    return x


def color(x: torch.Tensor) -> torch.Tensor:
    """Random brightness (by up to 1/2), saturation (times up to 2) and contrast (times 1/2 to 3/2).

    Saturation is the distance from the mean of the channels: none to change with one channel.
    """
    brightness, saturation, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device)
    x = x + brightness - 0.5
    x = torch.lerp(x.mean(1, keepdim=True), x, 2 * saturation)
    return torch.lerp(x.mean((1, 2, 3), keepdim=True), x, contrast + 0.5)


def translation(x: torch.Tensor) -> torch.Tensor:
    """Shift by whole pixels, up to SHIFT of the size either way in both directions; zeros (grey) come in."""
    rows, columns = (_shifted(x.shape[axis], len(x), x.device) for axis in (2, 3))
    image = torch.arange(len(x), device=x.device)[:, None, None]
    padded = F.pad(x, (1, 1, 1, 1))
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _shifted(size: int, count: int, device: torch.device) -> torch.Tensor:
    """Positions [count, size] to read in an axis padded by one on both sides, each row shifted on its own."""
    farthest = round(size * SHIFT)
    shift = torch.randint(-farthest, farthest + 1, (count, 1), device=device)
    return (torch.arange(1, size + 1, device=device) + shift).clamp(0, size + 1)


def cutout(x: torch.Tensor) -> torch.Tensor:
    """Set a square with sides of HOLE of the size to zero (grey), its centre anywhere in the image."""
    down, across = (_hole(x.shape[axis], len(x), x.device) for axis in (2, 3))
    return x.masked_fill((down[:, :, None] & across[:, None, :])[:, None], 0.0)


def _hole(size: int, count: int, device: torch.device) -> torch.Tensor:
    """Which positions [count, size] of an axis a hole covers."""
    side = round(size * HOLE)
    first = torch.randint(size + 1, (count, 1), device=device) - side // 2
    position = torch.arange(size, device=device)
    return (position >= first) & (position < first + side)


POLICIES = {"color": color, "translation": translation, "cutout": cutout}
