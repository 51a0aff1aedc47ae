"""The GANs by name: the losses, terms and augmentation in which each differs from the others."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from pagboost.generators.gan import diffaugment, losses, terms
from pagboost.generators.gan.training import Method


def dcgan() -> Method:
    """DCGAN (Radford et al. 2016): the logistic loss, the generator's non-saturating."""
    return Method(discriminator_loss=losses.logistic_discriminator, generator_loss=losses.logistic_generator)


def cgan() -> Method:
    """Conditional GAN (Mirza & Osindero 2014): the same game, the label an input of both networks (`concat`)."""
    return dcgan()


def wgan_gp(*, penalty: float) -> Method:
    """WGAN-GP (Gulrajani et al. 2017): Wasserstein game, gradient penalty of weight `penalty` (lambda, 10)."""
    return Method(
        discriminator_loss=losses.wasserstein_discriminator,
        generator_loss=losses.hinge_generator,
        discriminator_terms=[lambda turn: penalty * terms.gradient_penalty(turn)],
    )


def sngan() -> Method:
    """SNGAN (Miyato et al. 2018): the hinge loss; the discriminator is spectrally normalised (`spectral: true`)."""
    return Method(discriminator_loss=losses.hinge_discriminator, generator_loss=losses.hinge_generator)


def cgan_pd() -> Method:
    """cGAN with projection discriminator (Miyato & Koyama 2018): SNGAN, conditional (`projection`, `batchnorm`)."""
    return sngan()


def ssgan(*, discriminator_rotation: float, generator_rotation: float) -> Method:
    """SSGAN (Chen et al. 2019, Eq. 2-3): SNGAN, and telling how images are rotated; weights beta (1), alpha (0.2)."""
    return Method(
        discriminator_loss=losses.hinge_discriminator,
        generator_loss=losses.hinge_generator,
        discriminator_terms=[lambda turn: discriminator_rotation * terms.rotation(turn.discriminator, turn.x)],
        generator_terms=[lambda turn: generator_rotation * terms.rotation(turn.discriminator, turn.fake)],
    )


def infomax_gan(*, discriminator_infomax: float, generator_infomax: float) -> Method:
    """InfoMax-GAN (Lee et al. 2021): SNGAN, and InfoNCE of the discriminator's features; weights beta, alpha (0.2)."""
    return Method(
        discriminator_loss=losses.hinge_discriminator,
        generator_loss=losses.hinge_generator,
        discriminator_terms=[lambda turn: discriminator_infomax * terms.infomax(turn.discriminator, turn.x)],
        generator_terms=[lambda turn: generator_infomax * terms.infomax(turn.discriminator, turn.fake)],
    )


def biggan(*, orthogonal: float) -> Method:
    """BigGAN (Brock et al. 2019): the hinge loss, and BigGAN's Eq. 3 on the generator with weight `orthogonal`."""
    return Method(
        discriminator_loss=losses.hinge_discriminator,
        generator_loss=losses.hinge_generator,
        generator_terms=[lambda turn: orthogonal * losses.orthogonal_penalty(turn.generator)] if orthogonal else [],
    )


def diffaugment_biggan(*, orthogonal: float, policy: Sequence[str]) -> Method:
    """BigGAN under differentiable augmentation (Zhao et al. 2020, Eq. 5-6): `policy` lists diffaugment.POLICIES.

    Raises InputError for an unknown one.
    """
    diffaugment.check(policy)
    return dataclasses.replace(
        biggan(orthogonal=orthogonal), augment=functools.partial(diffaugment.augment, policy=policy)
    )
