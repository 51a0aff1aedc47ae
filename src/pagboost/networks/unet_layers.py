"""The layers of ADM's UNet, with guided-diffusion's parameter names (Dhariwal and Nichol 2021, Sec. 3)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


def timestep_embedding(t: torch.Tensor, dim: int, max_period: float = 10_000.0) -> torch.Tensor:
    """Sinusoidal embedding [N, dim] (cosines, then sines) of times t [N], in float32; dim is even."""
    exponents = torch.arange(dim // 2, dtype=torch.float32, device=t.device) / (dim // 2)
    args = t.float()[:, None] * torch.exp(-math.log(max_period) * exponents)
    return torch.cat([args.cos(), args.sin()], dim=1)


def attend(qkv: torch.Tensor, heads: int, order: str) -> torch.Tensor:
    """Multi-head self-attention of packed qkv [N, 3C, L] to [N, C, L], scaled by 1 / sqrt(C / heads).

    `order` is how the 3C channels are packed: "new" (3, heads, C / heads), "legacy" (heads, 3, C / heads).
    """
    n, width, length = qkv.shape
    if order == "new":
        q, k, v = qkv.reshape(n, 3, heads, width // (3 * heads), length).transpose(-2, -1).unbind(1)
    else:
        q, k, v = qkv.reshape(n, heads, 3, width // (3 * heads), length).transpose(-2, -1).unbind(2)
    return F.scaled_dot_product_attention(q, k, v).transpose(-2, -1).reshape(n, width // 3, length)


class GroupNorm(nn.GroupNorm):
    """Group normalisation computed in float32 whatever the network's dtype; then times 1 + scale, plus shift.

    scale and shift [N, C]: a residual block's modulation.
    """

    def forward(
        self, x: torch.Tensor, scale: torch.Tensor | None = None, shift: torch.Tensor | None = None
    ) -> torch.Tensor:
        if self.weight.dtype == torch.bfloat16:
            return self._in_one_pass(x, scale, shift)
        x = self._normalised(x)
        return x if scale is None else x * (1 + scale[:, :, None, None]) + shift[:, :, None, None]

    def _in_one_pass(self, x: torch.Tensor, scale: torch.Tensor | None, shift: torch.Tensor | None) -> torch.Tensor:
        """All of it as one factor and one summand of each channel: large maps in channels-last are read once for it.

        torch's own kernel wants another memory format on a GPU, and copies there and back. Sums are in float32.
        """
        n, c, h, w = x.shape
        parts = x.permute(0, 2, 3, 1).reshape(n, h * w, self.num_groups, c // self.num_groups)
        count = h * w * c // self.num_groups
        mean = parts.sum((1, 3), dtype=torch.float32) / count
        square = torch.linalg.vector_norm(parts, dim=(1, 3), dtype=torch.float32).square() / count
        inverse = torch.rsqrt((square - mean.square()).clamp_min(0) + self.eps)
        factor = inverse[:, :, None] * self.weight.float().view(self.num_groups, -1)
        summand = (self.bias.float().view(self.num_groups, -1) - mean[:, :, None] * factor).reshape(n, c)
        factor = factor.reshape(n, c)
        if scale is not None:
            factor, summand = factor * (1 + scale.float()), summand * (1 + scale.float()) + shift.float()
        factor, summand = (one.to(x.dtype)[:, :, None, None] for one in (factor, summand))
        return torch.addcmul(summand, x, factor)

    def _normalised(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == self.weight.dtype == torch.float32:
            return super().forward(x)
        weight, bias = self.weight.float(), self.bias.float()
        return F.group_norm(x.float(), self.num_groups, weight, bias, self.eps).to(x.dtype)


def zeroed(layer: nn.Module) -> nn.Module:
    """The layer with all parameters zero: a residual branch that starts as nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Downsample(nn.Module):
    """Halve [N, C, H, W] by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.op(x)


class Upsample(nn.Module):
    """Double [N, C, H, W] to its nearest neighbours, then convolve."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class ResBlock(nn.Module):
    """Residual block modulated by the time and class embedding; it may halve or double the resolution itself."""

    def __init__(
        self,
        channels: int,
        out_channels: int,
        embed_dim: int,
        *,
        groups: int,
        dropout: float,
        scale_shift: bool,
        resample: str | None = None,
    ) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.in_layers = nn.Sequential(
            GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        resamplers = {
            None: nn.Identity,
            "down": lambda: nn.AvgPool2d(2),
            "up": lambda: nn.Upsample(scale_factor=2.0, mode="nearest"),
        }
        self.resample = resamplers[resample]()
        self.emb_layers = nn.Sequential(
            nn.SiLU(), nn.Linear(embed_dim, 2 * out_channels if scale_shift else out_channels)
        )
        self.out_layers = nn.Sequential(
            GroupNorm(groups, out_channels),
            nn.SiLU(),
            nn.Dropout(dropout),
            zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
        )
        self.skip_connection = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: torch.Tensor, emb: torch.Tensor) -> torch.Tensor:
        norm, activation, conv = self.in_layers
        h = conv(self.resample(activation(norm(x))))
        modulation = self.emb_layers(emb).to(h.dtype)
        norm, activation, dropout, conv = self.out_layers  # a slice of them would be a new module in each call
        h = norm(h, *modulation.chunk(2, dim=1)) if self.scale_shift else norm(h + modulation[:, :, None, None])
        return self.skip_connection(self.resample(x)) + conv(dropout(activation(h)))


