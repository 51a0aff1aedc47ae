"""ADM's UNet and its encoder classifier, under guided-diffusion's parameter names: public checkpoints load strictly.

Dhariwal and Nichol 2021, "Diffusion models beat GANs on image synthesis", Sec. 3. One addition for small images:
`patch` folds p x p pixels into channels before the first convolution and unfolds them after the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.errors import InputError
from pagboost.networks.unet_layers import (
    AttentionBlock,
    AttentionPool,
    Downsample,
    GroupNorm,
    ResBlock,
    Upsample,
    timestep_embedding,
    zeroed,
)
from pagboost.options import networks


class Stage(nn.Sequential):
    """Layers in a row; residual blocks also get the embedding."""

    def forward(self, x: torch.Tensor, emb: torch.Tensor) -> torch.Tensor:
        for layer in self:
            x = layer(x, emb) if isinstance(layer, ResBlock) else layer(x)
        return x


def in_own_format(network: UNet | UNetEncoder, x: torch.Tensor) -> torch.Tensor:
    """x in bf16 for a network that is (networks.frozen); else as it is."""
    if network.time_embed[0].weight.dtype != torch.bfloat16:
        return x
    return x.to(torch.bfloat16, memory_format=torch.channels_last)


@dataclass(frozen=True)
class Architecture:
    """The layers that the options of a UNet or its encoder make."""

    options: networks.ADM

    @property
    def levels(self) -> int:
        """How many resolutions there are."""
        return len(self.options.channel_mult)

    @property
    def embed_dim(self) -> int:
        """Length of the time and class embedding."""
        return 4 * self.options.model_channels

    def width(self, level: int) -> int:
        """Channels of a level; level 0 is the finest."""
        return self.options.widths()[level]

    def resolution(self, level: int) -> int:
        """Side of a level's feature maps, in positions."""
        return self.options.image_size // self.options.patch // 2**level

    def attends(self, level: int) -> bool:
        """Whether a level's blocks have attention."""
        return self.resolution(level) in self.options.attention_resolutions

    def heads(self, channels: int) -> int:
        """Number of attention heads over so many channels."""
        return self.options.num_heads or channels // self.options.num_head_channels

    def norm(self, channels: int) -> GroupNorm:
        return GroupNorm(self.options.norm_groups, channels)

    def res_block(self, channels: int, out_channels: int, resample: str | None = None) -> ResBlock:
        return ResBlock(
            channels,
            out_channels,
            self.embed_dim,
            groups=self.options.norm_groups,
            dropout=self.options.dropout,
            scale_shift=self.options.use_scale_shift_norm,
            resample=resample,
        )

    def attention_block(self, channels: int) -> AttentionBlock:
        return AttentionBlock(
            channels,
            heads=self.heads(channels),
            groups=self.options.norm_groups,
            order=self.options.attention_order,
            dims=self.options.attention_dims,
        )

    def block(self, channels: int, level: int) -> list[nn.Module]:
        """A residual block to the level's width, with attention where the level has it."""
        width = self.width(level)
        attention = [self.attention_block(width)] if self.attends(level) else []
        return [self.res_block(channels, width), *attention]

    def time_embed(self) -> nn.Sequential:
        width = self.options.model_channels
        return nn.Sequential(nn.Linear(width, self.embed_dim), nn.SiLU(), nn.Linear(self.embed_dim, self.embed_dim))

    def input_blocks(self) -> tuple[nn.ModuleList, list[int]]:
        """The way down, and the channels each of its stages leaves for the way up."""
        widths = [self.width(0)]
        first = nn.Conv2d(self.options.in_channels * self.options.patch**2, widths[0], 3, padding=1)
        blocks = nn.ModuleList([Stage(first)])
        for level in range(self.levels):
            for _ in range(self.options.num_res_blocks):
                blocks.append(Stage(*self.block(widths[-1], level)))
                widths.append(self.width(level))
            if level < self.levels - 1:
                width = widths[-1]
                down = self.res_block(width, width, "down") if self.options.resblock_updown else Downsample(width)
                blocks.append(Stage(down))
                widths.append(width)
        return blocks, widths

    def middle_block(self, width: int) -> Stage:
        return Stage(self.res_block(width, width), self.attention_block(width), self.res_block(width, width))

    def output_blocks(self, widths: list[int]) -> nn.ModuleList:
        """The way up; each stage also takes what the mirrored stage of the way down left."""
        blocks, channels, skips = nn.ModuleList(), widths[-1], list(widths)
        for level in reversed(range(self.levels)):
            for i in range(self.options.num_res_blocks + 1):
                layers = self.block(channels + skips.pop(), level)
                channels = self.width(level)
                if level and i == self.options.num_res_blocks:
                    updown = self.options.resblock_updown
                    layers.append(self.res_block(channels, channels, "up") if updown else Upsample(channels))
                blocks.append(Stage(*layers))
        return blocks


