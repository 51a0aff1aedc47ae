"""Multiply-adds of whatever runs on tensors: exact, the same on every machine, and known without computing anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


def _linear(x: torch.Tensor, weight: torch.Tensor, *_: Any, out_val: torch.Tensor) -> int:
    return 2 * x.numel() * len(weight)


OWN = {"mkldnn._linear_pointwise": _linear}  # what torch has no formula of: networks.cpu_convs'


class MultiplyAdds(TorchDispatchMode):
    """Counts those of convolutions, products and attention by torch's own formulas, backward passes included.

    They are formulas of shapes, so tensors of the meta device, which hold no numbers, count as others do.
    torch's FlopCounterMode follows modules by hooks that torch.autograd.grad refuses.
    """

    count = 0.0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if formula := flop_registry.get(function.overloadpacket, OWN.get(str(function.overloadpacket))):
            self.count += formula(*args, **(kwargs or {}), out_val=result) / 2
        return result


def multiply_adds(work: Callable[[], Any]) -> float:
    """How many a call makes."""
    with MultiplyAdds() as counter:
        work()
    return counter.count
