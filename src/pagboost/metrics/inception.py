"""Inception-v3 of the 2015-12-05 graph, the network of every published FID, as an extractor.

The architecture is that of the pytorch-fid package, whose public weights were converted from that graph.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pytorch_fid import inception as pytorch_fid
from torch import nn


class Inception(nn.Module):
    """pool3 features and class logits of images in [0, 1]; `model` has the tensor names of the public weights."""

    in_channels = 3
    input_size = 299

    def __init__(self) -> None:
        super().__init__()
        self.model = _architecture()

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(pool3 [N, 2048], logits [N, 1008]) of x [N, 3, H, W] in [0, 1], from one pass.

        Resized as pytorch-fid does: bilinear without antialiasing, corners not aligned. The logits leave out the last
        layer's bias, as the inception score's own code (Salimans et al. 2016) and ADM's evaluator do.
        """
        x = F.interpolate(x, size=(self.input_size, self.input_size), mode="bilinear", align_corners=False)
        pool3 = self.trunk(2 * x - 1).mean((2, 3))
        return pool3, F.linear(pool3, self.model.fc.weight)

    def trunk(self, x: torch.Tensor) -> torch.Tensor:
        """The last feature map [N, 2048, 8, 8] of x [N, 3, 299, 299] in [-1, 1]."""
        net = self.model
        x = net.Conv2d_2b_3x3(net.Conv2d_2a_3x3(net.Conv2d_1a_3x3(x)))
        x = net.Conv2d_4a_3x3(net.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = net.Mixed_5d(net.Mixed_5c(net.Mixed_5b(F.max_pool2d(x, 3, stride=2))))
        x = net.Mixed_6e(net.Mixed_6d(net.Mixed_6c(net.Mixed_6b(net.Mixed_6a(x)))))
        return net.Mixed_7c(net.Mixed_7b(net.Mixed_7a(x)))


def _architecture() -> nn.Module:
    """torchvision's Inception-v3 with pytorch-fid's blocks where the 2015 graph differs; random weights.

    Not the package's own builder: that one downloads weights.
    """
    net = pytorch_fid._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    for name, channels, pooled in (("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)):
        setattr(net, name, pytorch_fid.FIDInceptionA(channels, pool_features=pooled))
    for name, middle in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        setattr(net, name, pytorch_fid.FIDInceptionC(768, channels_7x7=middle))
    net.Mixed_7b = pytorch_fid.FIDInceptionE_1(1280)
    net.Mixed_7c = pytorch_fid.FIDInceptionE_2(2048)
    return net


def inception() -> Inception:
    """The network of kind `inception`: fixed, so that it has no options."""
    return Inception()
