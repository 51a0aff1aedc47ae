"""StyleGAN2-ADA (Karras et al. 2020a, 2020b): networks, lazy regularisation, and the method."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.generators.gan import ada, losses
from pagboost.generators.gan import stylegan2_layers as layers
from pagboost.generators.gan.training import Method, Turn
from pagboost.options.gans import StyleGAN2ADA
from pagboost.options.networks import STYLEGAN2_BOTTOM as BOTTOM
from pagboost.options.networks import StyleGAN2Discriminator, StyleGAN2Generator


class Generator(nn.Module):
    """z and y to a style w, which modulates every convolution; images of all resolutions add up (skip generator).

    `shape` is the image's (C, H, W), `z_dim` the length of the latent, `num_classes` None if labels are ignored.
    Style mixing is left out, as in the authors' CIFAR-10 configuration.
    """

    def __init__(self, options: StyleGAN2Generator) -> None:
        super().__init__()
        size, channels, patch = options.size, options.channels, options.patch
        classes, w_dim, widths = options.num_classes, options.w_dim, options.widths
        self.shape = (channels, size, size)
        self.z_dim = options.z_dim
        self.num_classes = classes
        self.embedding = layers.ClassEmbedding(classes, w_dim) if classes else None
        ins = options.z_dim + (w_dim if classes else 0)
        self.mlp = _mlp(ins, w_dim, options.mapping_layers, options.mapping_lr)
        self.constant = nn.Parameter(torch.randn(1, widths[0], BOTTOM, BOTTOM))
        self.first = layers.StyledConv(widths[0], widths[0], w_dim, BOTTOM, double=False)
        self.ups, self.convs = nn.ModuleList(), nn.ModuleList()
        self.images = nn.ModuleList([layers.ToImage(widths[0], channels, patch, w_dim)])
        for i, (width_in, width) in enumerate(itertools.pairwise(widths)):
            here = BOTTOM << (i + 1)
            self.ups.append(layers.StyledConv(width_in, width, w_dim, here, double=True))
            self.convs.append(layers.StyledConv(width, width, w_dim, here, double=False))
            self.images.append(layers.ToImage(width, channels, patch, w_dim))
        self.fir = layers.Fir()

    def mapping(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """z [N, z_dim] standard normal and labels y [N] to styles w [N, w_dim]."""
        z = layers.normalize(z)
        return self.mlp(z if self.embedding is None else torch.cat([z, self.embedding(y)], dim=1))

    def synthesis(self, w: torch.Tensor) -> torch.Tensor:
        """Styles w [N, w_dim] to images [N, C, H, W], trained towards [-1, 1] and not clipped."""
        h = self.first(self.constant.expand(len(w), -1, -1, -1), w)
        x = self.images[0](h, w)
        for up, conv, image in zip(self.ups, self.convs, self.images[1:], strict=True):
            h = conv(up(h, w), w)
            x = self.fir.double(x) + image(h, w)
        return x

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """z [N, z_dim] standard normal and labels y [N] to images [N, C, H, W], about [-1, 1]; sample_gan clips."""
        return self.synthesis(self.mapping(z, y))


class DownBlock(nn.Module):
    """Two 3x3 convolutions, the second halving, and a linear shortcut if residual (Karras et al. 2020b, Fig. 7c)."""

    def __init__(self, in_channels: int, out_channels: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = layers.EqualConv(in_channels, in_channels, 3)
        self.conv2 = layers.EqualConv(in_channels, out_channels, 3, halve=True)
        self.shortcut = layers.HalvingShortcut(in_channels, out_channels) if residual else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, in, H, W] to [N, out, H / 2, W / 2]."""
        h = self.conv2(self.conv1(x))
        return h if self.shortcut is None else (h + self.shortcut(x)) / math.sqrt(2)


