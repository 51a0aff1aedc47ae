"""Variational autoencoder (Kingma & Welling 2014): reparametrised ELBO; the decoder draws as a GAN's generator does."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pagboost import networks, training
from pagboost.errors import InputError
from pagboost.generators.gan.training import check_diversity, check_partner, diversity
from pagboost.options.networks import VAEDecoder, VAEEncoder
from pagboost.options.trainings import VAE

HARDLY_TRAINED = 100  # iterations; a decoder of fewer makes one grey image yet, which is no collapse


class Encoder(nn.Module):
    """Images to the mean and log variance of q(z | x): halving convolutions and a linear layer."""

    def __init__(self, options: VAEEncoder) -> None:
        super().__init__()
        self.z_dim = options.z_dim
        self.body = nn.Sequential()
        for width_in, width_out in itertools.pairwise([options.channels, *options.widths]):
            self.body.extend([nn.Conv2d(width_in, width_out, 4, stride=2, padding=1), nn.ReLU()])
        positions = (options.size >> len(options.widths)) ** 2
        self.out = nn.Linear(options.widths[-1] * positions, 2 * options.z_dim)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean [N, z_dim] and log variance [N, z_dim] of images x [N, C, H, W] in [-1, 1]."""
        mean, log_variance = self.out(self.body(x).flatten(1)).chunk(2, dim=1)
        return mean, log_variance


class Decoder(nn.Module):
    """z to the mean of p(x | z), the encoder's mirror image; unconditional, so that y is ignored.

    `shape` is the image's (C, H, W), `z_dim` the length of the latent.
    """

    num_classes = None

    def __init__(self, options: VAEDecoder) -> None:
        super().__init__()
        self.shape = (options.channels, options.size, options.size)
        self.z_dim = options.z_dim
        self.bottom = options.size >> len(options.widths)
        self.stem = nn.Linear(options.z_dim, options.widths[0] * self.bottom**2)
        self.body = nn.Sequential()
        for width_in, width_out in itertools.pairwise([*options.widths, options.channels]):
            self.body.extend([nn.ReLU(), nn.ConvTranspose2d(width_in, width_out, 4, stride=2, padding=1)])

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Latents z [N, z_dim] to images [N, C, H, W] in [-1, 1]."""
        h = self.stem(z).unflatten(1, (-1, self.bottom, self.bottom))
        return torch.tanh(self.body(h))


def encoder(options: VAEEncoder) -> Encoder:
    """An encoder of size x size images, one halving convolution per width."""
    return Encoder(options)


def decoder(options: VAEDecoder) -> Decoder:
    """A decoder to size x size images, one doubling convolution per width."""
    return Decoder(options)


def train_vae(
    data: training.Data,
    network: Mapping[str, Any],
    run: training.Run,
    inputs: Mapping[str, Path | list[Path]],
    options: VAE,
) -> training.Trained:
    """Train a decoder (`network`, its spec) by the ELBO with an encoder, which is not kept.

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
    check_partner("training.encoder", options.encoder, network)
    posterior = networks.build(options.encoder, "training.encoder").to(run.device).train()
    if posterior.z_dim != decoder.z_dim:
        raise InputError(f"training.encoder.z_dim: {posterior.z_dim}, expected {decoder.z_dim} (the decoder's)")
    optimizer = torch.optim.Adam([*decoder.parameters(), *posterior.parameters()], lr=options.lr)
    reals = training.Batches(data, options.batch_size, draws, run.device)

    def step(i: int) -> torch.Tensor:
        training.follow(optimizer, i, options)
        x = 2 * next(reals)[0] - 1
        noise = torch.randn(len(x), decoder.z_dim, device=x.device)
        loss = negative_elbo(posterior, decoder, x, noise, options.sigma)
        training.descend(loss, optimizer)
        return loss.detach()

    state = {"network": decoder, "encoder": posterior, "optimizer": optimizer, "batches": reals}
    training.loop(step, options.iterations, run, "vae", state, draws)
    decoder.eval()
    if options.iterations < HARDLY_TRAINED:
        spread = diversity(decoder, data, draws, run.device)
    else:
        spread = check_diversity(decoder, data, draws, run.device, "vae")
    return training.Trained(decoder, network, {"iterations": options.iterations, "diversity": spread})


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
