"""ADM's UNet and its encoder classifier, under guided-diffusion's parameter names: public checkpoints load strictly.

Dhariwal and Nichol 2021, "Diffusion models beat GANs on image synthesis", Sec. 3. One addition for small images:
`patch` folds p x p pixels into channels before the first convolution and unfolds them after the last.
"""

from __future__ import annotations

from collections.abc import Sequence
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

ATTENTION_ORDERS = ("legacy", "new")


class Stage(nn.Sequential):
    """Layers in a row; residual blocks also get the embedding."""

    def forward(self, x: torch.Tensor, emb: torch.Tensor) -> torch.Tensor:
        for layer in self:
            x = layer(x, emb) if isinstance(layer, ResBlock) else layer(x)
        return x


@dataclass(frozen=True)
class Architecture:
    """The options that a UNet and its encoder share, and the layers they make."""

    image_size: int
    in_channels: int
    model_channels: int
    num_res_blocks: int
    attention_resolutions: Sequence[int]
    channel_mult: Sequence[float]
    num_heads: int | None
    num_head_channels: int | None
    dropout: float
    use_scale_shift_norm: bool
    resblock_updown: bool
    attention_order: str
    attention_dims: int
    norm_groups: int
    patch: int

    def __post_init__(self) -> None:
        if (self.num_heads is None) == (self.num_head_channels is None):
            given = f"num_heads {self.num_heads}, num_head_channels {self.num_head_channels}"
            raise InputError(f"unet: {given}, expected just one of them")
        if self.attention_order not in ATTENTION_ORDERS:
            raise InputError(f"unet.attention_order: {self.attention_order}, expected {' or '.join(ATTENTION_ORDERS)}")
        if self.attention_dims not in (1, 2):
            raise InputError(f"unet.attention_dims: {self.attention_dims}, expected 1 or 2")
        factor = self.patch * 2 ** (len(self.channel_mult) - 1)
        if self.image_size % factor:
            raise InputError(f"unet.image_size: {self.image_size}, expected a multiple of {factor} (patch and levels)")
        name = "num_heads" if self.num_heads else "num_head_channels"
        divisor = self.num_heads or self.num_head_channels
        last = len(self.channel_mult) - 1
        for level in range(last + 1):
            width = self.width(level)
            if width % self.norm_groups:
                raise InputError(f"unet.norm_groups: {self.norm_groups}, expected a divisor of {width} channels")
            attends = level == last or self.resolution(level) in self.attention_resolutions
            if attends and width % divisor:
                raise InputError(f"unet.{name}: {divisor}, expected a divisor of {width} channels")

    @property
    def embed_dim(self) -> int:
        return 4 * self.model_channels

    def width(self, level: int) -> int:
        """Channels of a level; level 0 is the finest."""
        return int(self.channel_mult[level] * self.model_channels)

    def resolution(self, level: int) -> int:
        """Side of a level's feature maps, in positions."""
        return self.image_size // self.patch // 2**level

    def heads(self, channels: int) -> int:
        return self.num_heads or channels // self.num_head_channels

    def res_block(self, channels: int, out_channels: int, resample: str | None = None) -> ResBlock:
        return ResBlock(
            channels,
            out_channels,
            self.embed_dim,
            groups=self.norm_groups,
            dropout=self.dropout,
            scale_shift=self.use_scale_shift_norm,
            resample=resample,
        )

    def attention_block(self, channels: int) -> AttentionBlock:
        return AttentionBlock(
            channels,
            heads=self.heads(channels),
            groups=self.norm_groups,
            order=self.attention_order,
            dims=self.attention_dims,
        )

    def block(self, channels: int, level: int) -> list[nn.Module]:
        """A residual block to the level's width, with attention where the level has it."""
        width = self.width(level)
        attention = [self.attention_block(width)] if self.resolution(level) in self.attention_resolutions else []
        return [self.res_block(channels, width), *attention]

    def time_embed(self) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(self.model_channels, self.embed_dim), nn.SiLU(), nn.Linear(self.embed_dim, self.embed_dim)
        )

    def input_blocks(self) -> tuple[nn.ModuleList, list[int]]:
        """The way down, and the channels each of its stages leaves for the way up."""
        widths = [self.width(0)]
        blocks = nn.ModuleList([Stage(nn.Conv2d(self.in_channels * self.patch**2, widths[0], 3, padding=1))])
        for level in range(len(self.channel_mult)):
            for _ in range(self.num_res_blocks):
                blocks.append(Stage(*self.block(widths[-1], level)))
                widths.append(self.width(level))
            if level < len(self.channel_mult) - 1:
                width = widths[-1]
                blocks.append(
                    Stage(self.res_block(width, width, "down") if self.resblock_updown else Downsample(width))
                )
                widths.append(width)
        return blocks, widths

    def middle_block(self, width: int) -> Stage:
        return Stage(self.res_block(width, width), self.attention_block(width), self.res_block(width, width))

    def output_blocks(self, widths: list[int]) -> nn.ModuleList:
        """The way up; each stage also takes what the mirrored stage of the way down left."""
        blocks, channels, skips = nn.ModuleList(), widths[-1], list(widths)
        for level in reversed(range(len(self.channel_mult))):
            for i in range(self.num_res_blocks + 1):
                layers = self.block(channels + skips.pop(), level)
                channels = self.width(level)
                if level and i == self.num_res_blocks:
                    up = self.res_block(channels, channels, "up") if self.resblock_updown else Upsample(channels)
                    layers.append(up)
                blocks.append(Stage(*layers))
        return blocks


