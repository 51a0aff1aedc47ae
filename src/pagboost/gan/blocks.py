"""Residual blocks that the GANs share: spectral norm, conditional BatchNorm, up- and downsampling, self-attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def spectral(module: nn.Module) -> nn.Module:
    """Orthogonal initial weights, zero bias, and W / sigma(W) in use (Miyato et al. 2018; BigGAN Sec. 3).

    sigma comes from one power iteration per forward pass in train mode; eval mode keeps the last singular vectors.
    """
    if module.weight.is_meta:  # to be loaded: torch's power iterations on meta tensors take seconds of start-up
        module.to_empty(device="cpu")
    nn.init.orthogonal_(module.weight)
    if getattr(module, "bias", None) is not None:
        nn.init.zeros_(module.bias)
    return spectral_norm(module)


def conv(in_channels: int, out_channels: int, kernel_size: int, bias: bool = True) -> nn.Module:
    """A spectrally normalised convolution that keeps height and width (odd kernel_size)."""
    return spectral(nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias))


def embedding(num_classes: int, dim: int) -> nn.Embedding:
    """A learned row [dim] per class, orthogonal at first."""
    # nn.Embedding's own normal initialisation would be thrown away, and on meta tensors it imports for two seconds
    return nn.Embedding.from_pretrained(nn.init.orthogonal_(torch.empty(num_classes, dim)), freeze=False)


class ConditionalBatchNorm2d(nn.Module):
    """BatchNorm whose gain and bias are linear in a condition (BigGAN Appendix B): x_hat (1 + G c) + B c."""

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = spectral(nn.Linear(condition_dim, channels, bias=False))
        self.bias = spectral(nn.Linear(condition_dim, channels, bias=False))

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] and condition [N, D] to [N, C, H, W]."""
        gain, bias = 1 + self.gain(condition), self.bias(condition)
        return torch.addcmul(bias[:, :, None, None], self.norm(x), gain[:, :, None, None])


class UpBlock(nn.Module):
    """Residual block that doubles height and width, conditioned through its BatchNorms (BigGAN Fig. 15b)."""

    def __init__(self, in_channels: int, out_channels: int, condition_dim: int) -> None:
        super().__init__()
        self.norm1 = ConditionalBatchNorm2d(in_channels, condition_dim)
        self.conv1 = conv(in_channels, out_channels, 3)
        self.norm2 = ConditionalBatchNorm2d(out_channels, condition_dim)
        self.conv2 = conv(out_channels, out_channels, 3)
        self.shortcut = conv(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] to [N, out_channels, 2 H, 2 W]."""
        h = F.interpolate(F.relu(self.norm1(x, condition)), scale_factor=2)
        h = self.conv2(F.relu(self.norm2(self.conv1(h), condition)))
        # a 1x1 convolution commutes with nearest-neighbour upsampling, and costs a quarter before it
        return h + F.interpolate(self.shortcut(x), scale_factor=2)


class DownBlock(nn.Module):
    """Residual block without normalisation layers that halves height and width if asked to (BigGAN Fig. 15c).

    The first block of a discriminator takes an image, which no activation precedes.
    """

    def __init__(self, in_channels: int, out_channels: int, downsample: bool, first: bool) -> None:
        super().__init__()
        self.downsample = downsample
        self.first = first
        self.conv1 = conv(in_channels, out_channels, 3)
        self.conv2 = conv(out_channels, out_channels, 3)
        same = in_channels == out_channels and not downsample
        self.shortcut = nn.Identity() if same else conv(in_channels, out_channels, 1)

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
        self.query = conv(channels, max(1, channels // 8), 1, bias=False)
        self.key = conv(channels, max(1, channels // 8), 1, bias=False)
        self.value = conv(channels, max(1, channels // 2), 1, bias=False)
        self.out = conv(max(1, channels // 2), channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] to the same shape."""
        query = self.query(x).flatten(2).transpose(1, 2)
        key = F.max_pool2d(self.key(x), 2).flatten(2).transpose(1, 2)
        value = F.max_pool2d(self.value(x), 2).flatten(2).transpose(1, 2)
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gamma * self.out(attended.transpose(1, 2).unflatten(2, x.shape[-2:]))
