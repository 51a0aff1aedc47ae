"""Where the API computes: in the caller's process, which is left as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from pagboost import runtime
from pagboost.errors import InputError
from pagboost.machine import number_format


@contextlib.contextmanager
def with_gradients() -> Iterator[None]:
    """Gradients can be taken, and networks that are made can take part, whatever the caller has switched off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextlib.contextmanager
def computing(device: str | torch.device, given: Any, attacks: bool = False) -> Iterator[torch.device]:
    """The device, with the settings of every command for as long as this lasts, and gradients where they are needed.

    "auto": that of `given` where it is a tensor on a GPU, else the current GPU, else the CPU; else what torch.device
    takes. None is leased: which of a machine's GPUs a process uses, its owner knows. Raises InputError for no device.
    attacks: "cpu-bf16" is a device too (machine.number_format).
    """
    with runtime.prepared(), with_gradients():
        if attacks and device == number_format.CPU_BF16:
            with number_format.bf16_on_cpu():
                yield torch.device("cpu")
        else:
            yield _device(device, given)


def _device(device: str | torch.device, given: Any) -> torch.device:
    if device == "auto":
        if isinstance(given, torch.Tensor) and given.is_cuda:
            return given.device
        return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device: {device!r}, expected auto, cpu, cuda or cuda:N") from error
    if found.type not in ("cpu", "cuda"):  # nor is the guide moved to what cannot compute float64
        raise InputError(f"device: {device!r}, expected auto, cpu, cuda or cuda:N")
    if found.type == "cuda" and not (found.index or 0) < torch.cuda.device_count():
        raise InputError(f"device: {device}, expected one of the {torch.cuda.device_count()} GPUs that torch sees")
    return found
