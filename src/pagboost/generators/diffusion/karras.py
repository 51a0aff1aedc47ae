"""EDM: noise levels, preconditioning, training and Heun sampling of Karras et al. 2022.

x is noised as x + sigma * noise with images in [-1, 1]; sigma [N] is float64, and so is every coefficient until it
meets the image. Consistency models use the same noise levels and network input (pagboost.consistency).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from pagboost import networks, rng, training
from pagboost.errors import InputError
from pagboost.images import per_image
from pagboost.machine.sending import sent
from pagboost.options.samplers import Heun
from pagboost.options.trainings import EDM, RHO, SIGMA_MAX, SIGMA_MIN

SIGMA_DATA = 0.5  # Karras et al. 2022, Tab. 1

# (x [N, C, H, W], sigma [N]) -> the expected clean image [N, C, H, W]
Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def sigmas_karras(
    n: int, *, sigma_min: float = SIGMA_MIN, sigma_max: float = SIGMA_MAX, rho: float = RHO
) -> torch.Tensor:
    """n noise levels from sigma_max down to sigma_min, evenly spaced in sigma^(1 / rho); float64 (Karras Eq. 5).

    The ends are exactly sigma_max and sigma_min. Raises InputError for n < 2 or levels out of order.
    """
    if n < 2 or not 0 < sigma_min < sigma_max:
        raise InputError(f"sigmas: {n} from {sigma_max} to {sigma_min}, expected 2 or more, falling, above 0")
    ramp = torch.linspace(0, 1, n, dtype=torch.float64)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    sigmas = (high + ramp * (low - high)) ** rho
    sigmas[0], sigmas[-1] = sigma_max, sigma_min
    return sigmas


def scalings(sigma: torch.Tensor, sigma_data: float = SIGMA_DATA) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """EDM's c_skip, c_out, c_in at sigma (Karras Tab. 1): network input and target have unit variance."""
    variance = sigma**2 + sigma_data**2
    return sigma_data**2 / variance, sigma * sigma_data * variance.rsqrt(), variance.rsqrt()


def loss_weight(sigma: torch.Tensor, sigma_data: float = SIGMA_DATA) -> torch.Tensor:
    """lambda(sigma) = 1 / c_out^2: the network's own output has unit loss weight at every level (Karras Tab. 1)."""
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def time_input(sigma: torch.Tensor) -> torch.Tensor:
    """What networks see as t: 1000 * log(sigma) / 4, Karras' c_noise in the units of the public checkpoints."""
    return 250 * sigma.log()


def precondition(
    network: torch.nn.Module,
    x: torch.Tensor,
    sigma: torch.Tensor,
    y: torch.Tensor | None,
    coefficients: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """c_skip x + c_out F(c_in x; c_noise, y) [N, C, H, W] for coefficients (c_skip, c_out, c_in) [N] (Karras Eq. 7)."""
    c_skip, c_out, c_in = (per_image(c, x) for c in coefficients)
    return c_skip * x + c_out * network(c_in * x, time_input(sigma).to(x.dtype), y)


def denoiser(network: torch.nn.Module, y: torch.Tensor | None) -> Denoiser:
    """D(x; sigma) of an EDM network for classes y [N] (Karras Eq. 7)."""
    return lambda x, sigma: precondition(network, x, sigma, y, scalings(sigma))


def euler_step(denoise: Denoiser, x: torch.Tensor, sigma: torch.Tensor, sigma_next: torch.Tensor) -> torch.Tensor:
    """One Euler step of the probability flow ODE dx / dsigma = (x - D(x; sigma)) / sigma; sigmas [N]."""
    ratio = per_image(sigma_next / sigma, x)
    return ratio * x + (1 - ratio) * denoise(x, sigma)


def heun_step(denoise: Denoiser, x: torch.Tensor, sigma: torch.Tensor, sigma_next: torch.Tensor) -> torch.Tensor:
    """One step of Heun's second-order method for the same ODE; sigma_next > 0 (Karras Alg. 1, lines 4-8)."""
    change = per_image(sigma_next - sigma, x)
    slope = (x - denoise(x, sigma)) / per_image(sigma, x)
    ahead = x + change * slope
    slope_ahead = (ahead - denoise(ahead, sigma_next)) / per_image(sigma_next, x)
    return x + change * (slope + slope_ahead) / 2


SOLVERS = {"euler": euler_step, "heun": heun_step}


def integrate(denoise: Denoiser, x: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """Solve the ODE from x at sigmas[0] over all levels to zero noise; nfe = 2 len(sigmas) - 1 (Karras Alg. 1).

    Heun between levels, Euler on the way to zero, where the slope does not exist.
    """
    levels = [sigma.expand(len(x)).to(x.device) for sigma in sigmas]
    for sigma, sigma_next in itertools.pairwise(levels):
        x = heun_step(denoise, x, sigma, sigma_next)
    return denoise(x, levels[-1])  # a Euler step to zero is the denoised image itself


@torch.no_grad()
def sample_heun(
    network: torch.nn.Module,
    y: torch.Tensor | None,
    streams: rng.SampleStreams,
    shape: tuple[int, int, int],
    options: Heun,
) -> torch.Tensor:
    """Images [N, *shape] in [0, 1] by EDM's deterministic sampler in `steps` levels, 2 steps - 1 network calls.

    The start comes from each sample's stream, nothing else is drawn. Raises InputError for levels out of order.
    """
    low, high = options.sigma_min, options.sigma_max
    sigmas = sigmas_karras(options.steps, sigma_min=low, sigma_max=high, rho=options.rho)
    x = integrate(denoiser(network, y), streams.randn(shape) * high, sigmas)
    return ((x + 1) / 2).clamp(0, 1)


def train_edm(
    data: training.Data,
    network: Mapping[str, object],
    run: training.Run,
    inputs: Mapping[str, Path | list[Path]],
    options: EDM,
) -> training.Trained:
    """Train a denoiser by EDM's weighted squared error, log sigma ~ N(p_mean, p_std^2); keeps the average.

    Karras et al. 2022, Eq. 8 and Tab. 1. `inputs` is not used.
    """
    generator = training.seeded(run, "edm")
    model = networks.build(network).to(run.device, memory_format=torch.channels_last)
    averaged = training.average(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr, fused=True)
    draw = training.Batches(data, options.batch_size, generator, run.device, run.team)
    trained = training.updated(run, model)

    def step(i: int) -> torch.Tensor:
        x, y = next(draw)
        x_0 = 2 * x - 1
        n = options.batch_size
        log_sigma = torch.randn(n, generator=generator, dtype=torch.float64).mul(options.p_std).add(options.p_mean)
        sigma = sent(run.team.rows(log_sigma.exp()), run.device)
        noise = sent(run.team.rows(torch.randn((n, *x.shape[1:]), generator=generator)), run.device)
        denoised = denoiser(trained, y)(x_0 + per_image(sigma, x_0) * noise, sigma)
        loss = (per_image(loss_weight(sigma), x_0) * (denoised - x_0) ** 2).mean()
        training.follow(optimizer, i, options)
        training.descend(loss, optimizer)
        training.update_average(averaged, model, options.ema_decay)
        return loss.detach()

    state = {"network": model, "averaged": averaged, "optimizer": optimizer, "batches": draw}
    training.loop(step, options.iterations, run, "edm", state, generator)
    return training.Trained(averaged, network, {"iterations": options.iterations, "ema": options.ema_decay})
