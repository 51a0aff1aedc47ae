"""BatchNorm folded into the convolution before it: the same function in eval mode, a quarter cheaper to attack."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode without those BatchNorms that directly follow a convolution; equal up to fp32 rounding.

    Found by torchvision's names (conv1 and bn1, ...) and by order inside nn.Sequential. Not for further training.
    A network of which these tell nothing (networks.function) is not copied, and stays as it is, in eval mode.
    """
    if not getattr(network, "folds", True):
        return network.eval()
    result = copy.deepcopy(network).eval()
    for module in list(result.modules()):
        for conv, norm in list(_pairs(module)):
            module._modules[conv] = fuse_conv_bn_eval(module._modules[conv], module._modules[norm])
            module._modules[norm] = nn.Identity()
    return result


def _pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    """The names of a convolution and the BatchNorm that follows it, among a module's own children."""
    children = dict(module.named_children())
    ordered = isinstance(module, nn.Sequential)
    following = dict(zip(children, list(children)[1:], strict=False)) if ordered else {}
    for name, child in children.items():
        norm = following.get(name, "") if ordered else name.replace("conv", "bn")
        if isinstance(child, nn.Conv2d) and isinstance(children.get(norm), nn.BatchNorm2d):
            yield name, norm
