"""Methods of GANs: losses, terms and augmentation, below `training.method`. `uses` is f(options) -> Method."""

from __future__ import annotations

from typing import Annotated, Literal

from pagboost.options.kinds import Doc, Options
from pagboost.options.types import Count, NotNegative, Number

METHODS = "pagboost.generators.gan.methods"

Augmentation = Literal[
    "flip", "rotate90", "translate", "scale", "rotate", "anisotropic", "shift",
    "brightness", "contrast", "luma_flip", "hue", "saturation",
]  # fmt: skip


class Method(Options):
    """What tells one GAN from another."""


class CGAN(Method):
    """Conditional GAN (Mirza & Osindero 2014): DCGAN's game, the label an input of both networks."""

    kind = "cgan"
    uses = f"{METHODS}:cgan"


class CGANPD(Method):
    """cGAN with projection discriminator (Miyato & Koyama 2018)."""

    kind = "cgan_pd"
    uses = f"{METHODS}:cgan_pd"


class DCGAN(Method):
    """DCGAN (Radford et al. 2016): the logistic loss."""

    kind = "dcgan"
    uses = f"{METHODS}:dcgan"


class WGANGP(Method):
    """WGAN-GP (Gulrajani et al. 2017)."""

    kind = "wgan_gp"
    uses = f"{METHODS}:wgan_gp"

    penalty: Annotated[NotNegative, Doc("weight of the gradient penalty (lambda, 10)")]


class SNGAN(Method):
    """SNGAN (Miyato et al. 2018): the hinge loss."""

    kind = "sngan"
    uses = f"{METHODS}:sngan"


class SSGAN(Method):
    """SSGAN (Chen et al. 2019): SNGAN, and telling how images are rotated."""

    kind = "ssgan"
    uses = f"{METHODS}:ssgan"

    discriminator_rotation: Annotated[NotNegative, Doc("weight of the discriminator's rotation loss (beta, 1)")]
    generator_rotation: Annotated[NotNegative, Doc("weight of the generator's (alpha, 0.2)")]


class InfoMaxGAN(Method):
    """InfoMax-GAN (Lee et al. 2021): SNGAN, and InfoNCE of the discriminator's features."""

    kind = "infomax_gan"
    uses = f"{METHODS}:infomax_gan"

    discriminator_infomax: Annotated[NotNegative, Doc("weight of the discriminator's InfoNCE (alpha, 0.2)")]
    generator_infomax: Annotated[NotNegative, Doc("weight of the generator's (beta, 0.2)")]


class BigGAN(Method):
    """BigGAN (Brock et al. 2019): the hinge loss, and its Eq. 3 on the generator."""

    kind = "biggan"
    uses = f"{METHODS}:biggan"

    orthogonal: Annotated[NotNegative, Doc("weight of the orthogonal penalty")]


class DiffAugmentBigGAN(BigGAN):
    """BigGAN under differentiable augmentation (Zhao et al. 2020)."""

    kind = "diffaugment_biggan"
    uses = f"{METHODS}:diffaugment_biggan"

    policy: Annotated[list[Literal["color", "translation", "cutout"]], Doc("augmentations, in this order")]


class StyleGAN2ADA(Method):
    """StyleGAN2 with adaptive augmentation (Karras et al. 2020)."""

    kind = "stylegan2_ada"
    uses = "pagboost.generators.gan.stylegan2:stylegan2_ada"

    r1_gamma: Annotated[NotNegative, Doc("weight of R1 (gamma)")]
    r1_every: Annotated[Count, Doc("R1 is computed each so often", "iterations")]
    path_length_weight: Annotated[NotNegative, Doc("weight of the path length term; 0: none")]
    path_length_every: Annotated[Count, Doc("path lengths are computed each so often", "iterations")]
    ada_target: Annotated[Number, Doc("mean sign of D on real images that augmentation is steered to")]
    ada_speed: Annotated[Count, Doc("images in which augmentation goes from none to always", "images")]
    augmentations: Annotated[list[Augmentation], Doc("what images are augmented by, the authors' own order kept")]
