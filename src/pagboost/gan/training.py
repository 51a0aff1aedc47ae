"""The training loop of all GANs: a method is its losses; networks, schedule and averaging are shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pagboost import networks, training
from pagboost.errors import InputError
from pagboost.gan import losses

MIN_DIVERSITY = 0.1  # of the real images' spread within a class; below, a generator counts as collapsed


@dataclass(frozen=True)
class Method:
    """What tells one GAN from another: its losses (see losses.py), all minimised.

    discriminator_loss(real logits, fake logits), generator_loss(fake logits), and a penalty on the generator itself.
    """

    discriminator_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    generator_loss: Callable[[torch.Tensor], torch.Tensor]
    generator_penalty: Callable[[nn.Module], torch.Tensor] | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a GAN is trained, whatever its method.

    An iteration is `discriminator_steps` updates of the discriminator and one of the generator, with Adam at the two
    learning rates (TTUR) and `betas`. The weights' average starts at iteration `ema_start`; its BatchNorm statistics
    are standing ones, taken from `standing_batches` batches after training.
    """

    iterations: int
    batch_size: int
    discriminator_steps: int
    lr_generator: float
    lr_discriminator: float
    betas: Sequence[float]
    ema_decay: float
    ema_start: int
    standing_batches: int

    def __post_init__(self) -> None:
        for key in ("iterations", "batch_size", "discriminator_steps", "standing_batches"):
            if getattr(self, key) < 1:
                raise InputError(f"{key}: {getattr(self, key)}, expected at least 1")


def train_biggan(
    data: training.Data,
    network: Mapping[str, Any],
    run: training.Run,
    inputs: Mapping[str, Path | list[Path]],
    *,
    discriminator: Mapping[str, Any],
    iterations: int,
    batch_size: int,
    discriminator_steps: int,
    lr_generator: float,
    lr_discriminator: float,
    betas: Sequence[float],
    ema_decay: float,
    ema_start: int,
    standing_batches: int,
    orthogonal: float,
) -> training.Trained:
    """BigGAN (Brock et al. 2019): hinge loss, and BigGAN's Eq. 3 on the generator with weight `orthogonal`.

    `network` and `discriminator` are network specs; the other options are explained in Settings. Returns the averaged
    generator; the discriminator is not kept. Raises InputError for a diverged or collapsed generator.
    """
    method = Method(
        losses.hinge_discriminator,
        losses.hinge_generator,
        (lambda generator: orthogonal * losses.orthogonal_penalty(generator)) if orthogonal else None,
    )
    settings = Settings(
        iterations=iterations,
        batch_size=batch_size,
        discriminator_steps=discriminator_steps,
        lr_generator=lr_generator,
        lr_discriminator=lr_discriminator,
        betas=betas,
        ema_decay=ema_decay,
        ema_start=ema_start,
        standing_batches=standing_batches,
    )
    return train_gan(method, settings, data, network, discriminator, run, "biggan")


