"""Residual blocks that the GANs share: spectral norm, conditional BatchNorm, up- and downsampling, self-attention."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

# what becomes of a fresh convolution or linear layer: its initial weights and its normalisation
Layer = Callable[[nn.Module], nn.Module]


def orthogonal(module: nn.Module) -> nn.Module:
    """Orthogonal initial weights and zero bias (BigGAN Sec. 3)."""
    nn.init.orthogonal_(module.weight)
    if getattr(module, "bias", None) is not None:
        nn.init.zeros_(module.bias)
    return module


def zero(module: nn.Module) -> nn.Module:
    """Zero initial weights."""
    nn.init.zeros_(module.weight)
    return module


def spectral(module: nn.Module) -> nn.Module:
    """Orthogonal initial weights, zero bias, and W / sigma(W) in use (Miyato et al. 2018; BigGAN Sec. 3).

    sigma comes from one power iteration per forward pass in train mode; eval mode keeps the last singular vectors.
    """
    return spectral_norm(orthogonal(module))


def conv(in_channels: int, out_channels: int, kernel_size: int, layer: Layer, bias: bool = True) -> nn.Module:
    """A convolution that keeps height and width (odd kernel_size)."""
    return layer(nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias))


def embedding(num_classes: int, dim: int) -> nn.Embedding:
    """A learned row [dim] per class, orthogonal at first."""
    # nn.Embedding's own normal initialisation would be thrown away
    return nn.Embedding.from_pretrained(nn.init.orthogonal_(torch.empty(num_classes, dim)), freeze=False)


class ConditionalBatchNorm2d(nn.Module):
    """BatchNorm whose gain and bias are linear in a condition (BigGAN Appendix B): x_hat (1 + G c) + B c."""

    def __init__(self, channels: int, condition_dim: int, layer: Layer) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = layer(nn.Linear(condition_dim, channels, bias=False))
        self.bias = layer(nn.Linear(condition_dim, channels, bias=False))

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] and condition [N, D] to [N, C, H, W]."""
        gain, bias = 1 + self.gain(condition), self.bias(condition)
        return torch.addcmul(bias[:, :, None, None], self.norm(x), gain[:, :, None, None])


class UnconditionalBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm that takes a condition and ignores it."""

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """x [N, C, H, W] to [N, C, H, W]."""
        return super().forward(x)


class UpBlock(nn.Module):
    """Residual block that doubles height and width, conditioned through its BatchNorms (BigGAN Fig. 15b).

    `norm` makes a BatchNorm(x, condition) of so many channels.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Callable[[int], nn.Module], layer: Layer) -> None:
        super().__init__()
        self.norm1 = norm(in_channels)
        self.conv1 = conv(in_channels, out_channels, 3, layer)
        self.norm2 = norm(out_channels)
        self.conv2 = conv(out_channels, out_channels, 3, layer)
        self.shortcut = conv(in_channels, out_channels, 1, layer)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """x [N, C, H, W] to [N, out_channels, 2 H, 2 W]."""
        h = F.interpolate(F.relu(self.norm1(x, condition)), scale_factor=2)
        h = self.conv2(F.relu(self.norm2(self.conv1(h), condition)))
        # a 1x1 convolution commutes with nearest-neighbour upsampling, and costs a quarter before it
        return h + F.interpolate(self.shortcut(x), scale_factor=2)


class DownBlock(nn.Module):
    """Residual block without normalisation layers that halves height and width if asked to (BigGAN Fig. 15c).

    The first block of a discriminator takes an image, which no activation precedes.
    """

    def __init__(self, in_channels: int, out_channels: int, downsample: bool, first: bool, layer: Layer) -> None:
        super().__init__()
        self.downsample = downsample
        self.first = first
        self.conv1 = conv(in_channels, out_channels, 3, layer)
        self.conv2 = conv(out_channels, out_channels, 3, layer)
        same = in_channels == out_channels and not downsample
        self.shortcut = nn.Identity() if same else conv(in_channels, out_channels, 1, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] to [N, out_channels, H, W], or half of H and W."""
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if self.downsample:
            # likewise, pooling commutes with the 1x1 convolution of the shortcut
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + self.shortcut(x)


class SelfAttention(nn.Module):
    """x + gamma attention(x), gamma from 0 (Zhang et al. 2019, SAGAN; keys and values on a 2x2 pooled grid)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = conv(channels, max(1, channels // 8), 1, spectral, bias=False)
        self.key = conv(channels, max(1, channels // 8), 1, spectral, bias=False)
        self.value = conv(channels, max(1, channels // 2), 1, spectral, bias=False)
        self.out = conv(max(1, channels // 2), channels, 1, spectral, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] to the same shape."""
        query = self.query(x).flatten(2).transpose(1, 2)
        key = F.max_pool2d(self.key(x), 2).flatten(2).transpose(1, 2)
        value = F.max_pool2d(self.value(x), 2).flatten(2).transpose(1, 2)
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gamma * self.out(attended.transpose(1, 2).unflatten(2, x.shape[-2:]))
