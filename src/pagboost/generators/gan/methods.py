"""The GANs by name: the losses, terms and augmentation in which each differs from the others."""

from __future__ import annotations

import dataclasses
import functools

from pagboost.generators.gan import diffaugment, losses, terms
from pagboost.generators.gan.training import Method
from pagboost.options import gans


def dcgan(options: gans.Method) -> Method:
    """DCGAN (Radford et al. 2016): the logistic loss, the generator's non-saturating."""
    return Method(discriminator_loss=losses.logistic_discriminator, generator_loss=losses.logistic_generator)


def cgan(options: gans.CGAN) -> Method:
    """Conditional GAN (Mirza & Osindero 2014): the same game, the label an input of both networks (`concat`)."""
    return dcgan(options)


def wgan_gp(options: gans.WGANGP) -> Method:
    """WGAN-GP (Gulrajani et al. 2017): Wasserstein game, gradient penalty of weight `penalty` (lambda, 10)."""
    return Method(
        discriminator_loss=losses.wasserstein_discriminator,
        generator_loss=losses.hinge_generator,
        discriminator_terms=[lambda turn: options.penalty * terms.gradient_penalty(turn)],
    )


def sngan(options: gans.Method) -> Method:
    """SNGAN (Miyato et al. 2018): the hinge loss; the discriminator is spectrally normalised (`spectral: true`)."""
    return Method(discriminator_loss=losses.hinge_discriminator, generator_loss=losses.hinge_generator)


def cgan_pd(options: gans.CGANPD) -> Method:
    """cGAN with projection discriminator (Miyato & Koyama 2018): SNGAN, conditional (`projection`, `batchnorm`)."""
    return sngan(options)


def ssgan(options: gans.SSGAN) -> Method:
    """SSGAN (Chen et al. 2019, Eq. 2-3): SNGAN, and telling how images are rotated; weights beta (1), alpha (0.2)."""
    return dataclasses.replace(
        sngan(options),
        discriminator_terms=[lambda turn: options.discriminator_rotation * terms.rotation(turn.discriminator, turn.x)],
        generator_terms=[lambda turn: options.generator_rotation * terms.rotation(turn.discriminator, turn.fake)],
    )


def infomax_gan(options: gans.InfoMaxGAN) -> Method:
    """InfoMax-GAN (Lee et al. 2021): SNGAN, and InfoNCE of the discriminator's features; weights beta, alpha (0.2)."""
    return dataclasses.replace(
        sngan(options),
        discriminator_terms=[lambda turn: options.discriminator_infomax * terms.infomax(turn.discriminator, turn.x)],
        generator_terms=[lambda turn: options.generator_infomax * terms.infomax(turn.discriminator, turn.fake)],
    )


def biggan(options: gans.BigGAN) -> Method:
    """BigGAN (Brock et al. 2019): the hinge loss, and BigGAN's Eq. 3 on the generator with weight `orthogonal`."""
    weight = options.orthogonal
    return Method(
        discriminator_loss=losses.hinge_discriminator,
        generator_loss=losses.hinge_generator,
        generator_terms=[lambda turn: weight * losses.orthogonal_penalty(turn.generator)] if weight else [],
    )


def diffaugment_biggan(options: gans.DiffAugmentBigGAN) -> Method:
    """BigGAN under differentiable augmentation (Zhao et al. 2020, Eq. 5-6): `policy` lists diffaugment.POLICIES."""
    augment = functools.partial(diffaugment.augment, policy=options.policy)
    return dataclasses.replace(biggan(options), augment=augment)
