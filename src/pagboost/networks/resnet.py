"""ResNets of bottleneck or basic blocks, the input normalisation inside; names and numbers are torchvision's.

The blocks are our own: importing torchvision imports torch's compiler too, two seconds in every job with a ResNet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from pagboost.errors import InputError
from pagboost.networks.cpu_convs import Conv2d, PointwiseConv2d
from pagboost.options import networks

PUBLIC_WIDTH = 64  # channels of the first stage of every public ResNet


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut; the stride is in the 3x3 ("v1.5", as the public weights need).

    Four times `width` channels come out; between the 1x1 convolutions there are width * bottleneck_width / 64.
    """

    def __init__(self, in_channels: int, width: int, stride: int, *, bottleneck_width: int) -> None:
        super().__init__()
        self.out_channels = 4 * width
        inner = width * bottleneck_width // PUBLIC_WIDTH
        self.conv1 = PointwiseConv2d(in_channels, inner, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = PointwiseConv2d(inner, self.out_channels, bias=False)
        self.bn3 = nn.BatchNorm2d(self.out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(in_channels, self.out_channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, in_channels, H, W] to [N, out_channels, H / stride, W / stride], halves rounded up."""
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        branch += x if self.downsample is None else self.downsample(x)
        return self.relu(branch)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, the first with the stride; `width` channels come out."""

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.out_channels = width
        self.conv1 = Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(in_channels, width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, in_channels, H, W] to [N, out_channels, H / stride, W / stride], halves rounded up."""
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        branch += x if self.downsample is None else self.downsample(x)
        return self.relu(branch)


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """The shortcut of a block that changes the shape; None: x itself."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(PointwiseConv2d(in_channels, out_channels, stride, bias=False), nn.BatchNorm2d(out_channels))


class ResNet(nn.Module):
    """A stem, four stages and a linear head over the average of each channel, under torchvision's names."""

    def __init__(self, conv1: nn.Conv2d, maxpool: nn.Module, stages: Sequence[nn.Sequential], fc: nn.Linear) -> None:
        super().__init__()
        self.conv1 = conv1
        self.bn1 = nn.BatchNorm2d(conv1.out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = fc

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, K] of normalised images x [N, C, H, W]."""
        x = self.stem(x)
        for stage in self.stages():
            x = stage(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))

    def stem(self, x: torch.Tensor) -> torch.Tensor:
        """What the first stage sees [N, width, H', W'] of normalised images x [N, C, H, W]."""
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))

    def stages(self) -> tuple[nn.Module, ...]:
        """The four stages, shallow to deep."""
        return self.layer1, self.layer2, self.layer3, self.layer4


class NormalisedResNet(nn.Module):
    """A ResNet behind (x - mean) / std: callers and attacks only ever see images in [0, 1].

    The names `normalizer` and `model` are those of the public robust checkpoints.
    """

    def __init__(self, model: ResNet, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.normalizer = Normalizer(mean, std)
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, K] of images x [N, C, H, W] in [0, 1]; any H and W (global average pooling)."""
        return self.model(self.normalizer(x))

    def feature_maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The outputs [N, C_i, H_i, W_i] of the four stages, shallow to deep, of images x [N, C, H, W] in [0, 1].

        BIGRoC Sec. 4: features "at different scales".
        """
        x = self.model.stem(self.normalizer(x))
        maps = []
        for stage in self.model.stages():
            x = stage(x)
            maps.append(x)
        return maps


class Normalizer(nn.Module):
    """(x - mean) / std per channel, unclamped."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("new_mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("new_std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] to zero mean and unit scale."""
        return (x - self.new_mean) / self.new_std


def resnet(options: networks.ResNet) -> NormalisedResNet:
    """A ResNet of `layers` blocks per stage; len(mean) is the number of image channels.

    ResNet-50 is layers [3, 4, 6, 3], width 64, bottleneck_width 64, stem {kernel: 7, stride: 2, pool: true};
    Wide-ResNet-50-2 doubles bottleneck_width alone; ResNet-18 is layers [2, 2, 2, 2] of basic blocks. Small images
    take a smaller stem.
    """
    make = BasicBlock if options.block == "basic" else partial(Bottleneck, bottleneck_width=options.bottleneck_width)
    # A network of the public width and stem is drawn first, and only its stages and head are ever used: torchvision's
    # constructor did so, and without its draws from the generator every seed would give other weights than it has.
    public_stem = nn.Conv2d(3, PUBLIC_WIDTH, 7, bias=False)
    stages, head = _body(make, options.layers, PUBLIC_WIDTH, options.num_classes)
    _initialise(public_stem, *stages)
    if options.width != PUBLIC_WIDTH:
        stages, head = _body(make, options.layers, options.width, options.num_classes)
    stem, channels = options.stem, len(options.mean)
    padding = stem.kernel // 2
    conv1 = nn.Conv2d(channels, options.width, stem.kernel, stride=stem.stride, padding=padding, bias=False)
    maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem.pool else nn.Identity()
    _initialise(conv1, *stages)
    return NormalisedResNet(ResNet(conv1, maxpool, stages, head), options.mean, options.std)


def _body(
    make: Callable[[int, int, int], nn.Module], layers: Sequence[int], width: int, num_classes: int
) -> tuple[list[nn.Sequential], nn.Linear]:
    """(stages, head): from one stage to the next the width doubles, and the first block halves height and width."""
    stages, channels = [], width
    for stage, count in enumerate(layers):
        blocks = []
        for position in range(count):
            blocks.append(make(channels, width << stage, 2 if stage and not position else 1))
            channels = blocks[-1].out_channels
        stages.append(nn.Sequential(*blocks))
    return stages, nn.Linear(channels, num_classes)


def _initialise(*parts: nn.Module) -> None:
    """Draw the weights of all convolutions anew, in their order (He et al., by the channels that come out)."""
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def fresh_head(network: nn.Module) -> None:
    """Replace the fully connected layer by a randomly initialised one of the same size (Golan Sec. 3.1).

    Raises InputError for a network of another kind.
    """
    if not isinstance(network, NormalisedResNet):
        raise InputError(
            f"training.fresh_head: true for a {type(network).__name__}, expected a backbone of kind resnet"
        )
    head = network.model.fc
    network.model.fc = nn.Linear(head.in_features, head.out_features)
