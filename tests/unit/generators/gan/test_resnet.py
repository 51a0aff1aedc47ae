"""The residual networks: shapes, each way of conditioning, heads, spectral norm or none."""

from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from pagboost import networks, rng
from pagboost.errors import InputError
from pagboost.generators.gan import biggan, resnet
from pagboost.options.kinds import hints
from pagboost.options.networks import ResNetDiscriminator
from pagboost.options.reading import unwrapped
from pagboost.options.samplers import Latent


def generator(**changes):
    torch.manual_seed(0)
    options = dict(kind="resnet_generator", size=16, channels=1, num_classes=None, z_dim=6, widths=[8, 8, 4])
    return networks.build({**options, **changes}).eval()


def discriminator(**changes):
    torch.manual_seed(0)
    options = dict(size=16, channels=1, num_classes=None, widths=[4, 8, 8], halvings=2, spectral=True)
    return networks.build({"kind": "resnet_discriminator", **options, **changes}).eval()


@pytest.mark.parametrize("options", [{"patch": 2}, {"size": 32, "channels": 3}])
def test_generator_and_discriminator_fit_every_size(options):
    g, d, y = generator(**options), discriminator(**options), torch.tensor([1, 2])
    x = g(torch.randn(2, 6), y)
    assert x.shape == (2, *g.shape) == (2, options.get("channels", 1), options.get("size", 16), options.get("size", 16))
    assert x.abs().max() <= 1
    assert d(x, y).shape == (2,)
    assert g.num_classes is None


def test_unconditional_networks_ignore_the_label():
    g, d, z = generator(), discriminator(), torch.randn(3, 6)
    a, b = torch.tensor([0, 1, 2]), torch.tensor([2, 2, 0])
    assert torch.equal(g(z, a), g(z, b))
    assert torch.equal(d(g(z, a), a), d(g(z, a), b))


@pytest.mark.parametrize("condition", ["concat", "batchnorm"])
def test_a_conditional_generator_makes_another_image_for_each_label(condition):
    g = generator(num_classes=5, condition=condition)
    for block in g.blocks if condition == "batchnorm" else ():
        torch.nn.init.normal_(block.norm1.gain.weight)  # zero at first: classes start out alike
    x = g(torch.randn(1, 6).expand(5, -1), torch.arange(5))
    distances = torch.cdist(x.flatten(1), x.flatten(1)) + torch.eye(5)
    assert distances.min() > 1e-3


def test_classes_start_out_alike_under_batchnorm():
    g, z = generator(num_classes=5, condition="batchnorm"), torch.randn(1, 6).expand(5, -1)
    x = g(z, torch.arange(5))
    torch.testing.assert_close(x, x[:1].expand_as(x))


def test_concat_is_a_one_hot_beside_z():
    g, z, y = generator(num_classes=3, condition="concat"), torch.randn(4, 6), torch.tensor([0, 2, 1, 2])
    seen = []
    g.stem.register_forward_hook(lambda module, args, out: seen.append(args[0]))
    g(z, y)
    assert torch.equal(seen[0], torch.cat([z, F.one_hot(y, 3)], dim=1))


def test_concat_is_constant_maps_beside_the_image():
    d, x, y = discriminator(num_classes=3, condition="concat"), torch.randn(2, 1, 16, 16), torch.tensor([2, 0])
    seen = []
    d.blocks[0].register_forward_hook(lambda module, args, out: seen.append(args[0]))
    d(x, y)
    assert torch.equal(seen[0][:, :1], x)
    assert torch.equal(seen[0][:, 1:], F.one_hot(y, 3).float()[:, :, None, None].expand(-1, -1, 16, 16))


def test_projection_adds_the_inner_product_with_the_class_embedding():
    d, x, y = (
        discriminator(num_classes=3, condition="projection"),
        torch.randn(4, 1, 16, 16),
        torch.tensor([0, 1, 2, 1]),
    )
    h = d.whole(d.local(x))
    inner = torch.stack([d.embedding.weight[c] @ h[i] for i, c in enumerate(y)])
    torch.testing.assert_close(d(x, y), d.linear(h).squeeze(1) + inner)
    assert inner.abs().min() > 1e-5