def train_gan(
    method: Method,
    settings: Settings,
    data: training.Data,
    generator_spec: Mapping[str, Any],
    discriminator_spec: Mapping[str, Any],
    run: training.Run,
    label: str,
) -> training.Trained:
    """Train a generator and a discriminator against each other; returns the averaged generator in eval mode.

    Networks: generator(z [N, z_dim], y [N]) to images of its `shape` in [-1, 1], discriminator(x, y) to logits [N].
    Real and generated images pass the discriminator as one batch. Labels of generated images are uniform.
    Raises InputError if the generator makes images of another shape, a loss is not finite or the generator collapsed.
    """
    draws = training.seeded(run, label)
    generator = _placed(networks.build(generator_spec), run)
    discriminator = _placed(networks.build(discriminator_spec, f"{label}.discriminator"), run)
    if tuple(generator.shape) != tuple(data.x.shape[1:]):
        raise InputError(
            f"{label}: the generator makes images [C, H, W] of {list(generator.shape)}, expected those of the data, "
            f"{list(data.x.shape[1:])}"
        )
    averaged = training.average(generator)
    generator_optimizer = _adam(generator, settings.lr_generator, settings.betas)
    discriminator_optimizer = _adam(discriminator, settings.lr_discriminator, settings.betas)
    reals = training.batches(data, settings.batch_size, draws, run.device)
    latents = _latents(generator.z_dim, data.num_classes, settings.batch_size, draws, run.device)

    def step(i: int) -> torch.Tensor:
        for _ in range(settings.discriminator_steps):
            x, y = next(reals)
            z, y_fake = next(latents)
            with torch.no_grad():
                fake = generator(z, y_fake)
            logits = discriminator(torch.cat([2 * x - 1, fake]), torch.cat([y, y_fake]))
            loss = method.discriminator_loss(*logits.split([len(x), len(fake)]))
            training.descend(loss, discriminator_optimizer)

        z, y_fake = next(latents)
        discriminator.requires_grad_(False)  # the generator's update needs gradients through it, not of it
        generator_loss = method.generator_loss(discriminator(generator(z, y_fake), y_fake))
        if method.generator_penalty is not None:
            generator_loss = generator_loss + method.generator_penalty(generator)
        training.descend(generator_loss, generator_optimizer)
        discriminator.requires_grad_(True)

        training.update_average(averaged, generator, settings.ema_decay if i >= settings.ema_start else 0.0)
        return (loss + generator_loss).detach()

    state = {
        "network": generator,
        "discriminator": discriminator,
        "averaged": averaged,
        "generator_optimizer": generator_optimizer,
        "discriminator_optimizer": discriminator_optimizer,
    }
    training.loop(step, settings.iterations, run, label, state, draws)
    standing_statistics(averaged, latents, settings.standing_batches)
    diversity = check_diversity(averaged, data, draws, run.device, label)
    facts = {"iterations": settings.iterations, "ema": settings.ema_decay, "diversity": diversity}
    return training.Trained(averaged, generator_spec, facts)


def _placed(network: nn.Module, run: training.Run) -> nn.Module:
    return network.to(run.device, memory_format=torch.channels_last).train()


def _adam(network: nn.Module, lr: float, betas: Sequence[float]) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=lr, betas=(float(betas[0]), float(betas[1])), fused=True)


def _latents(
    z_dim: int, num_classes: int, batch_size: int, draws: torch.Generator, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches of standard normal z [N, z_dim] and uniform labels y [N]."""
    while True:
        z = torch.randn(batch_size, z_dim, generator=draws)
        y = torch.randint(num_classes, (batch_size,), generator=draws)
        yield z.to(device), y.to(device)


@torch.no_grad()
def standing_statistics(
    generator: nn.Module, latents: Iterator[tuple[torch.Tensor, torch.Tensor]], batches: int
) -> None:
    """Set BatchNorm's statistics to their mean over `batches` batches, then eval mode (BigGAN Sec. 3.1).

    Averaged weights never ran a batch in training, so statistics gathered by the raw weights do not fit them; these
    make a sample independent of its batch.
    """
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches that follow
    generator.train()
    for _ in range(batches):
        generator(*next(latents))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    generator.eval()


def within_class_std(x: torch.Tensor, y: torch.Tensor) -> float:
    """Root mean square distance of a pixel from its mean over the images of the same label; x [N, C, H, W], y [N]."""
    squares = [(x[y == c] - x[y == c].mean(0)).square().sum() for c in y.unique()]
    return float((sum(squares) / x.numel()).sqrt())


@torch.no_grad()
def check_diversity(
    generator: nn.Module, data: training.Data, draws: torch.Generator, device: torch.device, label: str
) -> float:
    """The generated spread within a class over the real one, from 32 images of each of up to 10 classes.

    Raises InputError for a ratio below MIN_DIVERSITY: whatever z, the generator makes one image per class.
    """
    y = torch.arange(min(10, data.num_classes)).repeat_interleave(32)
    z = torch.randn(len(y), generator.z_dim, generator=draws)
    x = (generator(z.to(device), y.to(device)).float().cpu() + 1) / 2
    ratio = within_class_std(x, y) / within_class_std(data.x, data.y)
    if not ratio >= MIN_DIVERSITY:
        raise InputError(
            f"{label}: the generator collapsed, its images of a class spread {ratio:.3f} times as much as the real "
            f"ones, expected at least {MIN_DIVERSITY} (another seed, lower lr?)"
        )
    return ratio
