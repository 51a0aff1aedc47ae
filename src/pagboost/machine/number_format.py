"""bf16 on a CPU, where a user asks for it and the CPU computes in it: ResNets are attacked twice as fast.

Never by itself: what a CPU computes does not depend on the machine but for last digits, and this does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from pagboost.errors import InputError

if TYPE_CHECKING:
    import torch

CPU_BF16 = "cpu-bf16"  # a choice of device
_asked: ContextVar[bool] = ContextVar("bf16 on a CPU", default=False)


@contextlib.contextmanager
def bf16_on_cpu() -> Iterator[None]:
    """Attacked forms of ResNets on a CPU are made in bf16 for as long as this lasts; InputError where it has none."""
    if not computes_bf16():
        raise InputError(f"--device {CPU_BF16}: this CPU does not compute in it, expected AVX512-BF16 or AMX (or cpu)")
    before = _asked.set(True)
    try:
        yield
    finally:
        _asked.reset(before)


def noted(device: str) -> dict[str, str]:
    """What is noted of the device that a user chose, where the result depends on it."""
    return {"device": device} if device == CPU_BF16 else {}


def computes_bf16() -> bool:
    """Whether this CPU multiplies bf16 numbers itself: oneDNN takes them on others too, and is slower then."""
    import torch  # command lines name the choice, and import nothing heavy

    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    found = [getattr(torch.cpu, name, None) for name in names]
    return torch.backends.mkldnn.is_available() and any(has is not None and has() for has in found)


def halved(device: torch.device) -> bool:
    """Whether attacked forms of ResNets there compute in bf16, their sums in fp32."""
    return device.type == "cuda" or (device.type == "cpu" and _asked.get())
