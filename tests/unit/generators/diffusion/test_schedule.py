"""Noise schedules, respacing and the forward process: closed forms."""

import math
from typing import get_args

import pytest
import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.generators.diffusion import schedule
from pagboost.options.trainings import Schedule

SHAPE = (1, 2, 2)


def test_linear_schedule_is_ddpm_s():
    chosen = schedule.make_schedule("linear", 1000)
    assert chosen.betas.dtype == torch.float64
    assert chosen.betas[[0, -1]].tolist() == pytest.approx([1e-4, 0.02])
    assert chosen.betas[499] == pytest.approx(1e-4 + 499 / 999 * 0.0199)
    # the same noise at the end whatever the number of steps
    assert schedule.make_schedule("linear", 500).alphas_cumprod[-1] == pytest.approx(
        chosen.alphas_cumprod[-1].item(), rel=0.2
    )


def test_cosine_schedule_is_a_squared_cosine():
    chosen = schedule.make_schedule("cosine", 1000)
    f = [math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in (0, 1, 500, 999)]
    assert chosen.alphas_cumprod[[0, 499, 998]].tolist() == pytest.approx([f[1] / f[0], f[2] / f[0], f[3] / f[0]])
    assert chosen.betas.max() == 0.999


def test_options_name_every_schedule():
    assert set(get_args(Schedule)) == schedule.SCHEDULES.keys()


@pytest.mark.parametrize("name", schedule.SCHEDULES)
@pytest.mark.parametrize("steps", [2, 25, 250, 1000])
def test_respacing_keeps_the_noise_levels(name, steps):
    full, kept = schedule.make_schedule(name, 1000), schedule.make_schedule(name, 1000, steps)
    assert len(kept) == steps
    assert kept.timesteps[[0, -1]].tolist() == [0, 999]
    assert kept.timesteps.diff().max() - kept.timesteps.diff().min() <= 1
    torch.testing.assert_close(kept.alphas_cumprod, full.alphas_cumprod[kept.timesteps], rtol=1e-9, atol=1e-15)
    if steps == 1000:
        torch.testing.assert_close(kept.betas, full.betas, rtol=1e-9, atol=0)


def test_impossible_schedules_are_refused():
    with pytest.raises(InputError, match="schedule: sine, expected one of: linear, cosine"):
        schedule.make_schedule("sine", 1000)
    with pytest.raises(InputError, match=r"steps: 1001, expected 2\.\.1000"):
        schedule.make_schedule("linear", 1000, 1001)
    with pytest.raises(InputError, match="diffusion_steps: 10, too few for the linear"):
        schedule.make_schedule("linear", 10)
    with pytest.raises(InputError, match="diffusion_steps: 1, expected 2"):
        schedule.make_schedule("cosine", 1)


def test_q_sample_has_the_forward_process_s_moments():
    chosen = schedule.make_schedule("linear", 1000)
    noise = torch.randn(20_000, 1, 1, 1, generator=rng.generator(0))
    x_t = schedule.q_sample(chosen, torch.full_like(noise, 0.8), torch.full((20_000,), 300), noise)
    signal = chosen.alphas_cumprod[300].item()
    assert x_t.mean().item() == pytest.approx(0.8 * math.sqrt(signal), abs=0.03)
    assert x_t.var().item() == pytest.approx(1 - signal, rel=0.05)


def test_predict_x_0_inverts_q_sample():
    chosen = schedule.make_schedule("cosine", 1000)
    x_0, noise = torch.randn(2, 5, *SHAPE, dtype=torch.float64, generator=rng.generator(1))
    t = torch.tensor([0, 10, 500, 900, 999])
    x_t = schedule.q_sample(chosen, x_0, t, noise)
    torch.testing.assert_close(schedule.predict_x_0(chosen, x_t, t, noise), x_0)


@pytest.mark.parametrize("t", [1, 2, 100, 999])
def test_posterior_is_bayes_rule(t):
    chosen = schedule.make_schedule("linear", 1000)
    x_0, x_t = 0.4, -0.9
    # q(x_{t-1} | x_t, x_0) is the product of the prior N(sqrt(a) x_0, 1 - a) and the likelihood of x_t
    beta, before = chosen.betas[t].item(), chosen.alphas_cumprod[t - 1].item()
    precision = 1 / (1 - before) + (1 - beta) / beta
    mean = (math.sqrt(before) * x_0 / (1 - before) + math.sqrt(1 - beta) * x_t / beta) / precision
    image = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    result = schedule.posterior_mean(chosen, x_0 * image, x_t * image, torch.tensor([t]))
    assert result.item() == pytest.approx(mean)
    assert chosen.posterior_variance[t].item() == pytest.approx(1 / precision)
    assert chosen.posterior_log_variance[t].item() == pytest.approx(-math.log(precision))


def test_first_step_s_log_variance_is_the_second_s():
    chosen = schedule.make_schedule("linear", 1000)
    assert chosen.posterior_variance[0] == 0
    assert chosen.posterior_log_variance[0] == chosen.posterior_log_variance[1]
