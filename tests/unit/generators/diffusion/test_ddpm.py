"""DDPM: learned variance and likelihood in closed form; a sampler whose answer is known; training that learns."""

import math
from typing import get_args

import pytest
import torch
from scipy import stats

from pagboost import rng, training
from pagboost.errors import InputError
from pagboost.generators.diffusion import ddpm
from pagboost.generators.diffusion.schedule import SCHEDULES, make_schedule, posterior_mean, q_sample, respace
from pagboost.options.kinds import hints
from pagboost.options.reading import read, unwrapped
from pagboost.options.samplers import Ancestral
from pagboost.options.trainings import DDPM

SHAPE = (1, 2, 2)
TARGETS = get_args(unwrapped(hints(DDPM)["target"])[0])


def streams(n, first=0):
    return rng.SampleStreams("test", [0] * n, range(first, first + n))


def sampler(**changed):
    options = {"schedule": "linear", "diffusion_steps": 1000, "target": "noise", "clip_x_0": True, **changed}
    return read(Ancestral, options, "sampler")


class GaussianDenoiser(torch.nn.Module):
    """E[noise | x_t] for data N(mean, std^2), and a constant v."""

    def __init__(self, schedule, mean, std, v=-1.0):
        super().__init__()
        self.schedule, self.mean, self.std, self.v = schedule, mean, std, v

    def forward(self, x_t, times, y=None):
        signal = self.schedule.alphas_cumprod[times.long()].float().view(-1, 1, 1, 1)
        noise = (1 - signal).sqrt() * (x_t - signal.sqrt() * self.mean) / (signal * self.std**2 + 1 - signal)
        return torch.cat([noise, torch.full_like(noise, self.v)], 1)


@pytest.mark.parametrize(("v", "column"), [(-1.0, "posterior"), (1.0, "beta"), (0.0, "geometric mean")])
def test_learned_variance_lies_between_posterior_and_beta(v, column):
    schedule = make_schedule("linear", 1000)
    low, high = schedule.posterior_log_variance[7], schedule.betas[7].log()
    expected = {"posterior": low, "beta": high, "geometric mean": (low + high) / 2}[column]
    output = torch.cat([torch.zeros(1, *SHAPE), torch.full((1, *SHAPE), v)], 1)
    prediction = ddpm.predict(schedule, output, torch.zeros(1, *SHAPE), torch.tensor([7]), "noise", clip_x_0=False)
    torch.testing.assert_close(prediction.log_variance, expected.float().expand(1, *SHAPE))


def test_clipping_bounds_x_0_but_not_x_t():
    schedule = make_schedule("linear", 1000)
    x_t, t = torch.full((1, *SHAPE), 3.0), torch.tensor([500])
    output = torch.zeros(1, 2, 2, 2)
    free, clipped = (ddpm.predict(schedule, output, x_t, t, "noise", clip_x_0=clip) for clip in (False, True))
    assert free.x_0.min() > 1
    assert clipped.x_0.max() == 1
    assert clipped.mean.min() > 1  # still near x_t


def test_kl_is_the_integral():
    p, q = stats.norm(0.3, 0.5), stats.norm(-0.2, 0.8)
    expected = p.expect(lambda x: p.logpdf(x) - q.logpdf(x))
    log_variance = [torch.tensor(s**2).log() for s in (0.5, 0.8)]
    kl = ddpm.normal_kl(torch.tensor(0.3), log_variance[0], torch.tensor(-0.2), log_variance[1])
    assert kl.item() == pytest.approx(expected, rel=1e-4)


def test_discretised_likelihood_is_the_bin_s_mass():
    mean, std = 0.1, 0.2
    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    nll = ddpm.discretised_nll(levels, torch.full_like(levels, mean), torch.full_like(levels, 2 * math.log(std)))
    assert nll.neg().exp().sum().item() == pytest.approx(1)
    inner = stats.norm(mean, std).cdf(levels[130] + 1 / 255) - stats.norm(mean, std).cdf(levels[130] - 1 / 255)
    assert nll[130].item() == pytest.approx(-math.log(inner))
    assert nll[255].item() == pytest.approx(-stats.norm(mean, std).logsf(levels[255] - 1 / 255), rel=1e-3)


