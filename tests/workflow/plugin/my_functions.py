"""What the plug-in's kinds name: here torch may be imported, as Snakemake does not read this file."""

from __future__ import annotations

import torch

from pagboost import networks, training
from pagboost.generators.gan.training import Method
from pagboost.objectives import target_logit
from pagboost.studies.images import Study, first


class Picture(torch.nn.Module):
    """options -> a network whose one parameter is an image [C, S, S]."""

    def __init__(self, options):
        super().__init__()
        self.image = torch.nn.Parameter(torch.zeros(options.channels, options.size, options.size))


def train_mean(data, network, run, inputs, options):
    net = networks.build(network)
    with torch.no_grad():
        net.image.copy_(data.batch(slice(0, options.count))[0].mean(0))
    return training.Trained(net, network, {"count": options.count})


def sample_noisy(network, y, streams, shape, options):
    return (network.image + options.noise_std * streams.randn(shape)).clamp(0, 1)


def least_squares(options):
    return Method(
        discriminator_loss=lambda real, fake: ((real - options.real) ** 2).mean() + (fake**2).mean(),
        generator_loss=lambda fake: ((fake - options.real) ** 2).mean(),
    )


def margin(logits, y):
    """The largest other logit less f_c."""
    others = logits.scatter(1, y[:, None], -torch.inf)
    return others.amax(1) - target_logit(logits, y)


@torch.no_grad()
def confidence(bench, options):
    part, x, y = first(bench.samples, options.count, bench.device)
    sure = {name: target_logit(guide.network(x).softmax(1), y).tolist() for name, guide in bench.networks.items()}
    return Study({"images": part.images[: options.shown]}, {"confidence": sure}, {}, options.count)
