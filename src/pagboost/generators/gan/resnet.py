"""The residual generator and discriminator of most CIFAR-10 GANs (Miyato et al. 2018, Table 4; Lee & Town 2020)."""

from __future__ import annotations

import functools
import itertools

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.errors import InputError
from pagboost.generators.gan import blocks
from pagboost.options.networks import ResNetDiscriminator, ResNetGenerator

POOLS = {"sum": torch.sum, "mean": torch.mean}  # over a discriminator's positions


class Generator(nn.Module):
    """z (and y) to an image: a dense layer, doubling residual blocks, BatchNorm, ReLU, a convolution, tanh.

    `shape` is the image's (C, H, W), `z_dim` the length of the latent, `num_classes` None if y is ignored.
    """

    def __init__(self, options: ResNetGenerator) -> None:
        super().__init__()
        size, channels, classes, widths = options.size, options.channels, options.num_classes, options.widths
        self.shape = (channels, size, size)
        self.z_dim = options.z_dim
        self.num_classes = classes
        self.patch = options.patch
        self.condition = options.condition
        self.bottom = size // options.patch >> (len(widths) - 1)
        norm = blocks.UnconditionalBatchNorm2d
        if options.condition == "batchnorm":
            norm = functools.partial(blocks.ConditionalBatchNorm2d, condition_dim=classes, layer=blocks.zero)
        inputs = options.z_dim + (classes if options.condition == "concat" else 0)
        self.stem = blocks.orthogonal(nn.Linear(inputs, widths[0] * self.bottom**2))
        self.blocks = nn.ModuleList(
            blocks.UpBlock(width_in, width_out, norm, blocks.orthogonal)
            for width_in, width_out in itertools.pairwise(widths)
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.out = blocks.conv(widths[-1], channels * options.patch**2, 3, blocks.orthogonal)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """z [N, z_dim] standard normal and labels y [N] to images [N, C, H, W] in [-1, 1]."""
        classes = None if self.num_classes is None else F.one_hot(y, self.num_classes).to(z.dtype)
        if self.condition == "concat":
            z = torch.cat([z, classes], dim=1)
        h = self.stem(z).unflatten(1, (self.bottom, self.bottom, -1)).permute(0, 3, 1, 2)
        for block in self.blocks:
            h = block(h, classes)
        return torch.tanh(F.pixel_shuffle(self.out(F.relu(self.norm(h))), self.patch))


class Discriminator(nn.Module):
    """Residual blocks, ReLU, a sum or mean over positions, a linear layer; conditioned as `condition` says, if at all.

    `spectral` norm or none on every layer; `rotation_head` and `infomax_dim` add what SSGAN and InfoMax-GAN read.
    """

    def __init__(self, options: ResNetDiscriminator) -> None:
        super().__init__()
        classes, widths, halvings, condition = options.num_classes, options.widths, options.halvings, options.condition
        self.num_classes = classes
        self.pool = POOLS[options.pool]
        self.patch = options.patch
        self.condition = condition
        layer = blocks.spectral if options.spectral else blocks.orthogonal
        ins = [options.channels * options.patch**2 + (classes if condition == "concat" else 0), *widths]
        self.blocks = nn.Sequential(
            *(blocks.DownBlock(ins[i], width, i < halvings, i == 0, layer) for i, width in enumerate(widths))
        )
        self.linear = layer(nn.Linear(widths[-1], 1))
        self.embedding = layer(blocks.embedding(classes, widths[-1])) if condition == "projection" else None
        self.rotation_head = layer(nn.Linear(widths[-1], 4)) if options.rotation_head else None
        self.local_critic = Critic(widths[-2], options.infomax_dim, layer) if options.infomax_dim else None
        self.global_critic = Critic(widths[-1], options.infomax_dim, layer) if options.infomax_dim else None

    def local(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """The features [N, K, H', W'] before the last block, of images x [N, C, H, W] in [-1, 1]."""
        h = F.pixel_unshuffle(x, self.patch)
        if self.condition == "concat":
            maps = F.one_hot(y, self.num_classes).to(h.dtype)[:, :, None, None]
            h = torch.cat([h, maps.expand(-1, -1, *h.shape[2:])], dim=1)
        return self.blocks[:-1](h)

    def whole(self, local: torch.Tensor) -> torch.Tensor:
        """Global features h(x) [N, D] from the local ones."""
        return self.pool(F.relu(self.blocks[-1](local)), (2, 3))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Logits [N] of images x [N, C, H, W] in [-1, 1] for labels y [N]; high means real."""
        h = self.whole(self.local(x, y))
        logits = self.linear(h).squeeze(1)
        return logits if self.embedding is None else logits + (self.embedding(y) * h).sum(1)

    def rotations(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, 4] of how often images x [N, C, H, W] were turned by 90 degrees (Chen et al. 2019)."""
        if self.rotation_head is None:
            raise InputError("training.discriminator.rotation_head: false, expected true for this method")
        return self.rotation_head(self.whole(self.local(x)))

    def local_and_global(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(local [N, P, K], global [N, K]) features of images x [N, C, H, W], projected (Lee et al. 2021, Sec. 3)."""
        if self.local_critic is None:
            raise InputError("training.discriminator.infomax_dim: null, expected the features' length for this method")
        local = self.local(x)
        return self.local_critic(local.flatten(2).transpose(1, 2)), self.global_critic(self.whole(local))


class Critic(nn.Module):
    """Features [..., D] to the space [..., K] that InfoMax-GAN compares them in: one hidden layer and a shortcut."""

    def __init__(self, width: int, dim: int, layer: blocks.Layer) -> None:
        super().__init__()
        self.hidden = layer(nn.Linear(width, width))
        self.out = layer(nn.Linear(width, dim))
        self.shortcut = layer(nn.Linear(width, dim))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """[..., D] to [..., K]."""
        return self.out(F.relu(self.hidden(h))) + self.shortcut(h)


def generator(options: ResNetGenerator) -> Generator:
    """A residual generator of size x size images: widths[0] at the stem, then one doubling block per further width.

    `condition` is how the label enters: none, concat (one-hot beside z; Mirza & Osindero 2014) or batchnorm (a gain
    and a bias per class; Miyato & Koyama 2018). CIFAR-10's is size 32, z_dim 128, widths [256] * 4.
    For small budgets, `patch` k > 1 makes k x k pixels per position of the last block (pixel shuffle).
    """
    return Generator(options)


def discriminator(options: ResNetDiscriminator) -> Discriminator:
    """A residual discriminator of size x size images: one block per width, of which the first `halvings` halve.

    `condition` is how the label enters: none, concat (one-hot constant maps beside the image) or projection (Miyato &
    Koyama 2018, Eq. 3). CIFAR-10's is size 32, widths [128] * 4, halvings 2, infomax_dim 1024 for InfoMax-GAN, and
    pool (over positions) sum, but mean for WGAN-GP.
    `patch` k > 1 reads k x k pixels as the channels of one position (pixel unshuffle).
    """
    return Discriminator(options)