def test_variance_loss_trains_the_variance_alone():
    schedule = make_schedule("linear", 1000)
    x_0, noise = torch.rand(2, 4, *SHAPE, generator=rng.generator(2)) * 2 - 1
    t = torch.tensor([0, 5, 500, 999])
    x_t = q_sample(schedule, x_0, t, noise)
    output = torch.zeros(4, 2, 2, 2, requires_grad=True)
    with_bound, without = (
        torch.autograd.grad(ddpm.hybrid_loss(schedule, output, x_0, x_t, t, noise, "noise", weight).sum(), output)[0]
        for weight in (0.001, 0.0)
    )
    torch.testing.assert_close(with_bound[:, :1], without[:, :1])
    assert with_bound[:, 1:].abs().amin() > 0
    assert without[:, 1:].abs().max() == 0


def test_hybrid_loss_is_zero_for_the_truth_and_the_posterior_variance():
    schedule = make_schedule("linear", 1000)
    x_0, noise = torch.rand(2, 3, *SHAPE, generator=rng.generator(3)) * 2 - 1
    output = torch.cat([noise, torch.full_like(noise, -1.0)], 1)
    t = torch.tensor([3, 500, 999])
    loss = ddpm.hybrid_loss(schedule, output, x_0, q_sample(schedule, x_0, t, noise), t, noise, "noise", 0.001)
    torch.testing.assert_close(loss, torch.zeros(3), rtol=0, atol=1e-4)


def test_bound_is_a_likelihood_at_the_first_step_and_a_divergence_after():
    schedule = make_schedule("linear", 1000)
    x_0, x_t = torch.rand(2, 2, *SHAPE, generator=rng.generator(5)) * 2 - 1
    t = torch.tensor([0, 1])
    prediction = ddpm.predict(schedule, torch.zeros(2, 2, 2, 2), x_t, t, "noise", clip_x_0=False)
    bound = ddpm.variational_bound(schedule, prediction, x_0, x_t, t) * math.log(2)
    nll = ddpm.discretised_nll(x_0[0], prediction.mean[0], prediction.log_variance[0])
    truth = posterior_mean(schedule, x_0, x_t, t)[1]
    log_variance = schedule.posterior_log_variance[1].float()
    kl = ddpm.normal_kl(truth, log_variance, prediction.mean[1], prediction.log_variance[1])
    torch.testing.assert_close(bound, torch.stack([nll.mean(), kl.mean()]))


@pytest.mark.parametrize("name", SCHEDULES)
def test_ancestral_sampling_recovers_a_gaussian(name):
    schedule, mean, std = make_schedule(name, 1000), 0.2, 0.3
    denoiser = GaussianDenoiser(schedule, mean, std, v=1.0)  # at 250 steps the two bounds all but agree
    *_, last = ddpm.ancestral(denoiser, None, streams(600), respace(schedule, 250), SHAPE, "noise", clip_x_0=False)
    x_0 = last.x_t
    assert x_0.mean().item() == pytest.approx(mean, abs=0.03)
    assert x_0.std().item() == pytest.approx(std, rel=0.06)


def test_samples_are_images_and_do_not_depend_on_their_batch():
    schedule = make_schedule("linear", 1000)
    options = sampler(steps=10)
    denoiser = GaussianDenoiser(schedule, 0.9, 0.5)
    together = ddpm.sample_ddpm(denoiser, None, streams(6), SHAPE, options)
    alone = ddpm.sample_ddpm(denoiser, None, streams(1, first=4), SHAPE, options)
    torch.testing.assert_close(together[4:5], alone)
    assert together.dtype == torch.float32
    assert together.min() >= 0
    assert together.max() <= 1
    assert together.std(0).min() > 0


