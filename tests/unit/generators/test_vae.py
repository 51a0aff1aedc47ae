"""The VAE: its ELBO against closed forms, its networks, and a training that learns and resumes."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from pagboost import networks, rng, training
from pagboost.errors import InputError
from pagboost.generators import vae
from pagboost.generators.gan import biggan
from pagboost.options.reading import read
from pagboost.options.samplers import Latent
from pagboost.options.trainings import VAE

CPU = torch.device("cpu")
DECODER = dict(kind="vae_decoder", size=8, channels=1, z_dim=3, widths=[8, 8])
ENCODER = {**DECODER, "kind": "vae_encoder"}
OPTIONS = dict(encoder=ENCODER, sigma=0.5, iterations=4, batch_size=24, lr=3e-3, lr_end=0.0, warmup=0)


def data():
    """Flat images of greys spread over [0, 1]."""
    greys = torch.linspace(0.05, 0.95, 24).view(-1, 1, 1, 1)
    return training.Data(greys.expand(-1, 1, 8, 8).contiguous(), torch.arange(24) % 3, 3)


def train(run=None, network=DECODER, **changes):
    run = run or training.Run(0, CPU)
    return vae.train_vae(data(), network, run, {}, read(VAE, {**OPTIONS, **changes}, "training"))


def test_kl_is_that_of_normals():
    mean, log_variance = torch.randn(5, 4), torch.randn(5, 4)
    posterior = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(posterior, Normal(torch.zeros(5, 4), torch.ones(5, 4))).sum(1)
    torch.testing.assert_close(vae.kl_from_standard(mean, log_variance), expected)


class Constant(nn.Module):
    """q(z | x) = N(m, s^2) for every x."""

    def forward(self, x):
        return torch.full((len(x), 2), 0.5), torch.full((len(x), 2), 2 * math.log(0.1))


class Spread(nn.Module):
    """Each image is flat at the sum of its z."""

    def forward(self, z, y=None):
        return z.sum(1).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def test_the_elbo_by_hand():
    x, noise = torch.zeros(2, 1, 2, 2), torch.tensor([[1.0, -1.0], [2.0, 1.0]])
    kl = 2 * (0.25 + 0.01 - 1 - 2 * math.log(0.1)) / 2
    levels = [1.0, 1.3]  # sums of 0.5 + 0.1 noise
    errors = [4 * level**2 / (2 * 0.5**2) for level in levels]
    assert vae.negative_elbo(Constant(), Spread(), x, noise, 0.5).item() == pytest.approx(kl + sum(errors) / 2)


@pytest.mark.parametrize("options", [{}, {"size": 16, "channels": 3}])
def test_networks_mirror_each_other(options):
    torch.manual_seed(0)
    encoder, decoder = networks.build({**ENCODER, **options}), networks.build({**DECODER, **options})
    x = decoder(torch.randn(2, 3), torch.tensor([0, 1]))
    assert x.shape == (2, *decoder.shape) == (2, options.get("channels", 1), *(2 * [options.get("size", 8)]))
    assert x.abs().max() <= 1
    assert [moment.shape for moment in encoder(x)] == [(2, 3), (2, 3)]
    assert decoder.num_classes is None


def test_training_draws_images_like_the_data():
    trained = train(iterations=150, lr=1e-2)
    assert not trained.network.training
    streams = rng.SampleStreams("vae", [0] * 200, range(200))
    x = biggan.sample_gan(trained.network, torch.zeros(200).long(), streams, (1, 8, 8), Latent())
    assert x.std((1, 2, 3)).mean() < 0.05  # flat
    grey = x.mean((1, 2, 3))
    assert grey.std() > 0.1  # of any grey, of which the data's spread is 0.28
    assert grey.mean().item() == pytest.approx(0.5, abs=0.15)
    assert trained.facts["diversity"] > 0.4


def test_one_grey_image_counts_as_collapsed_but_at_the_start():
    assert train(iterations=3, lr=1e-9).facts["diversity"] < 0.1
    with pytest.raises(InputError, match="vae: the generator collapsed, its images spread 0.0"):
        train(iterations=vae.HARDLY_TRAINED, lr=1e-9)


def test_equal_seeds_train_equal_decoders_and_a_killed_run_ends_the_same(tmp_path, monkeypatch):
    expected = train().network.state_dict()
    run = training.Run(0, CPU, tmp_path / "state.pt", save_every=0.0)
    descend, calls = training.descend, []

    def killed(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        descend(*args)

    monkeypatch.setattr(training, "descend", killed)
    with pytest.raises(KeyboardInterrupt):
        train(run)
    torch.manual_seed(123)
    resumed = train(run).network.state_dict()
    assert len(calls) == 3 + 2
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())
    other = train(training.Run(1, CPU)).network.state_dict()
    assert not torch.equal(other["stem.weight"], expected["stem.weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network": {**DECODER, "size": 16}},
            r"vae: the decoder makes images .* \[1, 16, 16\], expected .* \[1, 8, 8\]",
        ),
        ({"encoder": {**ENCODER, "z_dim": 2}}, "training.encoder.z_dim: 2, expected 3"),
        ({"encoder": {**ENCODER, "channels": 3}}, "training.encoder.channels: 3, expected 1"),
        ({"encoder": {**ENCODER, "depth": 2}}, "training.encoder.depth: unknown key"),
        ({"network": {**DECODER, "size": 10}}, r"size: 10, expected a multiple of 4 \(widths: 2 halvings"),
        ({"lr": 1e30}, "vae: loss (nan|inf)"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        train(**changes)
