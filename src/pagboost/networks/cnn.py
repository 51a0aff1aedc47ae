"""A small convolutional classifier for small images; the digits scale measures sample quality in its features."""

from __future__ import annotations

import torch
from torch import nn

from pagboost import images
from pagboost.options import networks

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
POOLS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


class ConvNet(nn.Module):
    """Convolutional stages, a fully connected layer that gives the features, and a linear head over them.

    Images of every size are first resized to `input_size` (bicubic, antialiased), so that one network sees all
    resolutions of a data set alike.
    """

    def __init__(self, trunk: nn.Sequential, head: nn.Linear, in_channels: int, input_size: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.in_channels = in_channels
        self.input_size = input_size

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(features [N, D], logits [N, K]) of images x [N, C, H, W] in [0, 1], from one pass."""
        features = self.trunk(2 * images.resize(x, self.input_size) - 1)
        return features, self.head(features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, K] of images x [N, C, H, W] in [0, 1]."""
        return self.features(x)[1]


def cnn(options: networks.CNN) -> ConvNet:
    """A small classifier with features: per width one stage of `depth` convolutions and a 2x2 pool, then a dense layer.

    The features keep where things are (no global pooling) and are taken after BatchNorm and activation.
    """
    activate, pool = ACTIVATIONS[options.activation], POOLS[options.pool]
    layers: list[nn.Module] = []
    channels = options.in_channels
    for width in options.widths:
        for _ in range(options.depth):
            convolution = nn.Conv2d(channels, width, options.kernel, padding=options.kernel // 2, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), activate()]
            channels = width
        layers.append(pool(2))
    positions = (options.input_size // 2 ** len(options.widths)) ** 2
    embedding = nn.Linear(channels * positions, options.feature_dim, bias=False)
    layers += [nn.Flatten(), embedding, nn.BatchNorm1d(options.feature_dim), activate()]
    head = nn.Linear(options.feature_dim, options.num_classes)
    return ConvNet(nn.Sequential(*layers), head, options.in_channels, options.input_size)
