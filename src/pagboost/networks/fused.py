"""A ResNet for attacks: each convolution in one kernel with its BatchNorm, shortcut and ReLU; gradients of images only.

The same function as the network in eval mode, up to rounding: fp32 on the CPU, bf16 with fp32 sums on a GPU, and on a
CPU where it is asked for (machine.number_format). Nothing here can be trained, but weights that go on changing are
taken over by `Fused.refresh`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.networks.convolutions import CL, Conv, Passed
from pagboost.networks.kernels import kind, pool_of
from pagboost.networks.resnet import Bottleneck, NormalisedResNet

Kept = list[Passed]  # what backward will ask for, in the order in which it arose


class _Body(torch.autograd.Function):
    """Normalised images to the averages [N, C], float32, of the last maps; backward to the images, never to weights.

    One function, not one for each layer: a gradient passes a ReLU where it arises, together with the sum over the two
    ways into a block, and whoever takes it over need not know of either.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, fused: Fused) -> torch.Tensor:
        ctx.fused, ctx.size, ctx.kept = fused, x.shape, []
        maps, ctx.places = fused.run(x, ctx.kept)
        return averages(maps)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        n, channels, height, width = ctx.kept[-1].size
        each = (grad / (height * width)).to(ctx.fused.stem.weight.dtype)
        maps = each.view(n, channels, 1, 1).expand(n, channels, height, width)
        return ctx.fused.back(maps.contiguous(memory_format=CL), ctx.size, list(ctx.kept), ctx.places), None


def averages(maps: torch.Tensor) -> torch.Tensor:
    """[N, C], float32, of maps [N, C, H, W]."""
    return maps.mean((2, 3), dtype=torch.float32)


class Block(nn.Module):
    """A bottleneck or basic block of fused convolutions."""

    def __init__(self, convs: list[Conv], shortcut: Conv | None) -> None:
        super().__init__()
        self.convs, self.shortcut = nn.ModuleList(convs), shortcut

    def run(self, x: torch.Tensor, kept: Kept | None) -> torch.Tensor:
        """The block's result, after its last ReLU; what its ReLUs' gradients ask for is put on `kept`."""
        branch = x
        for conv in self.convs[:-1]:
            branch = _run(conv, branch, None, kept)
        shortcut = x if self.shortcut is None else self.shortcut.run(x)[0]
        return _run(self.convs[-1], branch, shortcut, kept)

    def back(self, grad: torch.Tensor, kept: Kept) -> torch.Tensor:
        """From before its last ReLU to before the ReLU that its input came out of."""
        side = grad
        for conv in reversed(self.convs[1:]):
            grad = conv.back_through(grad, kept.pop())
        x = kept.pop()
        first = self.convs[0]
        if self.shortcut is None:
            return first.back_through(grad, x, side)
        return self.shortcut.back_beside(side, first, grad, x)


def _run(conv: Conv, x: torch.Tensor, shortcut: torch.Tensor | None, kept: Kept | None) -> torch.Tensor:
    out, passed = conv.run(x, shortcut, tells=kept is not None)
    if kept is not None:
        kept.append(passed)
    return out


class Fused(nn.Module):
    """The attacked form of a NormalisedResNet on a device: x [N, C, H, W] in [0, 1] to logits [N, K], float32."""

    def __init__(self, network: NormalisedResNet, device: torch.device) -> None:
        super().__init__()
        self.pairs: list[tuple[Conv, nn.Conv2d, nn.Module]] = []
        self.source, model = [network], network.model  # in a list: no child, whose state and mode would be shared
        self.pool = pool_of(model.maxpool, device)
        self.stem = self._conv(model.conv1, model.bn1, True, device, stem=True)
        self.blocks = nn.ModuleList(self._block(block, device) for stage in model.stages() for block in stage)
        self.refresh()

    def _conv(self, conv: nn.Conv2d, norm: nn.Module, relu: bool, device: torch.device, stem: bool = False) -> Conv:
        made = kind(conv, relu, device, stem)(conv, relu, device)
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
            x = self.stem.taken(network.normalizer(x.float()))
            differentiated = torch.is_grad_enabled() and x.requires_grad
            features = _Body.apply(x, self) if differentiated else averages(self.run(x, None)[0])
            return F.linear(features, network.model.fc.weight, network.model.fc.bias)

    def run(self, x: torch.Tensor, kept: Kept | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(the last block's maps of normalised images, where pooled ones are from); `kept` gets what `back` needs."""
        x, places = _run(self.stem, x, None, kept), None
        if self.pool is not None:
            x, passed, places = self.pool.run(x)
            if kept is not None:
                kept.append(passed)
        for block in self.blocks:
            x = block.run(x, kept)
        return x, places

    def back(self, grad: torch.Tensor, size: torch.Size, kept: Kept, places: torch.Tensor | None) -> torch.Tensor:
        """d loss / d normalised images, of `size`, of d loss / d the last block's maps."""
        grad = kept.pop().through(grad)
        for block in reversed(self.blocks):
            grad = block.back(grad, kept)
        if self.pool is not None:
            grad = self.pool.back(grad, kept.pop().size, places)
        return self.stem.back(grad, size)


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
