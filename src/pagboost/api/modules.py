"""A torch.nn.Module that a caller holds, as one that guides or measures: a copy of it, behind what images need."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import torch

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.networks.function import FromFunction, wrapped
from pagboost.options.networks import Function
from pagboost.options.reading import read


def adopted(
    module: torch.nn.Module,
    channels: int,
    input_size: int | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> tuple[FromFunction, str]:
    """(the network in eval mode and float32 on the CPU, its name); the caller's module stays as it is.

    It sees images [N, C, H, W] in [0, 1], resized to input_size, less mean and over std, where these are given.
    Raises InputError for a mean and std that do not fit the channels.
    """
    kind = type(module)
    stated: dict[str, Any] = {"function": f"{kind.__module__}:{kind.__name__}", "channels": channels}
    stated |= {"input_size": input_size}
    stated |= {key: None if one is None else list(one) for key, one in (("mean", mean), ("std", std))}
    options = read(Function, stated, "network")
    return wrapped(copy.deepcopy(module).to("cpu", torch.float32), options).eval(), kind.__name__


def identity(network: FromFunction, size: int) -> str:
    """sha256 of an adopted network: its class, its weights, and what is done to images before it sees them."""
    tensors = {key: value for key, value in network.state_dict().items() if isinstance(value, torch.Tensor)}
    own = [type(network.model).__qualname__, size, network.input_size, artifacts.weights_hash(tensors, {})]
    return hashlib.sha256(json.dumps(own).encode()).hexdigest()


def only_of_modules(**given: Any) -> None:
    """Raise InputError where something is said of a network that says it itself."""
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"{name}: {value}, expected with a torch.nn.Module alone (files and functions say their own)"
            )
