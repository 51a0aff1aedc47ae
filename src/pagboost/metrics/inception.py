"""Inception-v3 of the 2015-12-05 graph, the network of every published FID, as an extractor.

The architecture is that of the pytorch-fid package, whose public weights were converted from that graph.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_fid import inception as pytorch_fid
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.inception import BasicConv2d

from pagboost.networks import onednn
from pagboost.networks.copies import replaced
from pagboost.options import extractors

SIZE = 299
SPATIAL = 7  # channels of mixed_6/conv that sFID looks at
RESIZERS = 8  # threads


class Inception(nn.Module):
    """pool3, logits and sFID's features of images in [0, 1]; `model` has the tensor names of the public weights.

    resize: "pytorch" as the pytorch-fid package prepares images, "tensorflow" as the 2015 graph itself does in OpenAI's
    evaluator, "clean" as the clean-fid package does.
    """

    in_channels = 3
    input_size = SIZE

    def __init__(self, resize: str) -> None:
        super().__init__()
        self.resize = resize
        self.model = _architecture()

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(pool3 [N, 2048], logits [N, 1008], spatial [N, 2023]) of x [N, 3, H, W] in [0, 1], from one pass.

        The logits leave out the last layer's bias, as the inception score's own code (Salimans et al. 2016) and
        ADM's evaluator do. Spatial are the first 7 channels of mixed_6/conv, the 1x1 branch that is the first in
        Mixed_6d's output, in TensorFlow's order (row, column, channel): that of the statistics of OpenAI's batches.
        """
        sixth, last = self.maps(RESIZES[self.resize](x))
        pool3 = last.mean((2, 3))
        spatial = sixth[:, :SPATIAL].permute(0, 2, 3, 1).flatten(1)
        return pool3, F.linear(pool3, self.model.fc.weight), spatial

    def fixed(self, device: torch.device) -> Inception:
        """The same function of weights that stay: on a CPU, BatchNorm and ReLU are inside the convolutions."""
        if not onednn.fuses(device):
            return self

        def fused(part: nn.Module) -> nn.Module:
            return onednn.FixedConv(fuse_conv_bn_eval(part.conv, part.bn), "relu")

        result = copy.deepcopy(self).eval()
        replaced(result.model, BasicConv2d, fused)
        return result

    def maps(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(Mixed_6d [N, 768, 17, 17], Mixed_7c [N, 2048, 8, 8]) of x [N, 3, 299, 299] in [-1, 1]."""
        net = self.model
        x = net.Conv2d_2b_3x3(net.Conv2d_2a_3x3(net.Conv2d_1a_3x3(x)))
        x = net.Conv2d_4a_3x3(net.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = net.Mixed_5d(net.Mixed_5c(net.Mixed_5b(F.max_pool2d(x, 3, stride=2))))
        sixth = net.Mixed_6d(net.Mixed_6c(net.Mixed_6b(net.Mixed_6a(x))))
        return sixth, net.Mixed_7c(net.Mixed_7b(net.Mixed_7a(net.Mixed_6e(sixth))))


def as_pytorch_fid(x: torch.Tensor) -> torch.Tensor:
    """x [N, 3, H, W] in [0, 1] to [-1, 1] at 299: bilinear without antialiasing, pixels' centres aligned."""
    return 2 * F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", align_corners=False) - 1


def as_tensorflow(x: torch.Tensor) -> torch.Tensor:
    """x [N, 3, H, W] in [0, 1] to 299 as the graph's own ResizeBilinear: pixels' upper left corners aligned.

    Then the graph's (pixel - 128) / 128 of pixels in 0..255.
    """
    for dim in (3, 2):
        size = x.shape[dim]
        place = torch.arange(SIZE, device=x.device, dtype=torch.float32) * (size / SIZE)
        lower = place.floor().long().clamp_max(size - 1)
        weight = (place - lower).view(-1, 1) if dim == 2 else place - lower
        near, far = x.index_select(dim, lower), x.index_select(dim, (lower + 1).clamp_max(size - 1))
        x = near + (far - near) * weight
    return (255 * x - 128) / 128


def as_clean_fid(x: torch.Tensor) -> torch.Tensor:
    """x [N, 3, H, W] in [0, 1] to 299 by the clean-fid package: antialiased bicubic of Pillow, in float.

    Then (pixel - 128) / 128 of pixels in 0..255. On the CPU, image by image.
    """
    stored = x.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    with ThreadPoolExecutor(min(RESIZERS, torch.get_num_threads())) as pool:
        resized = np.stack(list(pool.map(_clean_resizer(), stored)))
    return (torch.from_numpy(resized).permute(0, 3, 1, 2).to(x.device) - 128) / 128


@cache
def _clean_resizer() -> Any:
    from cleanfid.resize import build_resizer

    return build_resizer("clean")


RESIZES = {"pytorch": as_pytorch_fid, "tensorflow": as_tensorflow, "clean": as_clean_fid}


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


def inception(options: extractors.Inception) -> Inception:
    """The network of kind `inception`."""
    return Inception(options.resize)
