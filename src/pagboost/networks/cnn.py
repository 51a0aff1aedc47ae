"""A small convolutional classifier for small images; the digits scale measures sample quality in its features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pagboost import images
from pagboost.errors import InputError

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


def cnn(
    *,
    in_channels: int,
    num_classes: int,
    input_size: int,
    widths: Sequence[int],
    depth: int,
    kernel: int,
    feature_dim: int,
    activation: str,
    pool: str,
) -> ConvNet:
    """A small classifier with `feature_dim` features: per width one stage of `depth` convolutions and a 2x2 pool.

    The features keep where things are (no global pooling) and are taken after BatchNorm and activation.
    activation: relu, gelu or silu; pool: max or average; kernel: odd.
    Raises InputError for options outside these, and if the stages do not halve input_size evenly.
    """
    for key, value, allowed in (("activation", activation, ACTIVATIONS), ("pool", pool, POOLS)):
        if value not in allowed:
            raise InputError(f"network.{key}: {value}, expected one of: {', '.join(allowed)}")
    if kernel % 2 == 0:
        raise InputError(f"network.kernel: {kernel}, expected an odd size")
    if input_size % 2 ** len(widths):
        raise InputError(
            f"network.input_size: {input_size}, expected a multiple of {2 ** len(widths)} (a halving per width)"
        )
    activate = ACTIVATIONS[activation]
    layers: list[nn.Module] = []
    channels = in_channels
    for width in widths:
        for _ in range(depth):
            convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), activate()]
            channels = width
        layers.append(POOLS[pool](2))
    positions = (input_size // 2 ** len(widths)) ** 2
    embedding = nn.Linear(channels * positions, feature_dim, bias=False)
    layers += [nn.Flatten(), embedding, nn.BatchNorm1d(feature_dim), activate()]
    return ConvNet(nn.Sequential(*layers), nn.Linear(feature_dim, num_classes), in_channels, input_size)
