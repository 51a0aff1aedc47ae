"""Kinds of samplers. `uses` is f(network, y, streams, shape, options) -> x [N, C, H, W] in [0, 1]."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from pagboost.options.kinds import Doc, Misfit, Options
from pagboost.options.trainings import RHO, SIGMA_MAX, SIGMA_MIN, Schedule, Target, rising
from pagboost.options.types import AtLeast2, Count, Integer, Number, Positive


class Sampler(Options):
    """How images are drawn from a network.

    models: the kinds of model (as trained) that it draws from. guided: whether a classifier of x_t takes part.
    """

    models: ClassVar[tuple[str, ...]] = ()
    guided: ClassVar[bool] = False


class Heun(Sampler):
    """EDM's deterministic second-order sampler (Karras et al. 2022, Alg. 1): 2 steps - 1 network calls."""

    kind = "edm"
    uses = "pagboost.generators.diffusion.karras:sample_heun"
    models = ("edm",)

    steps: Annotated[AtLeast2, Doc("number of noise levels")]
    sigma_min: Annotated[Positive, Doc("lowest noise level", "[-1, 1]")] = SIGMA_MIN
    sigma_max: Annotated[Positive, Doc("highest noise level", "[-1, 1]")] = SIGMA_MAX
    rho: Annotated[Positive, Doc("how levels are spaced (Karras Eq. 5)")] = RHO

    def misfit(self) -> Misfit:
        return rising(self.sigma_min, self.sigma_max)


class ConsistencySampler(Sampler):
    """Multistep consistency sampling (Song et al. 2023, Alg. 1): a network call per noise level."""

    kind = "consistency"
    uses = "pagboost.generators.consistency:sample_consistency"
    models = ("consistency_distillation", "consistency_training", "consistency")

    sigmas: Annotated[
        list[Positive], Meta(min_length=1), Doc("falling noise levels, sampling starts at the first", "[-1, 1]")
    ]
    sigma_min: Annotated[Positive, Doc("lowest noise level of the training", "[-1, 1]")] = SIGMA_MIN

    def misfit(self) -> Misfit:
        falling = sorted(set(self.sigmas), reverse=True)
        if self.sigmas != falling or self.sigmas[-1] <= self.sigma_min:
            return "sigmas", self.sigmas, f"falling noise levels above {self.sigma_min}"
        return None


class Ancestral(Sampler):
    """Ancestral sampling of a diffusion model, in fewer steps than it was trained with."""

    kind = "ddpm"
    uses = "pagboost.generators.diffusion.ddpm:sample_ddpm"
    models = ("ddpm",)

    schedule: Annotated[Schedule, Doc("of training")]
    diffusion_steps: Annotated[Count, Doc("of training")]
    steps: Annotated[Count, Doc("of sampling")]
    target: Annotated[Target, Doc("of training")]
    clip_x_0: Annotated[bool, Doc("whether the predicted x_0 is kept within [-1, 1]")]


class Guided(Ancestral):
    """The same, guided by a classifier of x_t (Dhariwal & Nichol 2021, Alg. 1; Kawar et al. 2023)."""

    kind = "guided_ddpm"
    uses = "pagboost.generators.guidance:sample_guided"
    guided = True

    scale: Annotated[Number, Doc("the guidance scale s")]
    class_offsets: Annotated[
        list[Integer] | None, Meta(min_length=1), Doc("guide to several classes in one image: y + each; null: y alone")
    ] = None


class Latent(Sampler):
    """A GAN's or VAE's generator, one latent for each image."""

    kind = "gan"
    uses = "pagboost.generators.gan.biggan:sample_gan"
    models = ("gan", "vae")

    truncation: Annotated[Positive | None, Doc("z is drawn within [-t, t] (BigGAN Sec. 3.1); null: not cut")] = None
