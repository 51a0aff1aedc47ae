"""Where the API computes: in the caller's process, which is left as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from pagboost import runtime
from pagboost.errors import InputError


@contextlib.contextmanager
def with_gradients() -> Iterator[None]:
    """Gradients can be taken, and networks that are made can take part, whatever the caller has switched off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextlib.contextmanager
def computing(device: str | torch.device, given: Any) -> Iterator[torch.device]:
    """The device, with the settings of every command for as long as this lasts, and gradients where they are needed.

    "auto": that of `given` where it is a tensor on a GPU, else the current GPU, else the CPU; else what torch.device
    takes. None is leased: which of a machine's GPUs a process uses, its owner knows. Raises InputError for no device.
    """
    with runtime.prepared(), with_gradients():
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
