import math

import pytest
import torch

from pagboost import networks, training
from pagboost.errors import InputError
from pagboost.generators.diffusion import karras
from pagboost.images import per_image
from pagboost.options.reading import read
from pagboost.options.samplers import Heun
from pagboost.options.trainings import EDM
from pagboost.rng import SampleStreams

NETWORK = {
    "kind": "unet",
    "image_size": 4,
    "in_channels": 1,
    "out_channels": 1,
    "model_channels": 8,
    "num_res_blocks": 0,
    "attention_resolutions": [],
    "channel_mult": [1],
    "num_heads": 1,
    "num_classes": 2,
    "norm_groups": 4,
}
TRAINING = {
    "batch_size": 16,
    "lr": 5e-3,
    "lr_end": 0.0,
    "warmup": 5,
    "ema_decay": 0.9,
    "p_mean": -1.2,
    "p_std": 1.2,
}


def test_sigmas_are_even_in_the_root_in_float64_and_end_exactly():
    sigmas = karras.sigmas_karras(18)
    assert sigmas.dtype == torch.float64
    assert sigmas[0] == 80.0 and sigmas[-1] == 0.002
    for i in range(18):
        closed_form = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
        assert float(sigmas[i]) == pytest.approx(closed_form, rel=1e-12)


@pytest.mark.parametrize("options", [{"n": 1}, {"n": 4, "sigma_min": 90.0}, {"n": 4, "sigma_min": 0.0}])
def test_levels_out_of_order_are_refused(options):
    with pytest.raises(InputError, match="sigmas"):
        karras.sigmas_karras(**options)


def test_preconditioning_gives_unit_variance_input_and_target():
    """The two conditions that define c_in, c_skip and c_out (Karras App. B.6), not their formulas again."""
    sigma, sigma_data = torch.tensor([0.002, 0.3, 0.5, 7.0, 80.0], dtype=torch.float64), 0.5
    c_skip, c_out, c_in = karras.scalings(sigma)
    input_variance = c_in**2 * (sigma_data**2 + sigma**2)
    target_variance = ((1 - c_skip) ** 2 * sigma_data**2 + c_skip**2 * sigma**2) / c_out**2
    torch.testing.assert_close(input_variance, torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(target_variance, torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(karras.loss_weight(sigma) * c_out**2, torch.ones(5, dtype=torch.float64))


def test_preconditioning_at_sigma_data_is_even():
    c_skip, c_out, c_in = karras.scalings(torch.tensor([0.5], dtype=torch.float64))
    assert float(c_skip) == 0.5
    assert float(c_out) == pytest.approx(0.5 / math.sqrt(2))
    assert float(c_in) == pytest.approx(math.sqrt(2))


def test_networks_see_a_quarter_log_sigma_in_thousandths():
    assert float(karras.time_input(torch.tensor([math.e**2], dtype=torch.float64))) == pytest.approx(500)


def test_denoiser_scales_the_networks_input_and_output():
    seen = []

    def network(x, t, y):
        seen.append((x, t, y))
        return torch.ones_like(x)

    x, sigma, y = torch.full((2, 1, 2, 2), 3.0), torch.tensor([0.5, 1.2], dtype=torch.float64), torch.tensor([0, 1])
    denoised = karras.denoiser(network, y)(x, sigma)
    c_skip, c_out, c_in = (c.float().view(2, 1, 1, 1) for c in karras.scalings(sigma))
    torch.testing.assert_close(denoised, c_skip * x + c_out)
    torch.testing.assert_close(seen[0][0], c_in * x)
    assert seen[0][1].dtype == x.dtype and seen[0][2] is y


S = 0.7  # standard deviation of the Gaussian data of the next tests, whose denoiser and ODE are known


def gaussian_denoiser(x, sigma):
    return x * per_image(S**2 / (S**2 + sigma**2), x)


def exact_flow(x, sigma, sigma_next):
    return x * math.sqrt((S**2 + sigma_next**2) / (S**2 + sigma**2))


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_solvers_converge_to_the_exact_flow_with_their_order(solver, order):
    x = torch.tensor([[[[1.5]]]], dtype=torch.float64)
    exact = exact_flow(x, 2.0, 0.1)
    errors = []
    for steps in (64, 128):
        sigmas, state = torch.linspace(2.0, 0.1, steps + 1, dtype=torch.float64), x
        for i in range(steps):
            state = karras.SOLVERS[solver](gaussian_denoiser, state, sigmas[i : i + 1], sigmas[i + 1 : i + 2])
        errors.append(float((state - exact).abs()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_integration_turns_noise_into_the_data_distribution():
    x = 80 * torch.randn(3, 1, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    calls = []

    def counted(x, sigma):
        calls.append(float(sigma[0]))
        return gaussian_denoiser(x, sigma)

    end = karras.integrate(counted, x, karras.sigmas_karras(100))
    torch.testing.assert_close(end, exact_flow(x, 80.0, 0.0), rtol=2e-3, atol=0)
    assert len(calls) == 199 and calls[0] == 80.0


def test_samples_belong_to_their_streams_not_to_their_batch():
    torch.manual_seed(0)
    network = networks.build(NETWORK).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)

    def sample(index):
        streams = SampleStreams("test", [0] * len(index), index)
        return karras.sample_heun(network, torch.tensor(index) % 2, streams, (1, 4, 4), Heun(steps=4))

    together = sample([0, 1, 2, 3])
    assert together.shape == (4, 1, 4, 4) and together.min() >= 0 and together.max() <= 1
    torch.testing.assert_close(sample([2]), together[2:3], rtol=0, atol=1e-4)
    assert (together[0] - together[2]).abs().max() > 0.01


def two_grey_levels():
    """Class 0 is dark, class 1 bright: what a class-conditional model must keep apart."""
    y = torch.arange(32) % 2
    return training.Data((0.25 + 0.5 * y.float()).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous(), y, 2)


def test_training_learns_each_class_and_repeats_itself():
    run = training.Run(seed=0, device=torch.device("cpu"))
    options, short = (read(EDM, TRAINING | {"iterations": n}, "training") for n in (80, 3))
    trained = karras.train_edm(two_grey_levels(), NETWORK, run, {}, options)
    again, same = (karras.train_edm(two_grey_levels(), NETWORK, run, {}, short) for _ in range(2))
    y = torch.tensor([0, 1, 0, 1])
    x = karras.sample_heun(trained.network, y, SampleStreams("test", [0] * 4, range(4)), (1, 4, 4), Heun(steps=8))
    torch.testing.assert_close(x.mean((1, 2, 3)), 0.25 + 0.5 * y.float(), rtol=0, atol=0.1)
    assert trained.facts["iterations"] == 80 and not trained.network.training
    for a, b in zip(again.network.parameters(), same.network.parameters(), strict=True):
        assert torch.equal(a, b)
