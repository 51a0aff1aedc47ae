"""Every method by name: its losses and terms, two iterations on tiny networks, and a resumed run that ends the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pagboost import training
from pagboost.errors import InputError
from pagboost.generators.gan import diffaugment, losses, methods, terms
from pagboost.generators.gan import training as gan_training
from pagboost.generators.gan.training import Turn
from pagboost.options import gans
from pagboost.options.reading import read
from pagboost.options.trainings import GAN

CPU = torch.device("cpu")
SIZE = dict(size=8, channels=1, patch=1)
RESNET_G = dict(kind="resnet_generator", num_classes=None, z_dim=4, widths=[4, 4], **SIZE)
RESNET_D = dict(kind="resnet_discriminator", num_classes=None, widths=[4, 4], halvings=1, spectral=True, **SIZE)
BIGGAN_G = dict(kind="biggan_generator", num_classes=3, z_dim=4, embedding_dim=2, widths=[4, 4], **SIZE)
BIGGAN_D = dict(kind="biggan_discriminator", num_classes=3, widths=[4, 4], halvings=1, **SIZE)
CONDITIONAL = dict(num_classes=3, condition="concat")
TINY = {
    "cgan": ({}, RESNET_G | CONDITIONAL, RESNET_D | CONDITIONAL | {"spectral": False}),
    "cgan_pd": (
        {},
        RESNET_G | CONDITIONAL | {"condition": "batchnorm"},
        RESNET_D | CONDITIONAL | {"condition": "projection"},
    ),
    "dcgan": ({}, RESNET_G, RESNET_D | {"spectral": False}),
    "wgan_gp": ({"penalty": 10.0}, RESNET_G, RESNET_D | {"spectral": False}),
    "sngan": ({}, RESNET_G, RESNET_D),
    "ssgan": ({"discriminator_rotation": 1.0, "generator_rotation": 0.2}, RESNET_G, RESNET_D | {"rotation_head": True}),
    "infomax_gan": ({"discriminator_infomax": 0.2, "generator_infomax": 0.2}, RESNET_G, RESNET_D | {"infomax_dim": 4}),
    "biggan": ({"orthogonal": 0.1}, BIGGAN_G, BIGGAN_D),
    "diffaugment_biggan": ({"orthogonal": 0.1, "policy": ["color", "translation", "cutout"]}, BIGGAN_G, BIGGAN_D),
}


def data():
    draws = torch.Generator().manual_seed(0)
    return training.Data(torch.rand(24, 1, 8, 8, generator=draws), torch.arange(24) % 3, 3)


def train(kind, run, iterations=4, **options):
    defaults, generator, discriminator = TINY[kind]
    entry = dict(
        method={"kind": kind, **defaults, **options},
        discriminator=discriminator,
        iterations=iterations,
        batch_size=24,  # one epoch: a resumed run draws the rest of no epoch anew
        discriminator_steps=1,
        lr_generator=1e-3,
        lr_discriminator=2e-3,
        betas=[0.0, 0.9],
        ema_decay=0.5,
        ema_start=0,
        standing_batches=1,
        lr_decay=True,
    )
    return gan_training.train_gan(data(), generator, run, {}, read(GAN, entry, "training")).network


def test_every_method_but_stylegan_is_tried():
    assert {*TINY, "stylegan2_ada"} == {*gans.Method.kinds()}


@pytest.mark.parametrize("kind", TINY)
def test_a_killed_run_ends_where_an_undisturbed_one_does(kind, tmp_path, monkeypatch):
    expected = train(kind, training.Run(0, CPU)).state_dict()
    run = training.Run(0, CPU, tmp_path / "state.pt", save_every=0.0)
    update, calls = training.update_average, []

    def killed(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        update(*args)

    monkeypatch.setattr(training, "update_average", killed)
    with pytest.raises(KeyboardInterrupt):
        train(kind, run)
    torch.manual_seed(123)  # of another process
    resumed = train(kind, run).state_dict()
    assert len(calls) == 3 + 2
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("wgan_gp", "penalty"),
        ("ssgan", "discriminator_rotation"),
        ("ssgan", "generator_rotation"),
        ("infomax_gan", "discriminator_infomax"),
        ("infomax_gan", "generator_infomax"),
        ("biggan", "orthogonal"),
    ],
)
def test_every_weight_of_a_term_matters(kind, option):
    run = training.Run(0, CPU)
    stronger, weaker = (train(kind, run, iterations=2, **{option: weight}).state_dict() for weight in (50.0, 0.0))
    assert any(not torch.equal(stronger[name], weaker[name]) for name in stronger)


class Mean(nn.Module):
    """D(x, y) = the mean pixel, as local and global features and rotations too."""

    def forward(self, x, y):
        return x.mean((1, 2, 3))

    def rotations(self, x):
        return x.flatten(1)[:, :4]

    def local_and_global(self, x):
        return x.flatten(1)[:, :, None], x.mean((2, 3))


def turn():
    x, fake = torch.rand(4, 1, 4, 4), -torch.rand(4, 1, 4, 4)
    y = torch.zeros(4, dtype=torch.long)
    return Turn(i=0, generator=nn.Linear(2, 2), discriminator=Mean(), x=x, y=y, z=x, y_fake=y, fake=fake)


def test_terms_are_weighted_and_see_real_images_in_one_update_and_generated_ones_in_the_other():
    t = turn()
    ssgan = methods.ssgan(gans.SSGAN(discriminator_rotation=2.0, generator_rotation=3.0))
    infomax = methods.infomax_gan(gans.InfoMaxGAN(discriminator_infomax=2.0, generator_infomax=3.0))
    for method, term in ((ssgan, terms.rotation), (infomax, terms.infomax)):
        loss, real = gan_training.discriminator_loss(method, t)
        hinge = losses.hinge_discriminator(t.x.mean((1, 2, 3)), t.fake.mean((1, 2, 3)))
        torch.testing.assert_close(loss, hinge + 2 * term(t.discriminator, t.x))
        torch.testing.assert_close(real, t.x.mean((1, 2, 3)))
        expected = -t.fake.mean() + 3 * term(t.discriminator, t.fake)
        torch.testing.assert_close(gan_training.generator_loss(method, t), expected)


def test_wgan_gp_adds_the_weighted_penalty_to_the_wasserstein_loss():
    t = turn()
    loss, _ = gan_training.discriminator_loss(methods.wgan_gp(gans.WGANGP(penalty=10.0)), t)
    # the gradient of a mean of 16 pixels has norm 1/4 everywhere
    torch.testing.assert_close(loss, t.fake.mean() - t.x.mean() + 10 * torch.tensor((1 / 4 - 1) ** 2))


def test_biggan_penalises_the_generator_only_if_asked():
    t = turn()
    without, with_one = (methods.biggan(gans.BigGAN(orthogonal=weight)) for weight in (0.0, 0.5))
    plain, penalised = (gan_training.generator_loss(method, t) for method in (without, with_one))
    torch.testing.assert_close(penalised - plain, 0.5 * losses.orthogonal_penalty(t.generator))
    assert not without.generator_terms


def test_augmentation_is_seen_by_the_discriminator_in_both_updates():
    t = turn()
    method = methods.diffaugment_biggan(gans.DiffAugmentBigGAN(orthogonal=0.0, policy=["color"]))
    torch.manual_seed(0)
    loss, real = gan_training.discriminator_loss(method, t)
    torch.manual_seed(0)
    seen = diffaugment.augment(torch.cat([t.x, t.fake]), ["color"]).mean((1, 2, 3))
    torch.testing.assert_close(loss, losses.hinge_discriminator(seen[:4], seen[4:]))
    torch.testing.assert_close(real, seen[:4])
    torch.manual_seed(0)
    generated = gan_training.generator_loss(method, t)
    torch.manual_seed(0)
    torch.testing.assert_close(generated, -diffaugment.augment(t.fake, ["color"]).mean())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "sgan"}, "training.method.kind: sgan, expected one of: cgan, cgan_pd"),
        ({}, "training.method.kind: missing key, expected one of: cgan, cgan_pd"),
        ({"kind": "wgan_gp"}, "training.method.penalty: missing key"),
        ({"kind": "sngan", "penalty": 1.0}, "training.method.penalty: unknown key"),
        ({"kind": "diffaugment_biggan", "orthogonal": 0.0, "policy": ["flip"]}, "training.method.policy.0: 'flip'"),
    ],
)
def test_bad_methods_are_named(spec, message):
    with pytest.raises(InputError, match=message):
        read(gans.Method, spec, "training.method")


@pytest.mark.parametrize(("kind", "option"), [("ssgan", "rotation_head"), ("infomax_gan", "infomax_dim")])
def test_a_discriminator_without_the_head_is_named(kind, option, monkeypatch):
    options, generator, _ = TINY[kind]
    monkeypatch.setitem(TINY, kind, (options, generator, RESNET_D))
    with pytest.raises(InputError, match=f"training.discriminator.{option}"):
        train(kind, training.Run(0, CPU))
