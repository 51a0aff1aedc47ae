"""Consistency models of Song et al. 2023: distillation (CD), training (CT) and multistep sampling.

f(x, sigma) maps an image at any noise level to the start of its trajectory, f(x, sigma_min) = x. Noise levels,
network input and solvers are those of EDM (pagboost.diffusion.karras); images are in [-1, 1] here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from pagboost import artifacts, networks, rng, training
from pagboost.errors import InputError
from pagboost.generators.diffusion import karras
from pagboost.generators.diffusion.karras import SIGMA_DATA
from pagboost.images import per_image
from pagboost.machine.sending import sent
from pagboost.options.samplers import ConsistencySampler
from pagboost.options.trainings import SIGMA_MIN, Consistency, ConsistencyDistillation, ConsistencyTraining

PerImage = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def scalings(
    sigma: torch.Tensor, sigma_min: float = SIGMA_MIN, sigma_data: float = SIGMA_DATA
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """c_skip, c_out, c_in of a consistency model: EDM's, shifted so that c_skip = 1, c_out = 0 at sigma_min.

    Song et al. 2023, App. C.
    """
    shifted, variance = sigma - sigma_min, sigma**2 + sigma_data**2
    c_skip = sigma_data**2 / (shifted**2 + sigma_data**2)
    return c_skip, shifted * sigma_data * variance.rsqrt(), variance.rsqrt()


def consistency(
    network: torch.nn.Module,
    x: torch.Tensor,
    sigma: torch.Tensor,
    y: torch.Tensor | None,
    sigma_min: float = SIGMA_MIN,
) -> torch.Tensor:
    """f(x, sigma) [N, C, H, W] for classes y [N]; sigma float64 [N] (Song Eq. 5)."""
    return karras.precondition(network, x, sigma, y, scalings(sigma, sigma_min))


def squared_l2(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean squared difference over each image [N]."""
    return (a - b).square().flatten(1).mean(1)


