"""Layers of StyleGAN2 (Karras et al. 2020b): equalised weights, modulated convolutions, FIR resampling."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.errors import InputError


def lrelu(x: torch.Tensor) -> torch.Tensor:
    """Leaky ReLU of slope 0.2, times sqrt(2) so that a unit second moment stays one."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def normalize(x: torch.Tensor) -> torch.Tensor:
    """Rows x [N, D] scaled to a mean square of one."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class EqualLinear(nn.Module):
    """A linear layer at an equalised learning rate (Karras et al. 2018, Sec. 4.1): weights N(0, 1), scaled in use.

    `lr` multiplies its learning rate: parameters are kept 1 / lr times as large as they are used.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: float | None = 0.0, lr: float = 1.0, activate: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr)
        self.bias = None if bias is None else nn.Parameter(torch.full((out_features,), bias / lr))
        self.lr = lr
        self.activate = activate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, in] to [N, out]."""
        weight = self.weight * (self.lr / math.sqrt(self.weight.shape[1]))
        x = F.linear(x, weight, None if self.bias is None else self.bias * self.lr)
        return lrelu(x) if self.activate else x


class ClassEmbedding(nn.Module):
    """Labels y [N] to learned vectors [N, dim] of unit mean square (Karras et al. 2020a, conditional models)."""

    def __init__(self, num_classes: int, dim: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.linear = EqualLinear(num_classes, dim, bias=None)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return normalize(self.linear(F.one_hot(y, self.num_classes).to(self.linear.weight.dtype)))


class Fir(nn.Module):
    """The separable low-pass filter [1, 3, 3, 1] around every change of resolution (Karras et al. 2020b, App. B)."""

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", taps.outer(taps)[None, None], persistent=False)

    def forward(self, x: torch.Tensor, padding: int, gain: float = 1.0, stride: int = 1) -> torch.Tensor:
        """Filter x [N, C, H, W], zero-padded, keeping every `stride`-th position."""
        return F.conv2d(x, self._per_channel(x, gain), stride=stride, padding=padding, groups=x.shape[1])

    def halve(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] to [N, C, H / 2, W / 2]."""
        return self(x, padding=1, stride=2)

    def double(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, H, W] to [N, C, 2 H, 2 W]; bilinear interpolation, but for the zeros beyond the border."""
        return F.conv_transpose2d(x, self._per_channel(x, 4.0), stride=2, padding=1, groups=x.shape[1])

    def _per_channel(self, x: torch.Tensor, gain: float) -> torch.Tensor:
        return (gain * self.kernel).expand(x.shape[1], 1, 4, 4)


class EqualConv(nn.Module):
    """The discriminator's convolution: equalised learning rate, FIR filter before a stride of two, leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, halve: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.fir = Fir() if halve else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, in, H, W] to [N, out, H, W], or half of H and W."""
        weight, pad = scaled(self.weight), self.weight.shape[2] // 2
        if self.fir is None:
            return lrelu(F.conv2d(x, weight, self.bias, padding=pad))
        return lrelu(F.conv2d(self.fir(x, padding=pad + 1), weight, self.bias, stride=2))


class HalvingShortcut(nn.Module):
    """The linear way around a discriminator's block: FIR filter, every second position, 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.fir = Fir()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, in, H, W] to [N, out, H / 2, W / 2]."""
        return F.conv2d(self.fir.halve(x), scaled(self.weight))


def scaled(weight: torch.Tensor) -> torch.Tensor:
    """A convolution's weight [out, in, k, k] over the root of its fan-in: the equalised learning rate."""
    return weight / math.sqrt(weight[0].numel())


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled per image by a style, and its outputs demodulated (Eq. 1-3).

    Weights w' = s_i w_ijk, then w'' = w' / sqrt(sum_ik w'^2 + 1e-8). Scaling inputs by s and outputs by the root
    instead is the same and needs no weight per image. With `double`, a transposed convolution and the FIR filter.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        w_dim: int,
        demodulate: bool = True,
        double: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.style = EqualLinear(w_dim, in_channels, bias=1.0)
        self.demodulate = demodulate
        self.fir = Fir() if double else None

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """x [N, in, H, W] and w [N, w_dim] to [N, out, H, W], or twice H and W."""
        weight, style = scaled(self.weight), self.style(w)
        x = x * style[:, :, None, None]
        if self.fir is None:
            x = F.conv2d(x, weight, padding=weight.shape[2] // 2)
        else:
            x = self.fir(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1, gain=4.0)
        if not self.demodulate:
            return x
        norm = (F.linear(style.square(), weight.square().sum((2, 3))) + 1e-8).rsqrt()
        return x * norm[:, :, None, None]


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise of learned strength, bias, leaky ReLU (Karras et al. 2020b, Fig. 2c).

    `size` is the output's. Noise is drawn anew in training, one plane per image; in eval mode it is one fixed plane,
    so that an image depends on its own latent alone.
    """

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, size: int, double: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channels, out_channels, 3, w_dim, double=double)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(1, 1, size, size))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """x [N, in, H, W] and w [N, w_dim] to [N, out, size, size]."""
        x = self.conv(x, w)
        noise = torch.randn_like(x[:, :1]) if self.training else self.noise
        return lrelu(x + noise * self.noise_strength + self.bias[:, None, None])


class ToImage(nn.Module):
    """Modulated 1x1 convolution without demodulation to channels * patch^2, rearranged to pixels."""

    def __init__(self, in_channels: int, channels: int, patch: int, w_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channels, channels * patch**2, 1, w_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels * patch**2))
        self.patch = patch

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """x [N, in, H, W] and w [N, w_dim] to [N, channels, patch H, patch W]."""
        return F.pixel_shuffle(self.conv(x, w) + self.bias[:, None, None], self.patch)


def minibatch_std(x: torch.Tensor, group: int) -> torch.Tensor:
    """x [N, C, H, W] with one more channel: the spread within groups of neighbours in the batch, averaged over C, H, W.

    Karras et al. 2018, Sec. 3. Groups are consecutive images: real and generated images in one batch do not mix.
    Raises InputError if the batch does not split into groups.
    """
    n, _, height, width = x.shape
    if n % group:
        raise InputError(f"group_size: {group}, expected a divisor of the batch ({n} images)")
    groups = x.unflatten(0, (n // group, group))
    variance = (groups - groups.mean(1, keepdim=True)).square().mean(1)
    spread = (variance + 1e-8).sqrt().mean((1, 2, 3)).repeat_interleave(group)
    return torch.cat([x, spread.view(n, 1, 1, 1).expand(n, 1, height, width)], dim=1)