class UNet(nn.Module):
    """ADM's UNet: an image and a time (and a class) to an image of the same size."""

    def __init__(self, options: networks.UNet) -> None:
        super().__init__()
        arch, classes = Architecture(options), options.num_classes
        self.patch, self.model_channels = options.patch, options.model_channels
        self.time_embed = arch.time_embed()
        self.num_classes = classes
        self.label_emb = None if classes is None else nn.Embedding(classes, arch.embed_dim)
        self.input_blocks, widths = arch.input_blocks()
        self.middle_block = arch.middle_block(widths[-1])
        self.output_blocks = arch.output_blocks(widths)
        last = nn.Conv2d(arch.width(0), options.out_channels * options.patch**2, 3, padding=1)
        self.out = nn.Sequential(arch.norm(arch.width(0)), nn.SiLU(), zeroed(last))

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """x [N, C, H, W], times t [N], classes y [N] (ignored by a network without classes) to [N, out, H, W]."""
        x = in_own_format(self, x)
        emb = self.time_embed(timestep_embedding(t, self.model_channels).to(x.dtype))
        if self.label_emb is not None:
            if y is None:
                raise InputError("unet: no labels y, expected some, the network is class-conditional")
            emb = emb + self.label_emb(y)
        h, skips = F.pixel_unshuffle(x, self.patch), []
        for stage in self.input_blocks:
            h = stage(h, emb)
            skips.append(h)
        h = self.middle_block(h, emb)
        for stage in self.output_blocks:
            h = stage(torch.cat([h, skips.pop()], dim=1), emb)
        return F.pixel_shuffle(self.out(h), self.patch)


class UNetEncoder(nn.Module):
    """The way down of ADM's UNet with attention pooling: a time-dependent classifier."""

    def __init__(self, options: networks.UNetEncoder) -> None:
        super().__init__()
        arch = Architecture(options)
        self.num_classes = options.num_classes
        self.patch, self.model_channels = options.patch, options.model_channels
        self.time_embed = arch.time_embed()
        self.input_blocks, widths = arch.input_blocks()
        width, size = widths[-1], arch.resolution(arch.levels - 1)
        self.middle_block = arch.middle_block(width)
        pool = AttentionPool(size, width, arch.heads(width), options.num_classes)
        self.out = nn.Sequential(arch.norm(width), nn.SiLU(), pool)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] with H = W = image_size and times t [N] to logits [N, num_classes]."""
        x = in_own_format(self, x)
        emb = self.time_embed(timestep_embedding(t, self.model_channels).to(x.dtype))
        h = F.pixel_unshuffle(x, self.patch)
        for stage in self.input_blocks:
            h = stage(h, emb)
        return self.out(self.middle_block(h, emb))


def unet(options: networks.UNet) -> UNet:
    """ADM's UNet; options as in its code base, forward(x [N, in, H, W], t [N], y [N] or None) -> [N, out, H, W].

    attention_resolutions: sides of the feature maps that get attention, in positions: image_size / patch / 2^level.
    attention_order: how qkv is packed, see `attend`. attention_dims: 2 makes qkv and projection 1x1 convolutions over
    the image (the consistency checkpoints), 1 over a sequence (guided-diffusion's).
    Raises InputError for options that do not fit together.
    """
    return UNet(options)


def encoder_classifier(options: networks.UNetEncoder) -> UNetEncoder:
    """ADM's classifier of noisy images; options as in `unet`, forward(x [N, in, S, S], t [N]) -> logits [N, classes].

    Raises InputError for options that do not fit together.
    """
    return UNetEncoder(options)
