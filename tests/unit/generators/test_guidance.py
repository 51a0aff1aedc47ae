"""Guidance: closed forms with Gaussian classes, where p(y | x_t) is known."""

import pytest
import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.generators import guidance
from pagboost.generators.diffusion import ddpm
from pagboost.generators.diffusion.schedule import make_schedule, respace
from pagboost.options.reading import read
from pagboost.options.samplers import Ancestral, Guided

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


PROCESS = {"schedule": "linear", "diffusion_steps": 1000, "steps": 100, "target": "noise", "clip_x_0": False}


def guided(network, y, classifier=None, **changed):
    """sample_guided of these classes; by the Bayes classifier unless another is given."""
    options = read(Guided, {"scale": 1.0, **PROCESS, **changed}, "sampler")
    return guidance.sample_guided(network, y, streams(len(y)), SHAPE, options, classifier or BayesClassifier())


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
    x = guided(MixtureDenoiser(), y) * 2 - 1
    for label, centre in enumerate((-CENTRE, CENTRE)):
        assert x[y == label].mean().item() == pytest.approx(centre, abs=0.06)
        assert x[y == label].std().item() == pytest.approx(STD, rel=0.15)


def test_scale_zero_is_no_guidance_and_more_goes_further():
    y = torch.ones(50, dtype=torch.long)
    unguided = read(Ancestral, {**PROCESS, "steps": 20}, "sampler")
    plain = ddpm.sample_ddpm(MixtureDenoiser(), y, streams(50), SHAPE, unguided)
    zero, one, many = (guided(MixtureDenoiser(), y, steps=20, scale=s) for s in (0.0, 1.0, 6.0))
    torch.testing.assert_close(zero, plain)
    assert plain.mean() < one.mean() < many.mean()


# -- a Gaussian image guided by a Gaussian classifier: every step has a closed form

PRIOR, SPREAD = 0.1, 0.4  # the images, N(PRIOR, SPREAD^2) in every pixel
SEEN, BLUR = 0.7, 0.3  # the condition: SEEN was measured in every pixel, with error N(0, BLUR^2)


def gaussian_posterior(x_t, times):
    """Mean and variance of x_0 given x_t."""
    signal = SCHEDULE.alphas_cumprod[times.long()].float().view(-1, 1, 1, 1)
    share = SPREAD**2 / (signal * SPREAD**2 + 1 - signal)
    return PRIOR + signal.sqrt() * share * (x_t - signal.sqrt() * PRIOR), share * (1 - signal)


def gaussian_denoiser(x_t, times, y=None):
    """E[noise | x_t], and v = 1."""
    signal = SCHEDULE.alphas_cumprod[times.long()].float().view(-1, 1, 1, 1)
    noise = (x_t - signal.sqrt() * gaussian_posterior(x_t, times)[0]) / (1 - signal).sqrt()
    return torch.cat([noise, torch.ones_like(noise)], 1)


def gaussian_log_probability(x_t, times):
    """log p(SEEN | x_t, t) up to a constant: SEEN ~ N(E[x_0 | x_t], Var[x_0 | x_t] + BLUR^2)."""
    mean, variance = gaussian_posterior(x_t, times)
    return (-((SEEN - mean) ** 2) / (2 * (variance + BLUR**2))).sum((1, 2, 3))


