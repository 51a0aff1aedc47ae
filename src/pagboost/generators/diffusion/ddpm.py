"""Denoising diffusion with learned variances (IDDPM, Nichol & Dhariwal 2021; ADM, Dhariwal & Nichol 2021).

Networks give [N, 2C, H, W]: what they predict (noise or x_0) and v, a position between two log variances. x_0 and x_t
are in the [-1, 1] scale, x_t is never clipped; times are those of `pagboost.diffusion.schedule`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F

from pagboost import networks, rng, training
from pagboost.generators.diffusion.schedule import Schedule, at, make_schedule, posterior_mean, predict_x_0, q_sample
from pagboost.machine.sending import sent
from pagboost.options.samplers import Ancestral
from pagboost.options.trainings import DDPM

# (x_t [N, C, H, W], times [N] as networks see them) -> the gradient by which a step's mean moves, times its variance
Guide = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def predicted_x_0(
    schedule: Schedule, mean_output: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor, target: str
) -> torch.Tensor:
    """The x_0 that a network predicts: directly, or by the noise in x_t, as its `target` says.

    Noise is the papers' target. x_0 itself suits images far smoother than their resolution: a network narrower than
    a patch of pixels cannot reproduce the patch's noise, but can draw the image behind it.
    """
    return mean_output if target == "x_0" else predict_x_0(schedule, x_t, t, mean_output)


class Prediction(NamedTuple):
    """A network's view of one reverse step: p(x_{t-1} | x_t) = N(mean, exp(log_variance)), and the x_0 behind it."""

    mean: torch.Tensor
    log_variance: torch.Tensor
    x_0: torch.Tensor


def predict(
    schedule: Schedule, output: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor, target: str, clip_x_0: bool
) -> Prediction:
    """The reverse step that a network's output [N, 2C, H, W] (its target noise or x_0, and v) stands for.

    log variance = interpolation between posterior variance (v = -1) and beta (v = 1), IDDPM Eq. 15.
    clip_x_0: the predicted x_0, not x_t, is kept within [-1, 1].
    """
    mean_output, v = output.chunk(2, dim=1)
    share = (v + 1) / 2
    log_variance = share * at(schedule.betas.log(), t, x_t) + (1 - share) * at(schedule.posterior_log_variance, t, x_t)
    x_0 = predicted_x_0(schedule, mean_output, x_t, t, target)
    if clip_x_0:
        x_0 = x_0.clamp(-1, 1)
    return Prediction(posterior_mean(schedule, x_0, x_t, t), log_variance, x_0)


def normal_kl(
    mean_p: torch.Tensor, log_variance_p: torch.Tensor, mean_q: torch.Tensor, log_variance_q: torch.Tensor
) -> torch.Tensor:
    """KL(p || q) of diagonal normals, elementwise, in nats."""
    ratio = torch.exp(log_variance_p - log_variance_q)
    distance = (mean_p - mean_q) ** 2 * torch.exp(-log_variance_q)
    return 0.5 * (log_variance_q - log_variance_p + ratio + distance - 1)


