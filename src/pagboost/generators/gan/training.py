"""The training loop of all GANs: a method is its losses and terms; networks, schedule and averaging are shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pagboost import images, networks, training
from pagboost.errors import InputError
from pagboost.machine.sending import sent
from pagboost.options.kinds import named
from pagboost.options.networks import Network
from pagboost.options.trainings import GAN

MIN_DIVERSITY = 0.1  # of the real images' spread; below, a generator counts as collapsed


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a loss term sees of one update: images [N, C, H, W] in [-1, 1] before augmentation, labels [N].

    In the discriminator's update `fake` has no gradient; in the generator's, x and y are None.
    """

    i: int
    generator: nn.Module
    discriminator: nn.Module
    x: torch.Tensor | None = None
    y: torch.Tensor | None = None
    z: torch.Tensor
    y_fake: torch.Tensor
    fake: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Method:
    """What tells one GAN from another; all losses and terms are scalars, added up and minimised.

    discriminator_loss(real logits [N], fake logits [N]) and generator_loss(fake logits [N]) are the game's (losses.py);
    terms are what a method adds to them. `augment` maps the images that the discriminator sees, real and generated
    alike; `after_discriminator` gets the real logits of each of its updates. `modules` holds state that a method has
    of its own: moved to the device, saved and resumed. Randomness of terms and `augment` is torch's global one.
    """

    discriminator_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    generator_loss: Callable[[torch.Tensor], torch.Tensor]
    discriminator_terms: Sequence[Callable[[Turn], torch.Tensor]] = ()
    generator_terms: Sequence[Callable[[Turn], torch.Tensor]] = ()
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None
    after_discriminator: Callable[[torch.Tensor], None] | None = None
    modules: Mapping[str, nn.Module] = field(default_factory=dict)


def train_gan(
    data: training.Data,
    network: Mapping[str, Any],
    run: training.Run,
    inputs: Mapping[str, Path | list[Path]],
    options: GAN,
) -> training.Trained:
    """Train a generator and a discriminator against each other; returns the averaged generator in eval mode.

    `network` is the generator's spec. Networks: generator(z [N, z_dim], y [N]) to images of its `shape` in [-1, 1],
    discriminator(x, y) to logits [N]; where num_classes is None they ignore y. The discriminator is not kept.
    An iteration is `discriminator_steps` updates of the discriminator and one of the generator, with Adam at the two
    learning rates (TTUR) and `betas`; `lr_decay` takes both rates linearly to 0 over the training. Real and generated
    images pass the discriminator as one batch. Labels of generated images are uniform. The weights' average starts at
    iteration `ema_start`; its BatchNorm statistics are standing ones, taken from `standing_batches` batches.
    Raises InputError for networks that do not fit, a loss that is not finite, or a generator that collapsed.
    """
    label = options.method.kind
    draws = training.seeded(run, label)
    g = _placed(networks.build(network), run)
    if tuple(g.shape) != tuple(data.x.shape[1:]):
        raise InputError(
            f"{label}: the generator makes images [C, H, W] of {list(g.shape)}, expected those of the data, "
            f"{list(data.x.shape[1:])}"
        )
    check_partner("training.discriminator", options.discriminator, network)
    d = _placed(networks.build(options.discriminator, "training.discriminator"), run)
    method: Method = named(options.method.uses)(options.method)
    modules = {name: module.to(run.device) for name, module in method.modules.items()}
    averaged = training.average(g)
    g_optimizer = _adam(g, options.lr_generator, options.betas)
    d_optimizer = _adam(d, options.lr_discriminator, options.betas)
    reals = training.Batches(data, options.batch_size, draws, run.device)
    latents = _latents(g.z_dim, data.num_classes, options.batch_size, draws, run.device)

    def step(i: int) -> torch.Tensor:
        if options.lr_decay:
            training.set_lr(g_optimizer, options.lr_generator * (1 - i / options.iterations))
            training.set_lr(d_optimizer, options.lr_discriminator * (1 - i / options.iterations))
        for _ in range(options.discriminator_steps):
            x, y = next(reals)
            z, y_fake = next(latents)
            with torch.no_grad():
                fake = g(z, y_fake)
            turn = Turn(i=i, generator=g, discriminator=d, x=2 * x - 1, y=y, z=z, y_fake=y_fake, fake=fake)
            d_loss, real = discriminator_loss(method, turn)
            training.descend(d_loss, d_optimizer)
            if method.after_discriminator is not None:
                method.after_discriminator(real.detach())

        z, y_fake = next(latents)
        d.requires_grad_(False)  # the generator's update needs gradients through it, not of it
        turn = Turn(i=i, generator=g, discriminator=d, z=z, y_fake=y_fake, fake=g(z, y_fake))
        g_loss = generator_loss(method, turn)
        training.descend(g_loss, g_optimizer)
        d.requires_grad_(True)

        training.update_average(averaged, g, options.ema_decay if i >= options.ema_start else 0.0)
        return (d_loss + g_loss).detach()

    state = {
        "network": g,
        "discriminator": d,
        "averaged": averaged,
        "generator_optimizer": g_optimizer,
        "discriminator_optimizer": d_optimizer,
        "batches": reals,
        **{f"method.{name}": module for name, module in modules.items()},
    }
    training.loop(step, options.iterations, run, label, state, draws)
    standing_statistics(averaged, latents, options.standing_batches)
    diversity = check_diversity(averaged, data, draws, run.device, label)
    facts = {"method": label, "iterations": options.iterations, "ema": options.ema_decay, "diversity": diversity}
    return training.Trained(averaged, network, facts)