def gaussian_walk(n, steps, scale):
    guide = guidance.guide(gaussian_log_probability, scale)
    chosen = respace(SCHEDULE, steps)
    return list(ddpm.ancestral(gaussian_denoiser, None, streams(n), chosen, SHAPE, "noise", False, guide))


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_each_mean_is_shifted_by_the_closed_form(scale):
    chosen, noise = respace(SCHEDULE, 6), streams(3)
    x_t = noise.randn(SHAPE)
    for i, step in zip(reversed(range(6)), gaussian_walk(3, 6, scale), strict=True):
        time = torch.full((3,), step.time)
        signal, before = chosen.alphas_cumprod[i].item(), chosen.alphas_cumprod_prev[i].item()
        beta = 1 - signal / before
        mean, variance = gaussian_posterior(x_t, time)
        # x_{t-1}: Ho et al. 2020 Eq. 7 at E[x_0 | x_t]; d log p / d x_t = slope (SEEN - mean) / (variance + BLUR^2)
        unguided = (before**0.5 * beta * mean + (signal / before) ** 0.5 * (1 - before) * x_t) / (1 - signal)
        slope = signal**0.5 * SPREAD**2 / (signal * SPREAD**2 + 1 - signal)
        shift = scale * beta * slope * (SEEN - mean) / (variance + BLUR**2)
        expected = unguided + shift + (beta**0.5 * noise.randn(SHAPE) if i else 0)
        torch.testing.assert_close(step.x_t, expected, rtol=1e-3, atol=1e-3)
        x_t = step.x_t


def test_guided_samples_are_of_the_posterior():
    """Prior N(PRIOR, SPREAD^2) times likelihood N(SEEN, BLUR^2)."""
    x = gaussian_walk(500, 120, 1.0)[-1].x_t
    share = SPREAD**2 / (SPREAD**2 + BLUR**2)
    assert x.mean().item() == pytest.approx(PRIOR + share * (SEEN - PRIOR), abs=0.03)
    assert x.std().item() == pytest.approx((share * BLUR**2) ** 0.5, rel=0.08)


def test_the_same_streams_under_two_guides_share_their_noise():
    """With a linear denoiser the two trajectories differ by what the guides add, whatever noise was drawn."""
    chosen = respace(SCHEDULE, 10)

    def walk(first, push):
        guide = lambda x_t, times: torch.full_like(x_t, push)  # noqa: E731
        steps = ddpm.ancestral(gaussian_denoiser, None, streams(2, first), chosen, SHAPE, "noise", False, guide)
        return torch.stack([step.x_t for step in steps])

    here, there = (walk(first, 0.3) - walk(first, -0.3) for first in (0, 100))
    torch.testing.assert_close(here, there, rtol=1e-3, atol=1e-4)
    other_noise = walk(0, 0.3) - walk(100, 0.3)
    assert here.flatten(1).std(1).max() < 1e-3 < 0.1 < other_noise.flatten(1).std(1).min()
    # the pushes differ by 0.6 times the variance; nothing came before the first step
    torch.testing.assert_close(here[0], (0.6 * chosen.betas[-1]).float().expand_as(here[0]), rtol=1e-3, atol=1e-5)


# -- several classes in one image


def three_way(x_t, times):
    """Three classes whose logits are the pixels' left half, right half, and 0."""
    return torch.stack([x_t[..., 0].sum((1, 2)), x_t[..., 1].sum((1, 2)), torch.zeros(len(x_t))], 1)


def test_several_classes_add_their_weighted_gradients():
    x_t, times = torch.randn(4, *SHAPE, generator=rng.generator(2)), torch.full((4,), 10.0)
    labels, weights = torch.tensor([[0, 1], [1, 2], [2, 0], [1, 1]]), torch.tensor([1.0, 0.25])
    result = guidance.classifier_guidance(three_way, labels, 2.0, weights)(x_t, times)
    single = [guidance.classifier_guidance(three_way, y, 2.0)(x_t, times) for y in labels.unbind(1)]
    torch.testing.assert_close(result, single[0] + 0.25 * single[1])
    each = torch.tensor([[1.0, 0.25], [0.0, 2.0], [3.0, 0.0], [0.5, 0.5]])
    result = guidance.classifier_guidance(three_way, labels, 2.0, each)(x_t, times)
    expected = [each[i, 0] * single[0][i] + each[i, 1] * single[1][i] for i in range(4)]
    torch.testing.assert_close(result, torch.stack(expected))


