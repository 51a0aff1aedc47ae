"""A ResNet for attacks: each convolution in one kernel with its BatchNorm, shortcut and ReLU; gradients of images only.

The same function as the network in eval mode, up to rounding: fp32 on the CPU, bf16 with fp32 sums on a GPU. Nothing
here can be trained, but weights that go on changing are taken over by `Fused.refresh`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.networks.kernels import Conv, kind
from pagboost.networks.resnet import Bottleneck, NormalisedResNet


class Block(nn.Module):
    """A bottleneck or basic block of fused convolutions."""

    def __init__(self, convs: list[Conv], shortcut: Conv | None) -> None:
        super().__init__()
        self.convs, self.shortcut = nn.ModuleList(convs), shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = x
        for conv in self.convs[:-1]:
            branch = conv(branch)
        return self.convs[-1](branch, x if self.shortcut is None else self.shortcut(x))


class Fused(nn.Module):
    """The attacked form of a NormalisedResNet on a device: x [N, C, H, W] in [0, 1] to logits [N, K], float32."""

    def __init__(self, network: NormalisedResNet, device: torch.device) -> None:
        super().__init__()
        self.pairs: list[tuple[Conv, nn.Conv2d, nn.Module]] = []
        self.source, model = [network], network.model  # in a list: no child, whose state and mode would be shared
        self.maxpool = model.maxpool
        self.stem = self._conv(model.conv1, model.bn1, True, device)
        self.blocks = nn.Sequential(*(self._block(block, device) for stage in model.stages() for block in stage))
        self.refresh()

    def _conv(self, conv: nn.Conv2d, norm: nn.Module, relu: bool, device: torch.device) -> Conv:
        made = kind(conv, relu, device)(conv, relu, device)
        self.pairs.append((made, conv, norm))
        return made

    def _block(self, block: nn.Module, device: torch.device) -> Block:
        names = ("1", "2", "3") if isinstance(block, Bottleneck) else ("1", "2")
        convs = [self._conv(getattr(block, f"conv{i}"), getattr(block, f"bn{i}"), True, device) for i in names]
        shortcut = None if block.downsample is None else self._conv(*block.downsample, False, device)
        return Block(convs, shortcut)

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the network's present weights and statistics."""
        scales, biases = _factors([norm for _, _, norm in self.pairs], [conv.bias for _, conv, _ in self.pairs])
        summands = {fused: bias for (fused, _, _), bias in zip(self.pairs, biases, strict=True)}
        for block in self.blocks:
            if block.shortcut is not None:
                summands[block.convs[-1]] = summands[block.convs[-1]] + summands[block.shortcut]
        for (fused, conv, _), scale in zip(self.pairs, scales, strict=True):
            fused.fill(conv.weight, scale, summands[fused])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        network = self.source[0]
        with torch.autocast(x.device.type, enabled=False):
            x = self.maxpool(self.stem(network.normalizer(x.float())))
            features = self.blocks(x).float().mean((2, 3))
            return F.linear(features, network.model.fc.weight, network.model.fc.bias)


def _factors(
    norms: list[nn.Module], biases: list[torch.Tensor | None]
) -> tuple[list[torch.Tensor | None], list[torch.Tensor]]:
    """What convolutions' weights are multiplied by, and their biases, for each to do its BatchNorm's work too.

    Where BatchNorms have been folded before (networks.folding) there is nothing to multiply by. All layers at once: a
    GPU would wait for the CPU to start a kernel for each.
    """
    if all(isinstance(norm, nn.Identity) for norm in norms):
        return [None] * len(norms), biases
    scales = torch._foreach_add([norm.running_var for norm in norms], norms[0].eps)
    torch._foreach_rsqrt_(scales)
    torch._foreach_mul_(scales, [norm.weight for norm in norms])
    moved = torch._foreach_mul([norm.running_mean for norm in norms], scales)
    return scales, torch._foreach_sub([norm.bias for norm in norms], moved)
