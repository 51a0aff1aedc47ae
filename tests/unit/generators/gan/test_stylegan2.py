"""StyleGAN2: layers against their formulas, regularisers against closed forms, sampling, and the method in the loop."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pagboost import networks, rng, training
from pagboost.errors import InputError
from pagboost.generators.gan import biggan, stylegan2
from pagboost.generators.gan import stylegan2_layers as layers
from pagboost.generators.gan import training as gan_training
from pagboost.generators.gan.training import Turn
from pagboost.options.gans import Method
from pagboost.options.reading import read
from pagboost.options.samplers import Latent
from pagboost.options.trainings import GAN

GENERATOR = dict(
    kind="stylegan2_generator", size=8, channels=1, num_classes=3, z_dim=6, w_dim=8, widths=[8, 6], mapping_lr=0.1
)
DISCRIMINATOR = dict(
    kind="stylegan2_discriminator", size=8, channels=1, num_classes=3, widths=[6, 8], group_size=4, mapping_layers=2
)
METHOD = dict(
    kind="stylegan2_ada", r1_gamma=0.1, r1_every=2, path_length_weight=2.0, path_length_every=2, ada_target=0.6,
    ada_speed=50, augmentations=["translate", "rotate", "brightness"],
)  # fmt: skip
TRAINING = dict(
    iterations=5, batch_size=8, discriminator_steps=1, lr_generator=2e-3, lr_discriminator=2e-3, betas=[0.0, 0.99],
    ema_decay=0.5, ema_start=0, standing_batches=1, discriminator=DISCRIMINATOR, method=METHOD,
)  # fmt: skip


def build(spec, **changes):
    torch.manual_seed(0)
    return networks.build({**spec, **changes})


def with_noise(generator):
    """Noise strengths away from their initial zero, which hides it."""
    for module in generator.modules():
        if isinstance(module, layers.StyledConv):
            nn.init.constant_(module.noise_strength, 0.5)
    return generator


@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution_is_a_convolution_with_each_images_own_weights(demodulate):
    torch.manual_seed(0)
    conv = layers.ModulatedConv(5, 4, 3, 7, demodulate=demodulate)
    x, w = torch.randn(3, 5, 6, 6), torch.randn(3, 7)
    for i, style in enumerate(conv.style(w)):
        weight = conv.weight / math.sqrt(5 * 9) * style[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected = F.conv2d(x[i : i + 1], weight, padding=1)
        torch.testing.assert_close(conv(x, w)[i : i + 1], expected, atol=1e-5, rtol=1e-4)


def test_demodulated_outputs_have_unit_variance_whatever_the_style():
    torch.manual_seed(0)
    conv = layers.ModulatedConv(64, 16, 3, 8)
    out = conv(torch.randn(8, 64, 32, 32), 5 * torch.randn(8, 8))[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(out.var((2, 3)), torch.ones(8, 16), atol=0.2, rtol=0)


def test_a_doubling_convolution_is_filtered_upsampling_and_then_a_convolution():
    torch.manual_seed(0)
    conv = layers.ModulatedConv(3, 4, 3, 5, demodulate=False, double=True)
    x, w = torch.randn(2, 3, 6, 6), torch.randn(2, 5)
    up = layers.Fir().double(x * conv.style(w)[:, :, None, None])
    expected = F.conv2d(up, layers.scaled(conv.weight).flip(2, 3), padding=1)  # transposed convolutions flip
    inside = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(conv(x, w)[inside], expected[inside], atol=1e-5, rtol=1e-4)


def test_the_filter_doubles_as_bilinear_interpolation_and_keeps_means_when_halving():
    x = torch.randn(2, 3, 8, 8)
    up = F.interpolate(x, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(layers.Fir().double(x)[..., 1:-1, 1:-1], up[..., 1:-1, 1:-1])
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    assert layers.Fir().halve(ramp)[0, 0, 1, 1:-1].tolist() == pytest.approx([2.5, 4.5])


def test_a_halving_convolution_is_filter_then_stride():
    torch.manual_seed(0)
    conv, x = layers.EqualConv(3, 5, 3, halve=True), torch.randn(2, 3, 8, 8)
    full = F.conv2d(layers.Fir()(x, padding=2), conv.weight / math.sqrt(27))
    torch.testing.assert_close(conv(x), layers.lrelu(full[..., ::2, ::2]), atol=1e-5, rtol=1e-4)


def test_equalised_layers_start_alike_at_any_rate_and_learn_in_proportion():
    slow, fast = layers.EqualLinear(4, 2, lr=0.01), layers.EqualLinear(4, 2)
    slow.weight.data = fast.weight.data / 0.01
    x = torch.randn(3, 4)
    torch.testing.assert_close(slow(x), fast(x))
    change = []
    for layer in (slow, fast):
        before = layer(x)
        layer.weight.data += 0.1
        change.append(layer(x) - before)
    torch.testing.assert_close(change[0], 0.01 * change[1], atol=1e-6, rtol=1e-3)


def test_minibatch_std_by_hand_and_within_groups_only():
    x = torch.tensor([0.0, 2.0, 5.0, 5.0]).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    out = layers.minibatch_std(x, group=2)
    assert out.shape == (4, 4, 2, 2)
    torch.testing.assert_close(out[:, 3, 0, 0], torch.tensor([1.0, 1.0, 1e-4, 1e-4]))
    with pytest.raises(InputError, match=r"group_size: 3, expected a divisor of the batch \(4 images\)"):
        layers.minibatch_std(x, group=3)


@pytest.mark.parametrize(
    ("changes", "critic"),
    [
        ({"size": 16, "patch": 2}, {"size": 16, "patch": 2}),
        ({"channels": 3, "num_classes": None}, {"channels": 3, "num_classes": None}),
        ({}, {"residual": False}),
    ],
)
def test_shapes(changes, critic):
    g, d = build(GENERATOR, **changes), build(DISCRIMINATOR, **critic)
    y = torch.arange(4) % 3
    x = g(torch.randn(4, 6), y)
    assert x.shape[1:] == g.shape
    assert d(x, y).shape == (4,)
    assert (g.num_classes, g.z_dim) == (changes.get("num_classes", 3), 6)


def test_the_authors_cifar10_networks_have_their_size():
    common = dict(size=32, channels=3, num_classes=10, widths=[512] * 4)
    with torch.device("meta"):
        g = networks.build(dict(kind="stylegan2_generator", z_dim=512, w_dim=512, **common))
        d = networks.build(dict(kind="stylegan2_discriminator", group_size=32, residual=False, **common))
    conv, style = 512 * 512 * 9 + 512, 512 * 512 + 512
    mapping = 10 * 512 + (1024 * 512 + 512) + style
    synthesis = 512 * 16 + 7 * (conv + style + 1) + 4 * (3 * 512 + 3 + style)
    assert sum(p.numel() for p in g.parameters()) == mapping + synthesis
    critic = (3 * 512 + 512) + 6 * conv + (513 * 512 * 9 + 512) + (16 * 512 * 512 + 512) + style
    assert sum(p.numel() for p in d.parameters()) == critic + 10 * 512 + 8 * style


def test_the_label_changes_image_and_logit_only_if_conditional():
    z, x = torch.randn(4, 6), torch.randn(4, 1, 8, 8)
    zeros, ones = torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    for classes in (3, None):
        g, d = build(GENERATOR, num_classes=classes).eval(), build(DISCRIMINATOR, num_classes=classes)
        assert torch.equal(g(z, zeros), g(z, ones)) is (classes is None)
        assert torch.equal(d(x, zeros), d(x, ones)) is (classes is None)


def test_the_discriminator_sees_groups_and_nothing_beyond():
    d, y = build(DISCRIMINATOR), torch.zeros(8, dtype=torch.long)
    x = torch.randn(8, 1, 8, 8)
    other = torch.cat([x[:4], torch.randn(4, 1, 8, 8)])
    torch.testing.assert_close(d(x, y)[:4], d(other, y)[:4])
    assert not torch.allclose(d(x, y)[:4], d(x.roll(1, 0), y).roll(-1, 0)[:4])


def test_noise_is_random_in_training_and_fixed_after():
    g, z, y = with_noise(build(GENERATOR)), torch.randn(2, 6), torch.tensor([0, 1])
    assert not torch.allclose(g(z, y), g(z, y))
    same = g(z[:1].expand(2, -1), y[:1].expand(2))
    assert not torch.allclose(same[0], same[1])
    g.eval()
    assert torch.equal(g(z, y), g(z, y))


def test_a_sample_depends_on_its_stream_and_not_on_its_batch():
    g, y = with_noise(build(GENERATOR)).eval(), torch.arange(6) % 3

    def sample(index):
        streams = rng.SampleStreams("gan", np.zeros(len(index)), np.asarray(index))
        return biggan.sample_gan(g, y[index], streams, (1, 8, 8), Latent())

    alone = torch.cat([sample([i]) for i in range(6)])
    torch.testing.assert_close(sample(list(range(6))), alone, atol=1e-5, rtol=0)
    assert (torch.cdist(alone.flatten(1), alone.flatten(1)) + torch.eye(6)).min() > 1e-3


def test_weights_with_their_noise_survive_the_disk(tmp_path):
    g, path = with_noise(build(GENERATOR)).eval(), tmp_path / "g.safetensors"
    networks.save(path, g, GENERATOR, {"kind": "gan"})
    loaded, _ = networks.load(path, ["gan"])
    z, y = torch.randn(4, 6), torch.arange(4) % 3
    torch.testing.assert_close(loaded(z, y), g(z, y))


class LinearCritic(nn.Module):
    """<a, x>: its gradient is a everywhere."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(a)

    def forward(self, x, y):
        return (x * self.a).sum((1, 2, 3))