def discriminator_loss(method: Method, turn: Turn) -> tuple[torch.Tensor, torch.Tensor]:
    """(the discriminator's loss with the method's terms, the logits [N] of the real images)."""
    seen = torch.cat([turn.x, turn.fake])
    if method.augment is not None:
        seen = method.augment(seen)
    logits = turn.discriminator(seen, torch.cat([turn.y, turn.y_fake])).float()
    real, fake = logits.split([len(turn.x), len(turn.fake)])
    return method.discriminator_loss(real, fake) + sum(term(turn) for term in method.discriminator_terms), real


def generator_loss(method: Method, turn: Turn) -> torch.Tensor:
    """The generator's loss with the method's terms."""
    seen = turn.fake if method.augment is None else method.augment(turn.fake)
    logits = turn.discriminator(seen, turn.y_fake).float()
    return method.generator_loss(logits) + sum(term(turn) for term in method.generator_terms)


def check_partner(where: str, partner: Network, generator: Mapping[str, Any]) -> None:
    """InputError unless a network's options are of the images and labels that the generator's spec is of."""
    for key in ("size", "channels", "num_classes"):
        value = getattr(partner, key, None)
        if value != generator.get(key):
            raise InputError(f"{where}.{key}: {value}, expected {generator.get(key)} (the generator's)")


def _placed(network: nn.Module, run: training.Run) -> nn.Module:
    return network.to(run.device, memory_format=torch.channels_last).train()


def _adam(network: nn.Module, lr: float, betas: Sequence[float]) -> torch.optim.Adam:
    first, second = map(float, betas)  # torch refuses a 0 beside a 0.99
    return torch.optim.Adam(network.parameters(), lr=lr, betas=(first, second), fused=True)


def _latents(
    z_dim: int, num_classes: int, batch_size: int, draws: torch.Generator, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches of standard normal z [N, z_dim] and uniform labels y [N]."""
    while True:
        z = torch.randn(batch_size, z_dim, generator=draws)
        y = torch.randint(num_classes, (batch_size,), generator=draws)
        yield sent(z, device), sent(y, device)


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
    groups = (images.to_unit(x[y == c]) for c in y.unique())
    squares = [(group - group.mean(0)).square().sum() for group in groups]
    return float((sum(squares) / x.numel()).sqrt())


@torch.no_grad()
def diversity(generator: nn.Module, data: training.Data, draws: torch.Generator, device: torch.device) -> float:
    """The generated spread within a class over the real one, from 32 images of each of up to 10 classes.

    For an unconditional generator, the spread of all images over that of all real ones.
    """
    y = torch.arange(min(10, data.num_classes)).repeat_interleave(32)
    z = torch.randn(len(y), generator.z_dim, generator=draws)
    x = (generator(z.to(device), y.to(device)).float().cpu() + 1) / 2
    groups = (y, data.y) if generator.num_classes is not None else (torch.zeros_like(y), torch.zeros_like(data.y))
    return within_class_std(x, groups[0]) / within_class_std(data.x, groups[1])


def check_diversity(
    generator: nn.Module, data: training.Data, draws: torch.Generator, device: torch.device, label: str
) -> float:
    """`diversity`. Raises InputError below MIN_DIVERSITY: whatever z, the generator makes one image (per class)."""
    ratio = diversity(generator, data, draws, device)
    if not ratio >= MIN_DIVERSITY:
        raise InputError(
            f"{label}: the generator collapsed, its images{' of a class' if generator.num_classes else ''} spread "
            f"{ratio:.3f} times as much as the real ones, expected at least {MIN_DIVERSITY} (another seed, lower lr?)"
        )
    return ratio
