"""Mimicry's residual generator (Lee & Town 2020) under its own names, for weights that were trained there.

It differs from `resnet` in how it doubles (bilinear, before the convolutions), in its initial weights (Xavier's) and
in conditional BatchNorm, whose gain and bias stand in one table. Its statistics are the running ones of training.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.options.networks import MimicryGenerator


def _xavier(layer: nn.Module, gain: float = 1.0) -> nn.Module:
    nn.init.xavier_uniform_(layer.weight, gain)
    return layer


class ConditionalBatchNorm(nn.Module):
    """BatchNorm with a row (gain, bias) of `embed` [K, 2C] for each class."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, affine=False)
        self.embed = nn.Embedding(num_classes, 2 * channels)
        nn.init.normal_(self.embed.weight[:, :channels], 1, 0.02)
        nn.init.zeros_(self.embed.weight[:, channels:])

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W], classes y [N]."""
        gain, bias = self.embed(y)[:, :, None, None].chunk(2, dim=1)
        return gain * self.bn(x) + bias


class Block(nn.Module):
    """Residual block that doubles height and width; classes None: plain BatchNorm."""

    def __init__(self, in_channels: int, out_channels: int, num_classes: int | None, bilinear: bool) -> None:
        super().__init__()
        self.conditional = num_classes is not None
        self.resample = {"mode": "bilinear", "align_corners": False} if bilinear else {"mode": "nearest"}
        self.c1 = _xavier(nn.Conv2d(in_channels, out_channels, 3, padding=1), math.sqrt(2))
        self.c2 = _xavier(nn.Conv2d(out_channels, out_channels, 3, padding=1), math.sqrt(2))
        for name, channels in (("b1", in_channels), ("b2", out_channels)):
            norm = ConditionalBatchNorm(channels, num_classes) if self.conditional else nn.BatchNorm2d(channels)
            setattr(self, name, norm)
        self.c_sc = _xavier(nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] and classes y [N] to [N, out_channels, 2 H, 2 W]."""
        condition = (y,) if self.conditional else ()
        h = self.c1(self._doubled(F.relu(self.b1(x, *condition))))
        h = self.c2(F.relu(self.b2(h, *condition)))
        # a 1x1 convolution commutes with interpolation, whose weights add up to 1, and costs a quarter before it
        return h + self._doubled(self.c_sc(x))

    def _doubled(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=2, **self.resample)


class Generator(nn.Module):
    """z (and y) to an image: l1, blocks block2, block3, …, then BatchNorm b5 and convolution c5 (of three blocks).

    `shape` is the image's (C, H, W), `z_dim` the length of the latent, `num_classes` None if y is ignored.
    """

    def __init__(self, options: MimicryGenerator) -> None:
        super().__init__()
        widths, classes = options.widths, options.num_classes
        self.shape = (options.channels, options.size, options.size)
        self.z_dim, self.num_classes = options.z_dim, classes
        self.bottom = options.size >> len(widths) - 1
        self.l1 = _xavier(nn.Linear(options.z_dim, widths[0] * self.bottom**2))
        self.block_names = [f"block{i}" for i in range(2, len(widths) + 1)]
        for name, pair in zip(self.block_names, itertools.pairwise(widths), strict=True):
            setattr(self, name, Block(*pair, classes, options.bilinear))
        last = len(widths) + 1
        self.last_names = f"b{last}", f"c{last}"
        setattr(self, f"b{last}", nn.BatchNorm2d(widths[-1]))
        setattr(self, f"c{last}", _xavier(nn.Conv2d(widths[-1], options.channels, 3, padding=1)))

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """z [N, z_dim] standard normal and labels y [N] to images [N, C, H, W] in [-1, 1]."""
        h = self.l1(z).unflatten(1, (-1, self.bottom, self.bottom))
        for name in self.block_names:
            h = getattr(self, name)(h, y)
        norm, conv = (getattr(self, name) for name in self.last_names)
        return torch.tanh(conv(F.relu(norm(h))))


def generator(options: MimicryGenerator) -> Generator:
    """Mimicry's generator of size x size images, with the tensor names of its files.

    Theirs are, for 32 px, widths [256] * 4; 48 px: [512, 256, 128, 64]; 64 px: [1024, 512, 256, 128, 64]; 128 px:
    [1024, 1024, 512, 256, 128, 64]. DCGAN and others of that library are not read here.
    """
    return Generator(options)