def test_guide_moves_the_mean_by_variance_times_gradient():
    schedule = make_schedule("linear", 1000, 2)
    denoiser, seen = GaussianDenoiser(make_schedule("linear", 1000), 0.0, 1.0), []

    def guide(x_t, times):
        seen.append(times.tolist())
        return torch.full_like(x_t, 2.0 if times[0] == 0 else 0.0)

    *_, plain = ddpm.ancestral(denoiser, None, streams(1), schedule, SHAPE, "noise", clip_x_0=False)
    *_, guided = ddpm.ancestral(denoiser, None, streams(1), schedule, SHAPE, "noise", clip_x_0=False, guide=guide)
    assert seen == [[999.0], [0.0]]
    variance = schedule.posterior_log_variance[0].exp().float()
    torch.testing.assert_close(guided.x_t - plain.x_t, (2 * variance).expand(1, *SHAPE), rtol=1e-2, atol=1e-6)


def test_a_walk_yields_each_step_s_prediction_and_where_it_led():
    schedule = make_schedule("linear", 1000)
    denoiser, respaced = GaussianDenoiser(schedule, 0.2, 0.3), respace(schedule, 5)
    walk = list(ddpm.ancestral(denoiser, None, streams(3), respaced, SHAPE, "noise", clip_x_0=False))
    assert [step.time for step in walk] == respaced.timesteps.flip(0).tolist()
    noise = streams(3)
    x_t = noise.randn(SHAPE)  # x_T
    for step in walk:
        signal = schedule.alphas_cumprod[step.time].item()
        # E[x_0 | x_t] of a Gaussian, by Bayes' rule
        expected = 0.2 + signal**0.5 * 0.3**2 / (signal * 0.3**2 + 1 - signal) * (x_t - signal**0.5 * 0.2)
        torch.testing.assert_close(step.x_0, expected, rtol=1e-3, atol=1e-3)
        x_t = step.x_t
    torch.testing.assert_close(walk[-1].x_t, walk[-1].x_0)  # the last step adds no noise


def test_the_sample_is_the_walk_s_end_clipped():
    schedule = make_schedule("linear", 1000)
    denoiser = GaussianDenoiser(schedule, 0.9, 0.5)
    *_, last = ddpm.ancestral(denoiser, None, streams(4), respace(schedule, 6), SHAPE, "noise", clip_x_0=False)
    x = ddpm.sample_ddpm(denoiser, None, streams(4), SHAPE, sampler(steps=6, clip_x_0=False))
    assert torch.equal(x, ((last.x_t + 1) / 2).clamp(0, 1))
    assert last.x_t.max() > 1


def test_all_steps_kept_are_the_full_schedule():
    schedule = make_schedule("linear", 50)
    denoiser = GaussianDenoiser(schedule, 0.2, 0.3)
    full, kept = (
        [step.x_t for step in ddpm.ancestral(denoiser, None, streams(3), chosen, SHAPE, "noise", clip_x_0=False)]
        for chosen in (schedule, respace(schedule, 50))
    )
    torch.testing.assert_close(torch.stack(kept), torch.stack(full))


def test_a_respaced_step_predicts_what_the_full_schedule_does_there():
    schedule = make_schedule("linear", 1000)
    respaced, x_t = respace(schedule, 7), torch.randn(7, *SHAPE, generator=rng.generator(6))
    output = torch.cat([torch.randn(7, *SHAPE, generator=rng.generator(7)), torch.zeros(7, *SHAPE)], 1)
    there = ddpm.predict(respaced, output, x_t, torch.arange(7), "noise", clip_x_0=False)
    here = ddpm.predict(schedule, output, x_t, respaced.timesteps, "noise", clip_x_0=False)
    torch.testing.assert_close(there.x_0, here.x_0)
    # longer steps back have more variance; the first reaches x_0 in both
    assert (there.log_variance[1:] > here.log_variance[1:]).all()


NETWORK = {
    "kind": "unet",
    "image_size": 4,
    "in_channels": 1,
    "out_channels": 2,
    "model_channels": 8,
    "num_res_blocks": 1,
    "attention_resolutions": [],
    "channel_mult": [1],
    "num_heads": 1,
    "num_classes": 2,
    "norm_groups": 4,
}


TRAINING = {
    "schedule": "linear",
    "diffusion_steps": 1000,
    "batch_size": 32,
    "lr": 1e-2,
    "lr_end": 1e-2,
    "warmup": 0,
    "weight_decay": 0.0,
    "ema_decay": 0.9,
    "vlb_weight": 0.001,
}


