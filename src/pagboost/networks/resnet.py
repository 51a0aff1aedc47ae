"""ResNet-50 and Wide-ResNet-50-2 from torchvision's own blocks, with the input normalisation inside the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from pagboost.errors import InputError
from pagboost.networks.light_torchvision import resnet_module

torchvision_resnet = resnet_module()
Bottleneck, ResNet = torchvision_resnet.Bottleneck, torchvision_resnet.ResNet


class NormalisedResNet(nn.Module):
    """A torchvision ResNet behind (x - mean) / std: callers and attacks only ever see images in [0, 1].

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
        model = self.model
        x = model.maxpool(model.relu(model.bn1(model.conv1(self.normalizer(x)))))
        maps = []
        for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
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


def resnet(
    *,
    layers: Sequence[int],
    width: int,
    bottleneck_width: int,
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    stem: Mapping[str, int | bool],
) -> NormalisedResNet:
    """A bottleneck ResNet; len(mean) is the number of image channels.

    ResNet-50 is layers [3, 4, 6, 3], width 64, bottleneck_width 64, stem {kernel: 7, stride: 2, pool: true};
    Wide-ResNet-50-2 doubles bottleneck_width (torchvision's width_per_group) alone. Small images take a smaller stem.
    """
    model = ResNet(Bottleneck, list(layers), num_classes=num_classes, width_per_group=bottleneck_width)
    if width != model.bn1.num_features:
        _narrow(model, layers, width)
        model.fc = nn.Linear(width * 8 * Bottleneck.expansion, num_classes)
    kernel, stride = stem["kernel"], stem["stride"]
    model.conv1 = nn.Conv2d(len(mean), width, kernel, stride=stride, padding=kernel // 2, bias=False)
    if not stem["pool"]:
        model.maxpool = nn.Identity()
    for module in model.modules():  # torchvision's own initialisation, which replaced layers did not get
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return NormalisedResNet(model, mean, std)


def _narrow(model: ResNet, layers: Sequence[int], width: int) -> None:
    """Rebuild the stages from `width` instead of torchvision's fixed 64, with torchvision's own stage builder."""
    model.inplanes = width
    model.bn1 = nn.BatchNorm2d(width)
    for stage, blocks in enumerate(layers):
        stride = 1 if stage == 0 else 2
        setattr(model, f"layer{stage + 1}", model._make_layer(Bottleneck, width << stage, blocks, stride=stride))


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
