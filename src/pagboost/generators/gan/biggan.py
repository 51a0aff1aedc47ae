"""BigGAN (Brock, Donahue & Simonyan 2019): class-conditional generator, projection discriminator, sampler."""

from __future__ import annotations

import functools
import itertools

import torch
import torch.nn.functional as F
from torch import nn

from pagboost import images, rng
from pagboost.errors import InputError
from pagboost.generators.gan import blocks
from pagboost.options.networks import BigGANDiscriminator, BigGANGenerator
from pagboost.options.samplers import Latent


class Generator(nn.Module):
    """z and y to an image: all blocks share the class embedding, and each block sees its own chunk of z.

    `shape` is the image's (C, H, W), `z_dim` the length of the latent, `num_classes` the number of labels.
    """

    def __init__(self, options: BigGANGenerator) -> None:
        super().__init__()
        size, channels, patch, widths = options.size, options.channels, options.patch, options.widths
        self.shape = (channels, size, size)
        self.z_dim = options.z_dim
        self.num_classes = options.num_classes
        self.patch = patch
        self.bottom = options.seen() // patch >> (len(widths) - 1)
        chunk = options.z_dim // len(widths)
        self.embedding = blocks.embedding(options.num_classes, options.embedding_dim)
        self.stem = blocks.spectral(nn.Linear(chunk, widths[0] * self.bottom**2))
        norm = functools.partial(
            blocks.ConditionalBatchNorm2d, condition_dim=options.embedding_dim + chunk, layer=blocks.spectral
        )
        self.blocks, self.attention = nn.ModuleList(), nn.ModuleList()
        for i, (width_in, width_out) in enumerate(itertools.pairwise(widths)):
            self.blocks.append(blocks.UpBlock(width_in, width_out, norm, blocks.spectral))
            here = options.attention == self.bottom << (i + 1)
            self.attention.append(blocks.SelfAttention(width_out) if here else nn.Identity())
        self.norm = nn.BatchNorm2d(widths[-1])
        self.out = blocks.conv(widths[-1], channels * patch**2, 3, blocks.spectral)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """z [N, z_dim] standard normal and labels y [N] to images [N, C, H, W] in [-1, 1].

        From a lower resolution, bicubic interpolation overshoots that range; sample_gan clips.
        """
        first, *chunks = z.chunk(len(self.blocks) + 1, dim=1)
        shared = self.embedding(y)
        # read as [N, H, W, C], so that the convolutions start from a channels-last tensor without a copy
        h = self.stem(first).unflatten(1, (self.bottom, self.bottom, -1)).permute(0, 3, 1, 2)
        for block, attention, chunk in zip(self.blocks, self.attention, chunks, strict=True):
            h = attention(block(h, torch.cat([shared, chunk], dim=1)))
        x = torch.tanh(F.pixel_shuffle(self.out(F.relu(self.norm(h))), self.patch))
        return images.resize(x, self.shape[1])


class Discriminator(nn.Module):
    """Projection discriminator: w.h(x) + b + <e(y), h(x)>, h summed over positions (Miyato & Koyama 2018, Eq. 3)."""

    def __init__(self, options: BigGANDiscriminator) -> None:
        super().__init__()
        self.resolution = options.seen()
        self.patch = options.patch
        widths, halvings = options.widths, options.halvings
        ins, size = [options.channels * options.patch**2, *widths], self.resolution // options.patch
        self.blocks = nn.Sequential()
        for i, width in enumerate(widths):
            self.blocks.append(blocks.DownBlock(ins[i], width, i < halvings, first=i == 0, layer=blocks.spectral))
            size = size // 2 if i < halvings else size
            if size == options.attention and i < halvings:
                self.blocks.append(blocks.SelfAttention(width))
        self.linear = blocks.spectral(nn.Linear(widths[-1], 1))
        self.embedding = blocks.spectral(blocks.embedding(options.num_classes, widths[-1]))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """h(x) [N, D] of images x [N, C, H, W] in [-1, 1]."""
        h = self.blocks(F.pixel_unshuffle(images.resize(x, self.resolution), self.patch))
        return F.relu(h).sum((2, 3))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Logits [N] of images x [N, C, H, W] in [-1, 1] for labels y [N]; high means real."""
        h = self.features(x)
        return self.linear(h).squeeze(1) + (self.embedding(y) * h).sum(1)


def generator(options: BigGANGenerator) -> Generator:
    """A BigGAN generator of size x size images: widths[0] at the stem, then one doubling block per further width.

    CIFAR-10's is size 32, z_dim 128, embedding_dim 128, widths [256] * 4, without attention: the paper's (App. C). The
    authors' PyTorch script for CIFAR-10 shares no embedding among the BatchNorms and keeps z whole.
    For small budgets, two options that BigGAN does not have: below `size`, `resolution` is what the blocks lead to,
    and the image is interpolated from there (data without finer detail lose nothing); `patch` k > 1 makes k x k
    pixels per position of the last block (pixel shuffle).
    `attention` is the resolution (in positions, after `patch`) after whose block self-attention is inserted.
    """
    return Generator(options)


def discriminator(options: BigGANDiscriminator) -> Discriminator:
    """A projection discriminator of size x size images: one block per width, of which the first `halvings` halve.

    The authors' CIFAR-10 model is size 32, widths [256] * 4, halvings 2.
    As for the generator, images are resized (antialiased) to `resolution` if one is given, and `patch` k > 1 reads
    k x k pixels as the channels of one position (pixel unshuffle).
    `attention` is the resolution (in positions, after `patch`) after whose block self-attention is inserted.
    """
    return Discriminator(options)


@torch.no_grad()
def sample_gan(
    network: nn.Module, y: torch.Tensor, streams: rng.SampleStreams, shape: tuple[int, int, int], options: Latent
) -> torch.Tensor:
    """G(z, y) for labels y [N]: images [N, C, H, W] in [0, 1]; one z per sample from its own stream.

    With `truncation` t, z is drawn from the normal truncated to [-t, t] (BigGAN Sec. 3.1) by a monotone map of the
    untruncated draw, so that a sample keeps its identity as t varies.
    Raises InputError if the network makes images of another shape.
    """
    if tuple(network.shape) != tuple(shape):
        raise InputError(f"generator makes images [C, H, W] of {list(network.shape)}, expected {list(shape)}")
    z = streams.randn((network.z_dim,))
    if options.truncation is not None:
        z = truncate(z, options.truncation)
    return network(z, y).float().add(1).div(2).clamp(0, 1)


def truncate(z: torch.Tensor, threshold: float) -> torch.Tensor:
    """Map standard normal z to the normal truncated to [-threshold, threshold], preserving order (inverse CDF)."""
    mass = torch.special.erf(torch.tensor(threshold / 2**0.5, dtype=torch.float64, device=z.device))
    # in terms of erf rather than the CDF, whose values near 1 lose the upper tail
    return (2**0.5 * torch.special.erfinv(mass * torch.special.erf(z.double() / 2**0.5))).to(z.dtype)