def discretised_nll(x_0: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """-log of a normal's mass on the bin around x_0's grey level, elementwise, in nats (Ho et al. 2020, Eq. 13).

    x_0 in [-1, 1], 256 levels, bins 2/255 wide; the outermost reach to infinity.
    """
    half_bin, inverse_std = 1 / 255, torch.exp(-0.5 * log_variance)
    upper = torch.special.ndtr((x_0 - mean + half_bin) * inverse_std)
    lower = torch.special.ndtr((x_0 - mean - half_bin) * inverse_std)
    upper = torch.where(x_0 > 0.999, torch.ones_like(upper), upper)
    lower = torch.where(x_0 < -0.999, torch.zeros_like(lower), lower)
    return -(upper - lower).clamp_min(1e-12).log()


def variational_bound(
    schedule: Schedule, prediction: Prediction, x_0: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor
) -> torch.Tensor:
    """One term L_t [N] of the variational bound, bits per dimension: a KL, or at t = 0 the discretised likelihood."""
    mean, log_variance = posterior_mean(schedule, x_0, x_t, t), at(schedule.posterior_log_variance, t, x_t)
    kl = normal_kl(mean, log_variance, prediction.mean, prediction.log_variance)
    nll = discretised_nll(x_0, prediction.mean, prediction.log_variance)
    return torch.where(t == 0, nll.flatten(1).mean(1), kl.flatten(1).mean(1)) / math.log(2)


def hybrid_loss(
    schedule: Schedule,
    output: torch.Tensor,
    x_0: torch.Tensor,
    x_t: torch.Tensor,
    t: torch.Tensor,
    noise: torch.Tensor,
    target: str,
    vlb_weight: float,
) -> torch.Tensor:
    """L_simple + vlb_weight L_vlb [N] (IDDPM Eq. 16) of a network's output at x_t = q_sample(x_0, t, noise).

    L_simple is the mean squared error of the target, "noise" or "x_0".
    L_vlb is estimated from the one term drawn, T L_t, and trains the variance alone: its mean is not differentiated.
    It measures an error of x_0 in posterior standard deviations, which are tiny at small t, and reaches the layers that
    mean and variance share: for target "x_0" a vlb_weight of 1e-3 drowns L_simple, 1e-6 does not.
    """
    mean_output, v = output.chunk(2, dim=1)
    truth = {"noise": noise, "x_0": x_0}[target]
    simple = F.mse_loss(mean_output, truth, reduction="none").flatten(1).mean(1)
    prediction = predict(schedule, torch.cat([mean_output.detach(), v], 1), x_t, t, target, clip_x_0=False)
    return simple + vlb_weight * len(schedule) * variational_bound(schedule, prediction, x_0, x_t, t)


def train_ddpm(
    data: training.Data,
    network: Mapping[str, object],
    run: training.Run,
    inputs: Mapping[str, Path | list[Path]],
    options: DDPM,
) -> training.Trained:
    """Train a network of `target` "noise" or "x_0" and variance by IDDPM's hybrid loss, t uniform; keeps the average.

    A constant learning rate (lr_end = lr, warmup 0) is the papers'; checkpoints are for Kawar Tab. 3. `inputs` is not
    used. A network without classes ignores y. Raises InputError for too few diffusion_steps.
    """
    generator = training.seeded(run, "ddpm")
    model = networks.build(network).to(run.device, memory_format=torch.channels_last)
    averaged = training.average(model)
    kept = training.checkpoints(model, options.checkpoints)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=options.weight_decay, fused=True)
    steps = make_schedule(options.schedule, options.diffusion_steps, device=run.device)
    draw = training.Batches(data, options.batch_size, generator, run.device, run.team)
    trained = training.updated(run, model)

    def step(i: int) -> torch.Tensor:
        x, y = next(draw)
        x_0 = 2 * x - 1
        t = sent(run.team.rows(torch.randint(len(steps), (options.batch_size,), generator=generator)), run.device)
        noise = run.team.rows(torch.randn((options.batch_size, *x.shape[1:]), generator=generator))
        noise = sent(noise, run.device)
        x_t = q_sample(steps, x_0, t, noise)
        output = trained(x_t, steps.timesteps[t].float(), y)
        loss = hybrid_loss(steps, output, x_0, x_t, t, noise, options.target, options.vlb_weight).mean()
        training.follow(optimizer, i, options)
        training.descend(loss, optimizer)
        training.update_average(averaged, model, options.ema_decay)
        if i + 1 in kept:
            kept[i + 1].load_state_dict(averaged.state_dict())
        return loss.detach()

    state = {"network": model, "averaged": averaged, "optimizer": optimizer, "batches": draw}
    state |= {f"averaged at {iteration}": network for iteration, network in kept.items()}
    training.loop(step, options.iterations, run, "ddpm", state, generator)
    facts = {"iterations": options.iterations, "ema": options.ema_decay, "target": options.target}
    process = {"schedule": options.schedule, "diffusion_steps": options.diffusion_steps}
    return training.Trained(averaged, network, facts | process, kept)


class Step(NamedTuple):
    """One step of a sampler's walk: the time (as networks see it) and x_0 of its prediction, and the x_t it led to."""

    time: int
    x_0: torch.Tensor
    x_t: torch.Tensor


@torch.no_grad()
def ancestral(
    network: torch.nn.Module,
    y: torch.Tensor | None,
    streams: rng.SampleStreams,
    schedule: Schedule,
    shape: tuple[int, int, int],
    target: str,
    clip_x_0: bool,
    guide: Guide | None = None,
) -> Iterator[Step]:
    """Ancestral sampling from x_T ~ N(0, I): yields each step, from the noisiest on; the last x_t is the sample.

    x_0 and x_t [N, *shape] are in the [-1, 1] scale, x_t is not clipped. With a guide each mean is moved by
    variance * guide(x_t, times) (Dhariwal & Nichol 2021, Alg. 1).
    """
    x_t = streams.randn(shape)
    times_seen = schedule.timesteps.tolist()  # at once: a GPU is not to be asked at each step
    for i in reversed(range(len(schedule))):
        t = torch.full((len(x_t),), i, device=x_t.device)
        times = schedule.timesteps[t].float()
        prediction = predict(schedule, network(x_t, times, y).float(), x_t, t, target, clip_x_0)
        mean = prediction.mean
        if guide is not None:
            mean = mean + prediction.log_variance.exp() * guide(x_t, times)
        x_t = mean if i == 0 else mean + (0.5 * prediction.log_variance).exp() * streams.randn(shape)
        yield Step(times_seen[i], prediction.x_0, x_t)


def sample_ddpm(
    network: torch.nn.Module,
    y: torch.Tensor | None,
    streams: rng.SampleStreams,
    shape: tuple[int, int, int],
    options: Ancestral,
    guide: Guide | None = None,
) -> torch.Tensor:
    """Images [N, *shape] in [0, 1] by ancestral sampling in `steps` of the `diffusion_steps` of training.

    schedule, diffusion_steps and target are those of training; all noise comes from each sample's stream.
    Raises InputError for a number of steps out of range.
    """
    respaced = make_schedule(options.schedule, options.diffusion_steps, options.steps, streams.device)
    walk = ancestral(network, y, streams, respaced, shape, options.target, options.clip_x_0, guide)
    (last,) = deque(walk, maxlen=1)
    return ((last.x_t + 1) / 2).clamp(0, 1)
