"""Variational autoencoder (Kingma & Welling 2014): reparametrised ELBO; the decoder draws as a GAN's generator does."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pagboost import networks, training
from pagboost.errors import InputError
from pagboost.generators.gan.blocks import check_halvings
from pagboost.generators.gan.training import check_diversity, check_partner


class Encoder(nn.Module):
    """Images to the mean and log variance of q(z | x): halving convolutions and a linear layer."""

    def __init__(self, channels: int, size: int, z_dim: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.body = nn.Sequential()
        for width_in, width_out in itertools.pairwise([channels, *widths]):
            self.body.extend([nn.Conv2d(width_in, width_out, 4, stride=2, padding=1), nn.ReLU()])
        self.out = nn.Linear(widths[-1] * (size >> len(widths)) ** 2, 2 * z_dim)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean [N, z_dim] and log variance [N, z_dim] of images x [N, C, H, W] in [-1, 1]."""
        mean, log_variance = self.out(self.body(x).flatten(1)).chunk(2, dim=1)
        return mean, log_variance


class Decoder(nn.Module):
    """z to the mean of p(x | z), the encoder's mirror image; unconditional, so that y is ignored.

    `shape` is the image's (C, H, W), `z_dim` the length of the latent.
    """

    num_classes = None

    def __init__(self, channels: int, size: int, z_dim: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        self.z_dim = z_dim
        self.bottom = size >> len(widths)
        self.stem = nn.Linear(z_dim, widths[0] * self.bottom**2)
        self.body = nn.Sequential()
        for width_in, width_out in itertools.pairwise([*widths, channels]):
            self.body.extend([nn.ReLU(), nn.ConvTranspose2d(width_in, width_out, 4, stride=2, padding=1)])

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Latents z [N, z_dim] to images [N, C, H, W] in [-1, 1]."""
        h = self.stem(z).unflatten(1, (-1, self.bottom, self.bottom))
        return torch.tanh(self.body(h))


def encoder(*, size: int, channels: int, z_dim: int, widths: Sequence[int]) -> Encoder:
    """An encoder of size x size images, one halving convolution per width.

    Raises InputError if `size` cannot be halved that often.
    """
    check_halvings("size", size, 1, "widths", len(widths))
    return Encoder(channels, size, z_dim, widths)


def decoder(*, size: int, channels: int, z_dim: int, widths: Sequence[int]) -> Decoder:
    """A decoder to size x size images, one doubling convolution per width.

    Raises InputError if `size` cannot be halved that often.
    """
    check_halvings("size", size, 1, "widths", len(widths))
    return Decoder(channels, size, z_dim, widths)


def train_vae(
    data: training.Data,
    network: Mapping[str, Any],
    run: training.Run,
    inputs: Mapping[str, Path | list[Path]],
    *,
    encoder: Mapping[str, Any],
    sigma: float,
    iterations: int,
    batch_size: int,
    lr: float,
    lr_end: float,
    warmup: int,
) -> training.Trained:
    """Train a decoder (`network`) by the ELBO with an `encoder`, both network specs; the encoder is not kept.

    p(x | z) is normal around the decoder's image with standard deviation `sigma` per pixel, on the scale of [-1, 1];
    a sample is its mean. Adam at a learning rate that falls by a cosine from lr to lr_end after `warmup` iterations.
    Raises InputError for networks that do not fit, a loss that is not finite, or a decoder that makes one image.
    """
    draws = training.seeded(run, "vae")
    decoder = networks.build(network).to(run.device).train()
    if tuple(decoder.shape) != tuple(data.x.shape[1:]):
        raise InputError(
            f"vae: the decoder makes images [C, H, W] of {list(decoder.shape)}, expected those of the data, "
            f"{list(data.x.shape[1:])}"
        )
    check_partner("training.encoder", encoder, network)
    posterior = networks.build(encoder, "training.encoder").to(run.device).train()
    if posterior.z_dim != decoder.z_dim:
        raise InputError(f"training.encoder.z_dim: {posterior.z_dim}, expected {decoder.z_dim} (the decoder's)")
    optimizer = torch.optim.Adam([*decoder.parameters(), *posterior.parameters()], lr=lr)
    reals = training.batches(data, batch_size, draws, run.device)

    def step(i: int) -> torch.Tensor:
        training.set_lr(optimizer, training.learning_rate(i, iterations, lr, lr_end, warmup))
        x = 2 * next(reals)[0] - 1
        loss = negative_elbo(posterior, decoder, x, torch.randn(len(x), decoder.z_dim, device=x.device), sigma)
        training.descend(loss, optimizer)
        return loss.detach()

    state = {"network": decoder, "encoder": posterior, "optimizer": optimizer}
    training.loop(step, iterations, run, "vae", state, draws)
    decoder.eval()
    diversity = check_diversity(decoder, data, draws, run.device, "vae")
    return training.Trained(decoder, network, {"iterations": iterations, "diversity": diversity})


def negative_elbo(
    encoder: nn.Module, decoder: nn.Module, x: torch.Tensor, noise: torch.Tensor, sigma: float
) -> torch.Tensor:
    """KL(q(z|x) || N(0, I)) + ||x - decoder(z)||^2 / (2 sigma^2), z = mean + std noise: mean over x, in nats.

    Kingma & Welling 2014, Eq. 10, with a normal p(x | z) less its constant; x [N, C, H, W] in [-1, 1], noise
    [N, z_dim] standard normal.
    """
    mean, log_variance = (moment.float() for moment in encoder(x))
    z = mean + (log_variance / 2).exp() * noise
    error = (x - decoder(z).float()).square().sum((1, 2, 3)) / (2 * sigma**2)
    return (kl_from_standard(mean, log_variance) + error).mean()


def kl_from_standard(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL [N] of diagonal normals, [N, D] each, from N(0, I), in nats (Kingma & Welling 2014, Appendix B)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
