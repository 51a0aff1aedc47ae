"""Networks made anew from networks: on the same weights, or with other layers in some places."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import nn


def twin(network: nn.Module) -> nn.Module:
    """A copy whose weights are the network's own."""
    return copy.deepcopy(network, {id(one): one for one in (*network.parameters(), *network.buffers())})


def replaced(network: nn.Module, kinds: type | tuple[type, ...], made: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """The network itself, with what is made of it in place of each part of the kinds."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, kinds):
                module._modules[name] = made(child)
    return network