@pytest.mark.parametrize(("pool", "positions"), [("sum", 4 * 4), ("mean", 1)])
def test_positions_are_summed_or_averaged(pool, positions):
    d, x = discriminator(pool=pool), torch.randn(3, 1, 16, 16)
    h = F.relu(d.blocks(x))
    torch.testing.assert_close(d.whole(d.local(x)), positions * h.mean((2, 3)))


def test_what_can_be_asked_for_is_what_there_is():
    assert get_args(unwrapped(hints(ResNetDiscriminator)["pool"])[0]) == tuple(resnet.POOLS)


def test_a_critic_judges_each_image_alone():
    """WGAN-GP's penalty is per image: it forbids BatchNorm (Gulrajani et al. 2017, Sec. 4)."""
    d, x = discriminator(spectral=False, pool="mean").train(), torch.randn(5, 1, 16, 16)
    torch.testing.assert_close(d(x, None), torch.cat([d(x[i : i + 1], None) for i in range(5)]))
    other = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(d(other, None)[0], other)
    assert gradient[0].abs().max() > 1e-6
    assert not gradient[1:].any()


@pytest.mark.parametrize("spectral", [True, False])
def test_spectral_norm_is_on_every_layer_or_none(spectral):
    d = discriminator(spectral=spectral, num_classes=3, condition="projection", rotation_head=True, infomax_dim=4)
    layers = [m for m in d.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear, torch.nn.Embedding))]
    assert len(layers) == (3 + 3 + 2) + 3 + 6  # blocks (the last has no shortcut), logit, classes and turns, critics
    assert {torch.nn.utils.parametrize.is_parametrized(layer) for layer in layers} == {spectral}


def test_heads_read_the_same_features_as_the_logit():
    d, x = discriminator(rotation_head=True, infomax_dim=5), torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(d.rotations(x), d.rotation_head(d.whole(d.local(x))))
    local, whole = d.local_and_global(x)
    assert local.shape == (3, 4 * 4, 5)
    torch.testing.assert_close(local[:, 5], d.local_critic(d.local(x)[:, :, 1, 1]))
    torch.testing.assert_close(whole, d.global_critic(d.whole(d.local(x))))


def test_a_sample_depends_on_its_stream_and_not_on_its_batch():
    g = generator(num_classes=5, condition="concat")

    def draw(index):
        streams = rng.SampleStreams("gan", [0] * len(index), index)
        return biggan.sample_gan(g, torch.tensor(index) % 5, streams, (1, 16, 16), Latent())

    together = draw(list(range(7)))
    torch.testing.assert_close(together, torch.cat([draw([i]) for i in range(7)]), atol=1e-5, rtol=0)
    assert (together[0] - together[5]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: generator(size=18), "size: 18, expected a multiple of 4"),
        (lambda: discriminator(halvings=5), "size: 16, expected a multiple of 32"),
        (
            lambda: discriminator(widths=[8], halvings=0, infomax_dim=5),  # the features before the last block of one
            r"network.widths: \[8\], expected at least two, of whose last blocks infomax_dim compares features",
        ),
        (lambda: discriminator(pool="max"), "network.pool: 'max', expected one of: sum, mean"),
        (lambda: generator(condition="concat"), r"condition: concat, expected none \(num_classes: None\)"),
        (lambda: generator(num_classes=3), r"condition: none, expected concat or batchnorm \(num_classes: 3\)"),
        (
            lambda: discriminator(num_classes=3, condition="batchnorm"),
            "network.condition: 'batchnorm', expected one of: none, concat, projection",
        ),
        (lambda: discriminator().rotations(torch.zeros(1, 1, 16, 16)), "rotation_head: false, expected true"),
        (lambda: discriminator().local_and_global(torch.zeros(1, 1, 16, 16)), "infomax_dim: null"),
    ],
)
def test_bad_options_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