class Discriminator(nn.Module):
    """<e(y), h(x)> / sqrt(D) with e an MLP of the class embedding (Miyato & Koyama 2018), or a logit without labels."""

    def __init__(self, options: StyleGAN2Discriminator) -> None:
        super().__init__()
        self.patch = options.patch
        self.group_size = options.group_size
        widths, top, classes = options.widths, options.widths[-1], options.num_classes
        self.blocks = nn.Sequential(layers.EqualConv(options.channels * options.patch**2, widths[0], 1))
        self.blocks.extend(DownBlock(ins, outs, options.residual) for ins, outs in itertools.pairwise(widths))
        self.conv = layers.EqualConv(top + 1, top, 3)
        self.linear = layers.EqualLinear(top * BOTTOM**2, top, activate=True)
        self.out = layers.EqualLinear(top, top if classes else 1)
        self.condition = None
        if classes:
            mlp = _mlp(top, top, options.mapping_layers, options.mapping_lr)
            self.condition = nn.Sequential(layers.ClassEmbedding(classes, top), mlp)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Logits [N] of images x [N, C, H, W] in [-1, 1] for labels y [N]; high means real.

        They depend on the batch through minibatch standard deviation; N must be a multiple of the group size.
        """
        h = self.blocks(F.pixel_unshuffle(x, self.patch))
        # in fp32, as the authors' mixed precision has it: the spread within a group is a small difference
        with torch.autocast(x.device.type, enabled=False):
            h = self.conv(layers.minibatch_std(h.float(), self.group_size))
            h = self.out(self.linear(h.flatten(1)))
            return h.squeeze(1) if self.condition is None else (h * self.condition(y)).sum(1) / math.sqrt(h.shape[1])


def _mlp(in_features: int, width: int, depth: int, lr: float) -> nn.Sequential:
    ins = [in_features, *[width] * depth]
    return nn.Sequential(*(layers.EqualLinear(i, width, lr=lr, activate=True) for i in ins[:depth]))


def generator(options: StyleGAN2Generator) -> Generator:
    """A StyleGAN2 generator of size x size images: widths[0] at 4 x 4, doubled once per further width.

    The authors' CIFAR-10 model is size 32, z_dim 512, w_dim 512, widths [512] * 4 and mapping_layers 2, whose learning
    rate mapping_lr multiplies. For small budgets, `patch` k > 1 makes k x k pixels per position (pixel shuffle).
    """
    return Generator(options)


def discriminator(options: StyleGAN2Discriminator) -> Discriminator:
    """A StyleGAN2 discriminator of size x size images: widths[0] at full size, halved once per further width to 4 x 4.

    The authors' CIFAR-10 model is size 32, widths [512] * 4, group_size 32 (images that minibatch standard deviation
    compares), residual false, mapping_layers 8 (of the class embedding). `patch` is the generator's.
    """
    return Discriminator(options)


def r1_penalty(turn: Turn, gamma: float, every: int, augment: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """gamma / 2 E ||grad_x D(x)||^2 on real images (Mescheder et al. 2018), lazily: `every` times it, every so often.

    The gradient is that through the augmentation, as D's input is augmented (Karras et al. 2020b, Sec. 3.1).
    """
    if turn.i % every:
        return turn.x.new_zeros(())
    x = turn.x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(turn.discriminator(augment(x), turn.y).sum(), x, create_graph=True)
    return every * gamma / 2 * gradient.square().sum((1, 2, 3)).mean()


class PathLength(nn.Module):
    """E (||J_w^T u|| - a)^2 with images u of noise and a the running mean of the norm (Karras et al. 2020b, Eq. 4).

    Lazy: `every` times the weight, every so often, on half of the batch.
    """

    DECAY = 0.99  # of the running mean

    def __init__(self, weight: float, every: int) -> None:
        super().__init__()
        self.weight = weight
        self.every = every
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, turn: Turn) -> torch.Tensor:
        """The penalty of the generator's update, a scalar."""
        if turn.i % self.every:
            return turn.z.new_zeros(())
        half = (len(turn.z) + 1) // 2
        w = turn.generator.mapping(turn.z[:half], turn.y_fake[:half])
        x = turn.generator.synthesis(w)
        noise = torch.randn_like(x) / math.sqrt(x.shape[2] * x.shape[3])
        (gradient,) = torch.autograd.grad((x * noise).sum(), w, create_graph=True)
        lengths = gradient.square().sum(1).sqrt()
        with torch.no_grad():
            self.mean.lerp_(lengths.mean(), 1 - self.DECAY)
        return self.every * self.weight * (lengths - self.mean.clone()).square().mean()


def stylegan2_ada(options: StyleGAN2ADA) -> Method:
    """StyleGAN2 with adaptive discriminator augmentation: non-saturating logistic loss, lazy R1 and path length.

    Probability p of each of the `augmentations` (see ada) goes from 0 to 1 in `ada_speed` images, and is steered to a
    mean sign of D on real images of `ada_target`. The authors' CIFAR-10 configuration is r1_gamma 0.01, r1_every 16,
    path_length_weight 0 (none), ada_target 0.6, ada_speed 500,000, trained with batches of 64, betas [0, 0.99] and
    learning rates 0.0025, of which their code takes 4 / 5 for the generator (the rescaling for path lengths every
    fourth time, though they have no weight). Path lengths are in w itself, one vector for all layers.
    """
    augment = ada.AdaptiveAugmentation(options.augmentations, options.ada_target, options.ada_speed)
    r1 = functools.partial(r1_penalty, gamma=options.r1_gamma, every=options.r1_every, augment=augment)
    path_length = PathLength(options.path_length_weight, options.path_length_every)
    return Method(
        discriminator_loss=losses.logistic_discriminator,
        generator_loss=losses.logistic_generator,
        discriminator_terms=[r1],
        generator_terms=[path_length] if options.path_length_weight else [],
        augment=augment,
        after_discriminator=augment.update,
        modules={"ada": augment, "path_length": path_length},
    )
