"""A network that a function of the user's choice returns, as one of images in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pagboost import functions, images
from pagboost.errors import InputError
from pagboost.networks.resnet import Normalizer
from pagboost.options.networks import Function

STAGES = ("layer1", "layer2", "layer3", "layer4")  # as torchvision's ResNets, and all that follow them, call theirs


class Foreign(nn.Module):
    """A module that sees images row by row in memory, as its weights lie: whoever wrote it may call `view`."""

    def to(self, *args: Any, memory_format: torch.memory_format | None = None, **options: Any) -> Foreign:
        """As of every module; memory_format is passed over."""
        return super().to(*args, **options)


class FromFunction(Foreign):
    """A module behind a resize and a normalisation: images [N, C, H, W] in [0, 1] to what it gives."""

    folds = False  # what follows what in it, nobody here knows (networks.folding)

    def __init__(self, model: nn.Module, options: Function) -> None:
        super().__init__()
        self.model, self.in_channels, self.input_size = model, options.channels, options.input_size
        self.normalizer = nn.Identity() if options.mean is None else Normalizer(options.mean, options.std)

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Of a classifier logits [N, K]; of an extractor features [N, D], or (features, logits)."""
        x = x if self.input_size is None else images.resize(x, self.input_size)
        # a copy: strides of grey images fit both formats, and convolutions would choose the other
        return self.model(self.normalizer(x).clone(memory_format=torch.contiguous_format))


class WithStages(FromFunction):
    """One whose four stages are called as torchvision's ResNets call theirs."""

    def feature_maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The outputs [N, C_i, H_i, W_i] of the four stages, shallow to deep, of images x [N, C, H, W] in [0, 1]."""
        maps: dict[str, torch.Tensor] = {}

        def kept(name: str) -> Callable[..., None]:
            return lambda module, given, output: maps.__setitem__(name, output)

        hooks = [getattr(self.model, name).register_forward_hook(kept(name)) for name in STAGES]
        try:
            self(x)
        finally:
            for hook in hooks:
                hook.remove()
        return [maps[name] for name in STAGES]


class FunctionFeatures(Foreign):
    """An extractor as a feature network (metrics.features); images are resized to input_size."""

    def __init__(self, network: FromFunction, input_size: int) -> None:
        super().__init__()
        self.network, self.input_size, self.in_channels = network, input_size, network.in_channels

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(features [N, D],), or (features [N, D], logits [N, K]), of x [N, C, H, W] in [0, 1]."""
        seen = self.network(images.resize(x, self.input_size))
        return tuple(seen) if isinstance(seen, (tuple, list)) else (seen,)


def function(options: Function) -> FromFunction:
    """What the function returns, in float32 on the CPU; the function runs, and draws from torch's global generator.

    Raises InputError for whatever it raises, and where it returns no module.
    """
    model = functions.call(options.function, options.arguments)
    if not isinstance(model, nn.Module):
        raise InputError(f"function: {options.function} returns {type(model).__name__}, expected a torch.nn.Module")
    return wrapped(model.to("cpu", torch.float32), options)


def wrapped(model: nn.Module, options: Function) -> FromFunction:
    """A module as one of images in [0, 1], with what the options say of these; it is not copied."""
    staged = all(isinstance(getattr(model, name, None), nn.Module) for name in STAGES)
    return (WithStages if staged else FromFunction)(model, options)
