"""BatchNorm over the whole batch of which each of several processes sees a share: what one process would compute.

torch's SyncBatchNorm does the same on GPUs alone; this one is what its tests on the CPU say of it on both.
"""

from __future__ import annotations

import torch
from torch import nn


def over_all(network: nn.Module, size: int) -> None:
    """Replace all BatchNorm layers of a network, in place, by those that see `size` processes' shares.

    Weights and buffers stay the same tensors, under the same names.
    """
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if type(layer) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
                setattr(parent, name, OverAll(layer, size))


class OverAll(nn.modules.batchnorm._BatchNorm):
    """A BatchNorm layer whose moments, in train mode, are those of all processes' images; in eval mode as ever."""

    def __init__(self, layer: nn.modules.batchnorm._BatchNorm, size: int) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum, affine=False, track_running_stats=False)
        self.size, self.affine, self.track_running_stats = size, layer.affine, layer.track_running_stats
        self.weight, self.bias = layer.weight, layer.bias
        for name, buffer in layer.named_buffers():
            self.register_buffer(name, buffer)
        self.train(layer.training)

    def _check_input_dim(self, input: torch.Tensor) -> None:
        """Any number of axes after [N, C]."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """x [N, C, ...] of this process, normalised by the moments of all, in x's dtype.

        Moments travel in float64, in which E[x^2] - E[x]^2 loses nothing that float32 holds.
        """
        if not self.training:
            return super().forward(input)
        x = input.float() if input.element_size() < 4 else input  # bf16
        var, mean = torch.var_mean(x, [0, *range(2, x.dim())], correction=0)
        mean, var = mean.double(), var.double()
        mean, square = (_Sum.apply(torch.stack([mean, var + mean.square()])) / self.size).unbind()
        var = square - mean.square()
        if self.track_running_stats:
            self._follow(mean.detach(), var.detach(), self.size * x.numel() // len(mean))
        scale, shift = (var + self.eps).rsqrt().to(x), mean.to(x)
        if self.affine:
            scale = scale * self.weight
        shape = [1, -1, *[1] * (x.dim() - 2)]
        normalised = (x - shift.view(shape)) * scale.view(shape)
        return (normalised + self.bias.view(shape) if self.affine else normalised).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: torch.Tensor, var: torch.Tensor, count: int) -> None:
        """Move the running statistics, the variance's unbiased, as torch's layers do."""
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        for running, seen in ((self.running_mean, mean), (self.running_var, var * count / (count - 1))):
            running.mul_(1 - share).add_(seen.to(running), alpha=share)


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx, value: torch.Tensor) -> torch.Tensor:
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.contiguous().clone()
        torch.distributed.all_reduce(total)
        return total
