"""The forward process of diffusion: noise schedules, their respacing, and the Gaussians that follow from them.

x_0 and x_t are in the [-1, 1] scale, x_t is never clipped. A `Schedule` holds float64 columns over its steps; t [N]
are positions in it, `schedule.timesteps[t]` the times that networks see, so that one network serves every respacing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from pagboost.errors import InputError
from pagboost.images import per_image


def linear_betas(steps: int) -> torch.Tensor:
    """Betas [steps] of DDPM (Ho et al. 2020), float64: 1e-4 to 0.02 at 1,000 steps, scaled for other numbers."""
    scale = 1000 / steps
    return torch.linspace(scale * 1e-4, scale * 0.02, steps, dtype=torch.float64)


def cosine_betas(steps: int) -> torch.Tensor:
    """Betas [steps] of IDDPM Eq. 17, float64: alphas_cumprod falls as a squared cosine; no beta above 0.999."""
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    signal = torch.cos((u + 0.008) / 1.008 * (math.pi / 2)) ** 2
    return (1 - signal[1:] / signal[:-1]).clamp_max(0.999)


SCHEDULES = {"linear": linear_betas, "cosine": cosine_betas}


@dataclass(frozen=True)
class Schedule:
    """Variances of the forward process q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I), and what follows.

    betas: float64 [T]. timesteps: int64 [T], the times at which networks know these steps.
    """

    betas: torch.Tensor
    timesteps: torch.Tensor

    def __len__(self) -> int:
        return len(self.betas)

    @cached_property
    def alphas_cumprod(self) -> torch.Tensor:
        """Product of 1 - beta up to each step [T]: the share of signal in the variance of x_t."""
        return torch.cumprod(1 - self.betas, 0)

    @cached_property
    def alphas_cumprod_prev(self) -> torch.Tensor:
        """alphas_cumprod one step earlier [T]; 1 before the first."""
        return torch.cat([self.alphas_cumprod.new_ones(1), self.alphas_cumprod[:-1]])

    @cached_property
    def posterior_variance(self) -> torch.Tensor:
        """Variance [T] of q(x_{t-1} | x_t, x_0); 0 at the first step."""
        return self.betas * (1 - self.alphas_cumprod_prev) / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_log_variance(self) -> torch.Tensor:
        """log posterior_variance [T]; the first step, whose log would be -inf, takes the second's (IDDPM)."""
        variance = self.posterior_variance
        return torch.cat([variance[1:2], variance[1:]]).log()


def make_schedule(
    name: str, diffusion_steps: int, steps: int | None = None, device: torch.device | str = "cpu"
) -> Schedule:
    """The named schedule over `diffusion_steps`, respaced to `steps` of them if given.

    Raises InputError for an unknown name or a number of steps out of range.
    """
    if name not in SCHEDULES:
        raise InputError(f"schedule: {name}, expected one of: {', '.join(SCHEDULES)}")
    if diffusion_steps < 2:
        raise InputError(f"diffusion_steps: {diffusion_steps}, expected 2 or more")
    betas = SCHEDULES[name](diffusion_steps)
    if not bool(((betas > 0) & (betas < 1)).all()):
        raise InputError(f"diffusion_steps: {diffusion_steps}, too few for the {name} schedule (a beta is not below 1)")
    full = Schedule(betas.to(device), torch.arange(diffusion_steps, device=device))
    return full if steps is None else respace(full, steps)


def respace(schedule: Schedule, steps: int) -> Schedule:
    """`steps` evenly spaced steps of a schedule, first and last kept, at its own alphas_cumprod (IDDPM Sec. 4).

    Raises InputError unless 2 <= steps <= len(schedule).
    """
    if not 2 <= steps <= len(schedule):
        raise InputError(f"steps: {steps}, expected 2..{len(schedule)}, the steps of the schedule")
    kept = torch.linspace(0, len(schedule) - 1, steps, dtype=torch.float64).round().long().to(schedule.betas.device)
    alphas_cumprod = schedule.alphas_cumprod[kept]
    previous = torch.cat([alphas_cumprod.new_ones(1), alphas_cumprod[:-1]])
    return Schedule(1 - alphas_cumprod / previous, schedule.timesteps[kept])


def at(column: torch.Tensor, t: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """column[t] in like's dtype, shaped to scale images: looked up in float64, used in float32."""
    return per_image(column[t], like)


def q_sample(schedule: Schedule, x_0: torch.Tensor, t: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """x_t = sqrt(alphas_cumprod_t) x_0 + sqrt(1 - alphas_cumprod_t) noise, for x_0 in [-1, 1] and t [N]."""
    signal = schedule.alphas_cumprod
    return at(signal.sqrt(), t, x_0) * x_0 + at((1 - signal).sqrt(), t, x_0) * noise


def predict_x_0(schedule: Schedule, x_t: torch.Tensor, t: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """The x_0 that gives x_t under this noise: q_sample solved for x_0."""
    signal = schedule.alphas_cumprod
    return at(signal.rsqrt(), t, x_t) * x_t - at((1 / signal - 1).sqrt(), t, x_t) * noise


def posterior_mean(schedule: Schedule, x_0: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Mean of q(x_{t-1} | x_t, x_0) (Ho et al. 2020, Eq. 7)."""
    betas, signal, previous = schedule.betas, schedule.alphas_cumprod, schedule.alphas_cumprod_prev
    of_x_0 = betas * previous.sqrt() / (1 - signal)
    of_x_t = (1 - previous) * (1 - betas).sqrt() / (1 - signal)
    return at(of_x_0, t, x_t) * x_0 + at(of_x_t, t, x_t) * x_t