def turn(i=0, **parts):
    nothing = dict(generator=None, discriminator=None, z=torch.zeros(4, 5), y_fake=torch.zeros(4).long(), fake=None)
    return Turn(i=i, **{**nothing, **parts})


def test_r1_of_a_linear_critic_is_its_squared_norm_through_the_augmentation():
    critic = LinearCritic(torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 3))
    now = {"discriminator": critic, "x": torch.rand(4, 1, 1, 3), "y": torch.zeros(4).long()}
    penalty = stylegan2.r1_penalty(turn(i=16, **now), gamma=0.5, every=16, augment=lambda x: 2 * x)
    assert penalty.item() == pytest.approx(16 * 0.5 / 2 * 4 * 14)
    penalty.backward()
    torch.testing.assert_close(critic.a.grad.flatten(), 16 * 0.5 * 4 * torch.tensor([1.0, 2.0, 3.0]))
    assert stylegan2.r1_penalty(turn(i=17, **now), gamma=0.5, every=16, augment=lambda x: x).item() == 0


class LinearGenerator(nn.Module):
    """Image s w / sqrt(5), a flat one of 1 x 5 pixels for w = z: ||J^T u|| is s / sqrt(5) times the length of u."""

    def __init__(self, s):
        super().__init__()
        self.s = nn.Parameter(torch.tensor(s))

    def mapping(self, z, y):
        return z + 0 * self.s

    def synthesis(self, w):
        return self.s * w[:, None, None, :]