def test_one_class_of_weight_one_is_plain_guidance_and_one_pass_serves_all():
    x_t, times = torch.randn(3, *SHAPE, generator=rng.generator(3)), torch.full((3,), 10.0)
    passes = []

    def counted(x_t, times):
        passes.append(len(x_t))
        return three_way(x_t, times)

    labels = torch.tensor([[0], [1], [2]])
    plain = guidance.classifier_guidance(three_way, labels[:, 0], 1.5)(x_t, times)
    torch.testing.assert_close(guidance.classifier_guidance(three_way, labels, 1.5, torch.ones(1))(x_t, times), plain)
    guidance.classifier_guidance(counted, labels.expand(-1, 3), 1.5, torch.ones(3))(x_t, times)
    assert passes == [3]


def test_an_image_guided_to_two_classes_shows_both():
    def sampled(labels, weights):
        guide = guidance.classifier_guidance(three_way, labels.expand(40, -1), 3.0, torch.tensor(weights))
        chosen = respace(SCHEDULE, 20)
        *_, last = ddpm.ancestral(gaussian_denoiser, None, streams(40), chosen, SHAPE, "noise", False, guide)
        return last.x_t.mean((0, 1, 2)) - PRIOR  # of the left half, the right half

    left, right = sampled(torch.tensor([0]), [1.0])
    assert left > 0.1 > right
    both = sampled(torch.tensor([0, 1]), [1.0, 1.0])
    assert both.min() > 0.1


def test_a_sampler_s_offsets_name_the_classes_beside_the_label():
    class ThreeWay(torch.nn.Module):
        num_classes = 3

        def forward(self, x_t, times):
            return three_way(x_t, times)

    class Denoiser(torch.nn.Module):
        def forward(self, x_t, times, y):
            return gaussian_denoiser(x_t, times, y)

    def sampled(y, scale, **offsets):
        return guided(Denoiser(), torch.tensor(y), ThreeWay(), scale=scale, steps=20, **offsets)

    plain = sampled([0, 2], 3.0)
    torch.testing.assert_close(sampled([0, 2], 3.0, class_offsets=[0]), plain)
    torch.testing.assert_close(sampled([2, 1], 3.0, class_offsets=[1]), plain)  # past the last class, the first
    torch.testing.assert_close(sampled([0, 2], 1.5, class_offsets=[0, 0]), plain)
    assert (sampled([0, 2], 3.0, class_offsets=[0, 1]) - plain).abs().max() > 0.01


@pytest.mark.parametrize(
    ("labels", "weights", "message"),
    [
        ([0, 1], [1.0, 1.0], r"weights: \[2\] for labels \[2\], expected"),
        ([[0, 1]], [1.0, 1.0, 1.0], r"weights: \[3\] for labels \[1, 2\], expected"),
        ([[0, 1], [1, 0]], [[1.0, 1.0]], r"weights: \[1, 2\] for labels \[2, 2\], expected"),
    ],
)
def test_weights_must_fit_the_labels(labels, weights, message):
    with pytest.raises(InputError, match=message):
        guidance.classifier_guidance(three_way, torch.tensor(labels), 1.0, torch.tensor(weights))


class LinearClassifier(torch.nn.Module):
    """Ignores the time; notes the mode it was called in."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)
        self.modes = []

    def forward(self, x_t, times):
        self.modes.append(self.training)
        return self.linear(x_t.flatten(1))


def test_scale_zero_does_not_ask_the_classifier():
    classifier = LinearClassifier()
    assert guidance.classifier_guidance(classifier, torch.tensor([0]), 0.0) is None
    guided(MixtureDenoiser(), torch.tensor([0]), classifier, steps=4, scale=0)
    assert classifier.modes == []


def test_classifier_guides_in_eval_mode_and_is_left_as_it_was():
    classifier = LinearClassifier().train()
    guided(MixtureDenoiser(), torch.tensor([0]), classifier, steps=2)
    assert classifier.modes == [False, False]
    assert classifier.training
    assert all(p.requires_grad and p.grad is None for p in classifier.parameters())