class AttentionBlock(nn.Module):
    """Residual self-attention over all positions of [N, C, H, W].

    in_channels_last: the same as products of [N, L, C], which is how channels-last maps lie in memory. Nothing is
    copied then, and on a CPU attention needs no map of all pairs; sums are in another order (networks.frozen).
    """

    def __init__(self, channels: int, *, heads: int, groups: int, order: str, dims: int) -> None:
        super().__init__()
        conv = {1: nn.Conv1d, 2: nn.Conv2d}[dims]
        self.heads, self.order, self.dims = heads, order, dims
        self.in_channels_last = False
        self.norm = GroupNorm(groups, channels)
        self.qkv = conv(channels, 3 * channels, 1)
        self.proj_out = zeroed(conv(channels, channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(x)
        if self.in_channels_last:
            return x + self._in_channels_last(h)
        qkv = self.qkv(h.flatten(2) if self.dims == 1 else h).flatten(2)
        h = attend(qkv, self.heads, self.order)
        return x + self.proj_out(h if self.dims == 1 else h.reshape(x.shape)).reshape(x.shape)

    def _in_channels_last(self, h: torch.Tensor) -> torch.Tensor:
        n, c, height, width = h.shape
        qkv = pointwise(self.qkv, h).permute(0, 2, 3, 1)
        parts = (3, self.heads) if self.order == "new" else (self.heads, 3)
        qkv = qkv.reshape(n, height * width, *parts, c // self.heads)
        q, k, v = (one.transpose(1, 2) for one in qkv.unbind(2 if self.order == "new" else 3))
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, height, width, c)
        return pointwise(self.proj_out, h.permute(0, 3, 1, 2))


def pointwise(conv: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A convolution of kernel 1, over positions or maps, of maps x [N, C, H, W] in channels-last memory."""
    if not isinstance(conv, nn.Conv1d | nn.Conv2d):
        return conv(x)  # it takes maps (onednn.PackedConv)
    if x.is_cuda:
        return F.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)
    return F.conv2d(x, conv.weight.view(*conv.weight.shape[:2], 1, 1), conv.bias)


class AttentionPool(nn.Module):
    """[N, C, S, S] to [N, out]: the output of an extra position, the mean of the others, after self-attention."""

    def __init__(self, size: int, channels: int, heads: int, out_channels: int) -> None:
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.randn(channels, size**2 + 1) / channels**0.5)
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.c_proj = nn.Conv1d(channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(2)
        x = torch.cat([x.mean(dim=2, keepdim=True), x], dim=2) + self.positional_embedding.to(x.dtype)
        return self.c_proj(attend(self.qkv_proj(x), self.heads, "new")[:, :, :1])[:, :, 0]