class UNet(nn.Module):
    """ADM's UNet: an image and a time (and a class) to an image of the same size."""

    def __init__(self, arch: Architecture, out_channels: int, num_classes: int | None) -> None:
        super().__init__()
        self.patch, self.model_channels = arch.patch, arch.model_channels
        self.time_embed = arch.time_embed()
        self.num_classes = num_classes
        self.label_emb = None if num_classes is None else nn.Embedding(num_classes, arch.embed_dim)
        self.input_blocks, widths = arch.input_blocks()
        self.middle_block = arch.middle_block(widths[-1])
        self.output_blocks = arch.output_blocks(widths)
        width = arch.width(0)
        self.out = nn.Sequential(
            GroupNorm(arch.norm_groups, width),
            nn.SiLU(),
            zeroed(nn.Conv2d(width, out_channels * arch.patch**2, 3, padding=1)),
        )

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """x [N, C, H, W], times t [N], classes y [N] (ignored by a network without classes) to [N, out, H, W]."""
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

    def __init__(self, arch: Architecture, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.patch, self.model_channels = arch.patch, arch.model_channels
        self.time_embed = arch.time_embed()
        self.input_blocks, widths = arch.input_blocks()
        self.middle_block = arch.middle_block(widths[-1])
        size = arch.resolution(len(arch.channel_mult) - 1)
        self.out = nn.Sequential(
            GroupNorm(arch.norm_groups, widths[-1]),
            nn.SiLU(),
            AttentionPool(size, widths[-1], arch.heads(widths[-1]), num_classes),
        )

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] with H = W = image_size and times t [N] to logits [N, num_classes]."""
        emb = self.time_embed(timestep_embedding(t, self.model_channels).to(x.dtype))
        h = F.pixel_unshuffle(x, self.patch)
        for stage in self.input_blocks:
            h = stage(h, emb)
        return self.out(self.middle_block(h, emb))


def unet(
    *,
    image_size: int,
    in_channels: int,
    out_channels: int,
    model_channels: int,
    num_res_blocks: int,
    attention_resolutions: Sequence[int],
    channel_mult: Sequence[float],
    num_heads: int | None = None,
    num_head_channels: int | None = None,
    num_classes: int | None = None,
    dropout: float = 0.0,
    use_scale_shift_norm: bool = True,
    resblock_updown: bool = False,
    attention_order: str = "legacy",
    attention_dims: int = 1,
    norm_groups: int = 32,
    patch: int = 1,
) -> UNet:
    """ADM's UNet; options as in its code base, forward(x [N, in, H, W], t [N], y [N] or None) -> [N, out, H, W].

    attention_resolutions: sides of the feature maps that get attention, in positions: image_size / patch / 2^level.
    Heads: num_heads in every block, or num_head_channels channels for each. attention_order: how qkv is packed, see
    `attend`. attention_dims: 2 makes qkv and projection 1x1 convolutions over the image (the consistency
    checkpoints), 1 over a sequence (guided-diffusion's). norm_groups: 32 in ADM. patch: pixels folded into channels,
    in each direction. Raises InputError for options that do not fit together.
    """
    arch = Architecture(
        image_size=image_size,
        in_channels=in_channels,
        model_channels=model_channels,
        num_res_blocks=num_res_blocks,
        attention_resolutions=attention_resolutions,
        channel_mult=channel_mult,
        num_heads=num_heads,
        num_head_channels=num_head_channels,
        dropout=dropout,
        use_scale_shift_norm=use_scale_shift_norm,
        resblock_updown=resblock_updown,
        attention_order=attention_order,
        attention_dims=attention_dims,
        norm_groups=norm_groups,
        patch=patch,
    )
    return UNet(arch, out_channels, num_classes)


def encoder_classifier(
    *,
    image_size: int,
    in_channels: int,
    num_classes: int,
    model_channels: int,
    num_res_blocks: int,
    attention_resolutions: Sequence[int],
    channel_mult: Sequence[float],
    num_heads: int | None = None,
    num_head_channels: int | None = None,
    dropout: float = 0.0,
    use_scale_shift_norm: bool = True,
    resblock_updown: bool = True,
    attention_order: str = "legacy",
    attention_dims: int = 1,
    norm_groups: int = 32,
    patch: int = 1,
) -> UNetEncoder:
    """ADM's classifier of noisy images; options as in `unet`, forward(x [N, in, S, S], t [N]) -> logits [N, classes].

    Raises InputError for options that do not fit together.
    """
    arch = Architecture(
        image_size=image_size,
        in_channels=in_channels,
        model_channels=model_channels,
        num_res_blocks=num_res_blocks,
        attention_resolutions=attention_resolutions,
        channel_mult=channel_mult,
        num_heads=num_heads,
        num_head_channels=num_head_channels,
        dropout=dropout,
        use_scale_shift_norm=use_scale_shift_norm,
        resblock_updown=resblock_updown,
        attention_order=attention_order,
        attention_dims=attention_dims,
        norm_groups=norm_groups,
        patch=patch,
    )
    return UNetEncoder(arch, num_classes)