def pseudo_huber(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """sqrt(|a - b|^2 + c^2) - c [N] with c = 0.00054 sqrt(pixels): squared up close, a length far away.

    Song and Dhariwal 2023, Sec. 3.3.
    """
    c = 0.00054 * math.sqrt(a[0].numel())
    return ((a - b).square().flatten(1).sum(1) + c**2).sqrt() - c


METRICS: dict[str, PerImage] = {"l2": squared_l2, "pseudo_huber": pseudo_huber}


def uniform(sigma: torch.Tensor, sigma_next: torch.Tensor) -> torch.Tensor:
    """lambda = 1 [N] (Song et al. 2023)."""
    return torch.ones_like(sigma)


def inverse_step(sigma: torch.Tensor, sigma_next: torch.Tensor) -> torch.Tensor:
    """lambda = 1 / (sigma - sigma_next) [N]: low noise levels count for more (Song and Dhariwal 2023, Sec. 3.1)."""
    return 1 / (sigma - sigma_next)


def inverse_c_out(sigma: torch.Tensor, sigma_next: torch.Tensor) -> torch.Tensor:
    """lambda = 1 / c_out(sigma) [N]: for a length such as pseudo_huber, every level moves the network alike.

    The counterpart of EDM's 1 / c_out^2 for squared errors; not in the consistency papers.
    """
    return 1 / karras.scalings(sigma)[1]


WEIGHTINGS: dict[str, PerImage] = {"uniform": uniform, "inverse_step": inverse_step, "inverse_c_out": inverse_c_out}


def discretisation(k: int, iterations: int, scale_start: int, scale_end: int) -> int:
    """N(k): number of noise levels at iteration k of CT, growing from scale_start to scale_end + 1 (Song App. C)."""
    growth = (scale_end + 1) ** 2 - scale_start**2
    return math.ceil(math.sqrt(k / iterations * growth + scale_start**2) - 1) + 1


def target_rate(levels: int, scale_start: int, target_decay: float) -> float:
    """mu(k) = exp(s_0 log mu_0 / N(k)): the target follows more slowly as levels get denser (Song App. C).

    mu_0 = 0: the target is the model itself (Song and Dhariwal 2023, Sec. 3.2).
    """
    return target_decay ** (scale_start / levels)


@dataclass(frozen=True)
class Draw:
    """What one training step draws: x_0 in [-1, 1], noise of the same shape, neighbouring levels [N], classes y [N]."""

    x_0: torch.Tensor
    noise: torch.Tensor
    sigma: torch.Tensor
    sigma_next: torch.Tensor
    y: torch.Tensor

    def at(self, sigma: torch.Tensor) -> torch.Tensor:
        """x_0 with the noise at level sigma [N]."""
        return self.x_0 + per_image(sigma, self.x_0) * self.noise


# a draw -> the trajectory through draw.at(draw.sigma), at sigma_next
Neighbour = Callable[[Draw], torch.Tensor]


def same_noise(draw: Draw) -> torch.Tensor:
    """CT's estimate of the neighbour: the same noise at the next level (Song Eq. 10)."""
    return draw.at(draw.sigma_next)


def teacher_step(teacher: torch.nn.Module, solver: str) -> Neighbour:
    """CD's estimate of the neighbour: one step of an ODE solver with the teacher's denoiser (Song Eq. 6)."""
    advance = karras.SOLVERS[solver]
    return lambda draw: advance(karras.denoiser(teacher, draw.y), draw.at(draw.sigma), draw.sigma, draw.sigma_next)


def load_teacher(inputs: Mapping[str, Path | list[Path]], device: torch.device) -> torch.nn.Module:
    """The frozen EDM network of inputs["teacher"]; InputError if there is none, or of another kind."""
    if "teacher" not in inputs:
        raise InputError(f"inputs: {', '.join(inputs) or 'none'}, expected a teacher (weights of kind edm)")
    teacher, _ = networks.load(inputs["teacher"], kinds=("edm",))
    return teacher.requires_grad_(False).to(device, memory_format=torch.channels_last)


def sigmas_of(options: Consistency, n: int) -> torch.Tensor:
    """The n noise levels of a training, falling; float64. Raises InputError for levels out of order."""
    return karras.sigmas_karras(n, sigma_min=options.sigma_min, sigma_max=options.sigma_max, rho=options.rho)


def fit(
    model: torch.nn.Module,
    data: training.Data,
    run: training.Run,
    generator: torch.Generator,
    label: str,
    options: Consistency,
    levels: Callable[[int], tuple[torch.Tensor, float]],
    neighbour: Neighbour,
) -> torch.nn.Module:
    """Train `model` to agree with a slow copy of itself one noise level further down; returns its average.

    levels(i) -> (falling sigmas float64 [N], rate mu of the slow copy) at iteration i; the level is uniform among
    them. Song et al. 2023, Alg. 2 and 3; weighting: lambda there.
    """
    distance, weight = METRICS[options.metric], WEIGHTINGS[options.weighting]
    target, averaged = training.average(model), training.average(model)
    optimizer = torch.optim.RAdam(model.parameters(), lr=options.lr)
    batches = training.Batches(data, options.batch_size, generator, run.device, run.team)
    trained = training.updated(run, model)

    def step(i: int) -> torch.Tensor:
        sigmas, target_decay = levels(i)
        sigma_min = float(sigmas[-1])
        x, y = next(batches)
        noise = run.team.rows(torch.randn((options.batch_size, *x.shape[1:]), generator=generator))
        noise = sent(noise, run.device)
        n = run.team.rows(torch.randint(len(sigmas) - 1, (options.batch_size,), generator=generator))
        draw = Draw(2 * x - 1, noise, sent(sigmas[n], run.device), sent(sigmas[n + 1], run.device), y)
        with torch.no_grad():
            wanted = consistency(target, neighbour(draw), draw.sigma_next, y, sigma_min)
        found = consistency(trained, draw.at(draw.sigma), draw.sigma, y, sigma_min)
        lambda_ = weight(draw.sigma, draw.sigma_next).to(found.dtype)
        loss = (lambda_ * distance(found, wanted)).mean()
        training.follow(optimizer, i, options)
        training.descend(loss, optimizer)
        training.update_average(target, model, target_decay)
        training.update_average(averaged, model, options.ema_decay)
        return loss.detach()

    state = {"network": model, "target": target, "averaged": averaged, "optimizer": optimizer, "batches": batches}
    training.loop(step, options.iterations, run, label, state, generator)
    return averaged


def train_cd(
    data: training.Data,
    network: Mapping[str, object],
    run: training.Run,
    inputs: Mapping[str, Path | list[Path]],
    options: ConsistencyDistillation,
) -> training.Trained:
    """Distil inputs["teacher"], an EDM network, on a grid of `scales` noise levels (Song et al. 2023, Alg. 2).

    The student starts from the teacher's weights, so both have one architecture.
    Raises InputError for a missing or foreign teacher, and for levels out of order.
    """
    generator = training.seeded(run, "consistency distillation")
    teacher = load_teacher(inputs, run.device)
    model = networks.build(network)
    artifacts.load_into(model, teacher.state_dict(), inputs["teacher"])
    sigmas = sigmas_of(options, options.scales)
    averaged = fit(
        model.to(run.device, memory_format=torch.channels_last),
        data,
        run,
        generator,
        "consistency distillation",
        options,
        levels=lambda i: (sigmas, options.target_decay),
        neighbour=teacher_step(teacher, options.solver),
    )
    facts = {"iterations": options.iterations, "ema": options.ema_decay, "init": "teacher"}
    return training.Trained(averaged, network, facts)


def train_ct(
    data: training.Data,
    network: Mapping[str, object],
    run: training.Run,
    inputs: Mapping[str, Path | list[Path]],
    options: ConsistencyTraining,
) -> training.Trained:
    """Train a consistency model without a teacher (Song et al. 2023, Alg. 3), levels growing scale_start -> scale_end.

    init: "random" is the paper's; "teacher" starts from the weights of inputs["teacher"], an EDM network: a variant,
    and the weights' facts say so. Raises InputError for a missing or foreign teacher, and for levels out of order.
    """
    generator = training.seeded(run, "consistency training")
    model = networks.build(network)
    if options.init == "teacher":
        artifacts.load_into(model, load_teacher(inputs, run.device).state_dict(), inputs["teacher"])

    def levels(i: int) -> tuple[torch.Tensor, float]:
        n = discretisation(i, options.iterations, options.scale_start, options.scale_end)
        return sigmas_of(options, n), target_rate(n, options.scale_start, options.target_decay)

    averaged = fit(
        model.to(run.device, memory_format=torch.channels_last),
        data,
        run,
        generator,
        "consistency training",
        options,
        levels=levels,
        neighbour=same_noise,
    )
    facts = {"iterations": options.iterations, "ema": options.ema_decay, "init": options.init}
    return training.Trained(averaged, network, facts)


@torch.no_grad()
def sample_consistency(
    network: torch.nn.Module,
    y: torch.Tensor | None,
    streams: rng.SampleStreams,
    shape: tuple[int, int, int],
    options: ConsistencySampler,
) -> torch.Tensor:
    """Images [N, *shape] in [0, 1], one network call per noise level (Song et al. 2023, Alg. 1).

    Levels [80]: one step; [80, s]: two. Between calls the image gets noise of standard deviation
    sqrt(sigma^2 - sigma_min^2). All noise comes from each sample's stream.
    Raises InputError unless levels fall and stay above sigma_min.
    """
    levels, sigma_min = options.sigmas, options.sigma_min
    x = streams.randn(shape) * levels[0]
    for i, level in enumerate(levels):
        if i:
            x = x + math.sqrt(level**2 - sigma_min**2) * streams.randn(shape)
        sigma = torch.full((len(x),), level, dtype=torch.float64, device=x.device)
        x = consistency(network, x, sigma, y, sigma_min).clamp(-1, 1)
    return (x + 1) / 2
