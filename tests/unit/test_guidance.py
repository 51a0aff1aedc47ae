"""Guidance: closed forms with Gaussian classes, where p(y | x_t) is known."""

import pytest
import torch

from pagboost import guidance, rng
from pagboost.diffusion import ddpm
from pagboost.diffusion.schedule import make_schedule

SHAPE = (1, 2, 2)
SCHEDULE = make_schedule("linear", 1000)
CENTRE, STD = 0.5, 0.3  # two classes, N(-CENTRE, STD^2) and N(+CENTRE, STD^2) in every pixel, equally likely


def marginal(times):
    """(sqrt(alphas_cumprod), variance of x_t within a class), shaped for images."""
    signal = SCHEDULE.alphas_cumprod[times.long()].float().view(-1, 1, 1, 1)
    return signal.sqrt(), signal * STD**2 + 1 - signal


class BayesClassifier(torch.nn.Module):
    """The exact logits of the two classes given x_t."""

    def forward(self, x_t, times):
        scale, variance = marginal(times)
        return torch.stack([(-((x_t - c * scale) ** 2) / (2 * variance)).sum((1, 2, 3)) for c in (-CENTRE, CENTRE)], 1)


class MixtureDenoiser(torch.nn.Module):
    """E[noise | x_t] without knowing the class, and v = 1."""

    def forward(self, x_t, times, y=None):
        scale, variance = marginal(times)
        share = BayesClassifier()(x_t, times).softmax(1)
        mean = (CENTRE * (share[:, 1] - share[:, 0])).view(-1, 1, 1, 1)
        noise = (1 - scale**2).sqrt() * (x_t - scale * mean) / variance
        return torch.cat([noise, torch.ones_like(noise)], 1)


def streams(n, first=0):
    return rng.SampleStreams("test", [0] * n, range(first, first + n))


def options(**changed):
    return {
        "classifier": BayesClassifier(),
        "scale": 1.0,
        "shape": SHAPE,
        "schedule": "linear",
        "diffusion_steps": 1000,
        "steps": 100,
        "target": "noise",
        "clip_x_0": False,
        **changed,
    }


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_guide_is_the_scaled_gradient_of_log_p(scale):
    x_t = torch.randn(5, *SHAPE, generator=rng.generator(0))
    times, y = torch.full((5,), 400.0), torch.tensor([0, 1, 0, 1, 1])
    result = guidance.classifier_guidance(BayesClassifier(), y, scale)(x_t, times)
    # log p(y | x) = log sigmoid(s k sum x), k = 2 CENTRE sqrt(a) / variance, s = -1 or 1
    root, variance = marginal(times)
    sign, k = (2.0 * y - 1).view(-1, 1, 1, 1), 2 * CENTRE * root / variance
    expected = scale * sign * k * torch.sigmoid(-sign * k * x_t.sum((1, 2, 3), keepdim=True))
    torch.testing.assert_close(result, expected.expand_as(x_t))


def test_guide_does_not_depend_on_the_batch():
    x_t = torch.randn(4, *SHAPE, generator=rng.generator(1))
    times, y = torch.tensor([1.0, 300.0, 700.0, 999.0]), torch.tensor([0, 1, 1, 0])
    whole = guidance.classifier_guidance(BayesClassifier(), y, 1.0)(x_t, times)
    one = guidance.classifier_guidance(BayesClassifier(), y[2:3], 1.0)(x_t[2:3], times[2:3])
    torch.testing.assert_close(whole[2:3], one)


def test_unconditional_model_with_bayes_guidance_samples_the_class():
    y = torch.arange(2).repeat(300)
    x = guidance.sample_guided(MixtureDenoiser(), y, streams(600), **options()) * 2 - 1
    for label, centre in enumerate((-CENTRE, CENTRE)):
        assert x[y == label].mean().item() == pytest.approx(centre, abs=0.06)
        assert x[y == label].std().item() == pytest.approx(STD, rel=0.15)


def test_scale_zero_is_no_guidance_and_more_goes_further():
    y = torch.ones(50, dtype=torch.long)
    plain = ddpm.sample_ddpm(
        MixtureDenoiser(),
        y,
        streams(50),
        shape=SHAPE,
        schedule="linear",
        diffusion_steps=1000,
        steps=20,
        target="noise",
        clip_x_0=False,
    )
    zero, one, many = (
        guidance.sample_guided(MixtureDenoiser(), y, streams(50), **options(steps=20, scale=s)) for s in (0.0, 1.0, 6.0)
    )
    torch.testing.assert_close(zero, plain)
    assert plain.mean() < one.mean() < many.mean()


class LinearClassifier(torch.nn.Module):
    """Ignores the time; notes the mode it was called in."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)
        self.modes = []

    def forward(self, x_t, times):
        self.modes.append(self.training)
        return self.linear(x_t.flatten(1))


def test_classifier_guides_in_eval_mode_and_is_left_as_it_was():
    classifier = LinearClassifier().train()
    guidance.sample_guided(MixtureDenoiser(), torch.tensor([0]), streams(1), **options(classifier=classifier, steps=2))
    assert classifier.modes == [False, False]
    assert classifier.training
    assert all(p.requires_grad and p.grad is None for p in classifier.parameters())