def train(iterations, target="noise", seed=0, **options):
    y = torch.arange(32) % 2
    data = training.Data(y.float().view(-1, 1, 1, 1).expand(-1, 1, 4, 4), y, 2)
    options = read(DDPM, {**TRAINING, "iterations": iterations, "target": target, **options}, "training")
    return ddpm.train_ddpm(data, NETWORK, training.Run(seed=seed, device=torch.device("cpu")), {}, options)


@pytest.mark.parametrize("target", TARGETS)
def test_training_learns_the_classes(target):
    trained = train(80, target)
    assert trained.facts == {
        "iterations": 80,
        "ema": 0.9,
        "schedule": "linear",
        "diffusion_steps": 1000,
        "target": target,
    }
    y = torch.arange(2).repeat(10)
    x = ddpm.sample_ddpm(trained.network, y, streams(20), (1, 4, 4), sampler(steps=20, target=target))
    assert x[y == 0].mean() < 0.3
    assert x[y == 1].mean() > 0.7


def test_training_is_a_function_of_its_seed():
    first, again, other = (train(2, seed=seed).network.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_checkpoints_are_the_average_as_it_was_and_change_nothing():
    plain, kept = train(4), train(4, checkpoints=[1, 3, 4])
    assert plain.checkpoints == {}
    assert list(kept.checkpoints) == [1, 3, 4]
    first, third, last = (network.state_dict() for network in kept.checkpoints.values())
    for other, same in ((plain, last), (kept, last), (train(1), first), (train(3), third)):
        assert all(torch.equal(value, same[key]) for key, value in other.network.state_dict().items())
    assert not all(torch.equal(value, third[key]) for key, value in last.items())
    assert not any(network.training for network in kept.checkpoints.values())


def test_a_killed_training_keeps_the_checkpoints_it_had(tmp_path, monkeypatch):
    whole = train(4, checkpoints=[1, 4])
    run = training.Run(0, torch.device("cpu"), tmp_path / "ddpm.state", save_every=0.0)
    monkeypatch.setattr(training, "Run", lambda **_: run)
    update, done = training.update_average, []

    def killed(*arguments):
        done.append(1)
        if len(done) == 3:
            raise KeyboardInterrupt
        update(*arguments)

    monkeypatch.setattr(training, "update_average", killed)
    with pytest.raises(KeyboardInterrupt):
        train(4, checkpoints=[1, 4])
    resumed = train(4, checkpoints=[1, 4])
    assert len(done) == 5  # two updates, the kill, two more
    for iteration, network in resumed.checkpoints.items():
        expected = whole.checkpoints[iteration].state_dict()
        assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())


def test_both_targets_mean_the_same_step():
    schedule = make_schedule("linear", 1000)
    x_0, noise = torch.rand(2, 3, *SHAPE, dtype=torch.float64, generator=rng.generator(4)) * 2 - 1
    t = torch.tensor([3, 500, 999])
    x_t, v = q_sample(schedule, x_0, t, noise), torch.zeros_like(x_0)
    by_noise = ddpm.predict(schedule, torch.cat([noise, v], 1), x_t, t, "noise", clip_x_0=False)
    by_x_0 = ddpm.predict(schedule, torch.cat([x_0, v], 1), x_t, t, "x_0", clip_x_0=False)
    torch.testing.assert_close(by_noise.mean, by_x_0.mean)
    loss = ddpm.hybrid_loss(schedule, torch.cat([x_0, v - 1], 1), x_0, x_t, t, noise, "x_0", 0.001)
    torch.testing.assert_close(loss, torch.zeros_like(loss), rtol=0, atol=1e-6)


def test_unknown_target_is_refused():
    assert set(TARGETS) == {"noise", "x_0"}
    with pytest.raises(InputError, match="target: 'v', expected one of: noise, x_0"):
        train(1, target="v")
    with pytest.raises(InputError, match="target: 'v', expected one of: noise, x_0"):
        sampler(steps=2, target="v")


def test_steps_of_a_sampler_are_those_of_its_training():
    with pytest.raises(InputError, match=r"steps: 1001, expected 2\.\.1000"):
        ddpm.sample_ddpm(None, None, streams(1), SHAPE, sampler(steps=1001))
