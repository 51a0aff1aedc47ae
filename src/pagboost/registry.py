"""Kinds by name: what a scale file's `kind` stands for, as "module:function". Imports nothing of what it names.

What Snakemake asks about kinds must not cost torch's import; and which module a kind names is also which source files
a result of that kind depends on (sourcecode).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

# training recipes: f(data, network, run, inputs, **options) -> Trained
RECIPES = {
    "classifier": "pagboost.guides.classifier:train_classifier",
    "joint": "pagboost.guides.joint:train_joint",
    "edm": "pagboost.generators.diffusion.karras:train_edm",
    "consistency_distillation": "pagboost.generators.consistency:train_cd",
    "consistency_training": "pagboost.generators.consistency:train_ct",
    "ddpm": "pagboost.generators.diffusion.ddpm:train_ddpm",
    "time_classifier": "pagboost.guides.time_classifier:train_time_classifier",
    "gan": "pagboost.generators.gan.training:train_gan",
    "vae": "pagboost.generators.vae:train_vae",
    "pretrained": "pagboost.guides.pretrained:pretrained",
}

# networks: f(**options) -> Module; imported when built, because Inception costs torchvision's start-up
NETWORKS = {
    "unet": "pagboost.networks.unet:unet",
    "unet_encoder": "pagboost.networks.unet:encoder_classifier",
    "resnet": "pagboost.networks.resnet:resnet",
    "cnn": "pagboost.networks.cnn:cnn",
    "inception": "pagboost.metrics.inception:inception",
    "resnet_generator": "pagboost.generators.gan.resnet:generator",
    "resnet_discriminator": "pagboost.generators.gan.resnet:discriminator",
    "vae_encoder": "pagboost.generators.vae:encoder",
    "vae_decoder": "pagboost.generators.vae:decoder",
    "biggan_generator": "pagboost.generators.gan.biggan:generator",
    "biggan_discriminator": "pagboost.generators.gan.biggan:discriminator",
    "stylegan2_generator": "pagboost.generators.gan.stylegan2:generator",
    "stylegan2_discriminator": "pagboost.generators.gan.stylegan2:discriminator",
}

# methods of a GAN: f(**options) -> Method
METHODS = {
    "cgan": "pagboost.generators.gan.methods:cgan",
    "cgan_pd": "pagboost.generators.gan.methods:cgan_pd",
    "dcgan": "pagboost.generators.gan.methods:dcgan",
    "wgan_gp": "pagboost.generators.gan.methods:wgan_gp",
    "sngan": "pagboost.generators.gan.methods:sngan",
    "ssgan": "pagboost.generators.gan.methods:ssgan",
    "infomax_gan": "pagboost.generators.gan.methods:infomax_gan",
    "biggan": "pagboost.generators.gan.methods:biggan",
    "diffaugment_biggan": "pagboost.generators.gan.methods:diffaugment_biggan",
    "stylegan2_ada": "pagboost.generators.gan.stylegan2:stylegan2_ada",
}

# samplers: f(network, y, streams, *, shape, **options) -> x [N, C, H, W] in [0, 1]
SAMPLERS = {
    "edm": "pagboost.generators.diffusion.karras:sample_heun",
    "consistency": "pagboost.generators.consistency:sample_consistency",
    "ddpm": "pagboost.generators.diffusion.ddpm:sample_ddpm",
    "guided_ddpm": "pagboost.generators.guidance:sample_guided",
    "gan": "pagboost.generators.gan.biggan:sample_gan",
}


def named(reference: str) -> Any:
    """The object of "module:name", imported now."""
    module, name = reference.split(":")
    return getattr(import_module(module), name)


def modules(settings: Any) -> Iterator[str]:
    """The modules that the kinds in a slice of configuration name, wherever in it they stand."""
    if isinstance(settings, Mapping):
        for known in (RECIPES, NETWORKS, METHODS, SAMPLERS):
            if settings.get("kind") in known:
                yield known[settings["kind"]].partition(":")[0]
        yield from modules(list(settings.values()))
    elif isinstance(settings, (list, tuple)):
        for part in settings:
            yield from modules(part)