def test_path_length_of_a_linear_generator_against_its_closed_form(monkeypatch):
    """With u of ones, ||J^T u|| = s ||1|| / sqrt(5) = s, the running mean after one step is s / 100."""
    monkeypatch.setattr(torch, "randn_like", torch.ones_like)
    g, path_length = LinearGenerator(3.0), stylegan2.PathLength(weight=2.0, every=4)
    penalty = path_length(turn(i=4, generator=g))
    assert path_length.mean.item() == pytest.approx(0.03)
    assert penalty.item() == pytest.approx(4 * 2 * (3 - 0.03) ** 2, rel=1e-5)
    penalty.backward()
    assert g.s.grad.item() == pytest.approx(4 * 2 * 2 * (3 - 0.03), rel=1e-5)
    assert path_length(turn(i=5, generator=g)).item() == 0
    for _ in range(1000):
        penalty = path_length(turn(i=0, generator=g))
    assert path_length.mean.item() == pytest.approx(3, rel=1e-3)  # a constant length ends unpenalised
    assert penalty.item() == pytest.approx(0, abs=1e-4)


def test_both_regularisers_reach_the_weights_of_the_networks():
    g, d = build(GENERATOR), build(DISCRIMINATOR)
    y, z = torch.arange(4) % 3, torch.randn(4, 6)
    method = stylegan2.stylegan2_ada(read(Method, METHOD, "method"))
    now = turn(generator=g, discriminator=d, x=torch.rand(4, 1, 8, 8), y=y, z=z, y_fake=y)
    (r1,), (path,) = method.discriminator_terms, method.generator_terms
    r1(now).backward()
    path(now).backward()
    assert d.blocks[0].weight.grad.abs().sum() > 0
    assert g.first.conv.weight.grad.abs().sum() > 0


def data():
    draws = torch.Generator().manual_seed(0)
    return training.Data(torch.rand(48, 1, 8, 8, generator=draws), torch.arange(48) % 3, 3)


def train(state=None, **method):
    run = training.Run(0, torch.device("cpu"), state, save_every=0.0)
    options = read(GAN, {**TRAINING, "method": {**METHOD, **method}}, "training")
    return gan_training.train_gan(data(), GENERATOR, run, {}, options).network.state_dict()


def test_a_killed_run_resumes_identically_with_its_p_and_path_length(tmp_path, monkeypatch):
    """At iteration 4 a lazy term is due and p has just risen (r_t is above -2): both differ if their state was lost."""
    whole, steps, update = train(ada_target=-2.0), [], training.update_average

    def killed(*args):
        steps.append(args)
        if len(steps) == 5:
            raise KeyboardInterrupt
        update(*args)

    monkeypatch.setattr(training, "update_average", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "state.pt", ada_target=-2.0)
    content = torch.load(tmp_path / "state.pt", weights_only=True)["state"]
    assert content["method.ada"]["p"].item() == pytest.approx(32 / 50)
    assert content["method.path_length"]["mean"].item() > 0
    monkeypatch.setattr(training, "update_average", update)
    resumed = train(tmp_path / "state.pt", ada_target=-2.0)
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build(GENERATOR, size=16), r"widths: \[8, 6\], expected as many as lead from 4 x 4 .* size 16 .*8\)"),
        (lambda: build(DISCRIMINATOR, size=16), r"widths: \[6, 8\], expected as many .* size 16 .*8\)"),
        (lambda: build(DISCRIMINATOR, widths=[]), r"widths: \[\], expected"),
        (lambda: build(GENERATOR, mapping_layers=0), "network.mapping_layers: 0, expected at least 1"),
        (lambda: train(r1_every=0), "training.method.r1_every: 0, expected at least 1"),
        (lambda: train(ada_speed=0), "training.method.ada_speed: 0, expected at least 1"),
        (
            lambda: train(augmentations=["blur"]),
            "training.method.augmentations.0: 'blur', expected one of: flip, rotate90",
        ),
        (lambda: train(gamma=1), "training.method.gamma: unknown key"),
    ],
)
def test_bad_options_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
