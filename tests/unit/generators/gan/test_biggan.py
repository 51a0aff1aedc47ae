"""BigGAN's networks and sampler: shapes, conditioning, per-sample streams, truncation."""

import numpy as np
import pytest
import torch

from pagboost import images, networks, rng
from pagboost.errors import InputError
from pagboost.generators.gan import biggan
from pagboost.options.reading import read
from pagboost.options.samplers import Latent, Sampler


def spec(size=16, channels=1, **changes):
    small = dict(num_classes=10, z_dim=12, embedding_dim=4, widths=[8, 8, 8], patch=1)
    return {"kind": "biggan_generator", "size": size, "channels": channels, **small, **changes}


def small_generator(**changes):
    torch.manual_seed(0)
    return networks.build(spec(**changes)).eval()


def small_discriminator(**changes):
    torch.manual_seed(0)
    options = dict(kind="biggan_discriminator", size=16, channels=1, num_classes=10, widths=[8, 8, 8], halvings=2)
    return networks.build({**options, **changes}).eval()


def sample(network, y, index, **options):
    streams = rng.SampleStreams("gan", np.zeros(len(index)), np.asarray(index))
    return biggan.sample_gan(network, y, streams, (1, 16, 16), Latent(**options))


@pytest.mark.parametrize(
    "options",
    [
        {"size": 16, "channels": 1, "patch": 2},
        {"size": 32, "channels": 3, "attention": 16},
        {"size": 64, "channels": 1, "resolution": 16, "patch": 2},
        {"size": 64, "channels": 3, "attention": 32},
    ],
)
def test_generator_and_discriminator_fit_every_size(options):
    g, d = small_generator(**options), small_discriminator(**options)
    y = torch.tensor([3, 7])
    x = g(torch.randn(2, 12), y)
    assert x.shape == (2, options["channels"], options["size"], options["size"])
    assert x.abs().max() <= 1.3  # tanh, and what a bicubic resize overshoots
    assert d(x, y).shape == (2,)


def test_a_lower_resolution_is_interpolated_to_the_size_and_back():
    small, large = small_generator(), small_generator(size=64, resolution=16)
    z, y = torch.randn(2, 12), torch.tensor([3, 7])
    torch.testing.assert_close(large(z, y), images.resize(small(z, y), 64))
    d_small, d_large = small_discriminator(), small_discriminator(size=64, resolution=16)
    x = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(d_large(x, y), d_small(images.resize(x, 16), y))


def test_a_sample_depends_on_its_stream_and_not_on_its_batch():
    g, y = small_generator(), torch.arange(6)
    together = sample(g, y, range(6))
    alone = torch.cat([sample(g, y[i : i + 1], [i]) for i in range(6)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert together.min() >= 0
    assert together.max() <= 1
    other = sample(g, y, range(6, 12))
    assert (together - other).abs().amax((1, 2, 3)).min() > 1e-3


def test_the_label_changes_the_image():
    g, z = small_generator(), torch.randn(1, 12).expand(10, -1)
    x = g(z, torch.arange(10))
    distances = torch.cdist(x.flatten(1), x.flatten(1)) + torch.eye(10)
    assert distances.min() > 1e-3


def test_every_chunk_of_z_reaches_the_image():
    g, z = small_generator(), torch.randn(1, 12, requires_grad=True)
    g(z, torch.tensor([0])).square().sum().backward()
    assert (z.grad.view(3, 4).abs().sum(1) > 0).all()


def test_the_projection_term_is_the_inner_product_with_the_class_embedding():
    d = small_discriminator()
    x, y = torch.randn(5, 1, 16, 16), torch.tensor([0, 1, 2, 3, 4])
    h = d.features(x)
    unconditional = d.linear(h).squeeze(1)
    inner = torch.stack([d.embedding.weight[c] @ h[i] for i, c in enumerate(y)])
    torch.testing.assert_close(d(x, y) - unconditional, inner, atol=1e-4, rtol=1e-4)
    assert inner.abs().min() > 1e-4


def test_truncation_bounds_z_and_keeps_its_order():
    z = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    cut = biggan.truncate(z, 0.5)
    assert cut.abs().max() <= 0.5
    assert (cut[z.argsort()].diff() >= 0).all()
    # variance of a standard normal truncated to [-t, t]: 1 - 2 t phi(t) / (2 Phi(t) - 1)
    assert cut.var().item() == pytest.approx(1 - 2 * 0.5 * 0.352065 / 0.382925, abs=0.003)
    torch.testing.assert_close(biggan.truncate(z, 8.0), z, atol=1e-5, rtol=0)


def test_truncated_images_differ_less_from_each_other():
    g, y = small_generator(), torch.zeros(32, dtype=torch.long)
    free, cut = sample(g, y, range(32)), sample(g, y, range(32), truncation=0.1)
    assert cut.std(0).mean() < 0.5 * free.std(0).mean()


def test_weights_survive_the_disk(tmp_path):
    g, path = small_generator(), tmp_path / "g.safetensors"
    networks.save(path, g, spec(), {"kind": "gan"})
    loaded, _ = networks.load(path, ["gan"])
    z, y = torch.randn(4, 12), torch.arange(4)
    torch.testing.assert_close(loaded(z, y), g(z, y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small_generator(size=18), "resolution: 18, expected a multiple of 4"),
        (lambda: small_generator(z_dim=13), "z_dim: 13, expected a multiple of 3"),
        (lambda: small_discriminator(halvings=5), "resolution: 16, expected a multiple of 32"),
        (lambda: small_generator(attention=4), "attention: 4, expected a block's resolution: 16, 8"),
        (lambda: small_discriminator(attention=16), "attention: 16, expected a block's resolution: 8, 4"),
        (
            lambda: read(Sampler, {"kind": "gan", "truncation": 0.0}, "sampler"),
            "sampler.truncation: 0.0, expected .* above 0",
        ),
        (
            lambda: sample(small_generator(channels=3), torch.zeros(1).long(), [0]),
            r"\[3, 16, 16\], expected \[1, 16, 16\]",
        ),
    ],
)
def test_bad_options_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
