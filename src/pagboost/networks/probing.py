"""Whether a network from elsewhere is one that can guide or measure: asked of it by two passes over made-up images."""

from __future__ import annotations

from typing import Any

import torch

from pagboost.errors import InputError
from pagboost.networks.function import FunctionFeatures

TOLERANCE = 1e-3  # of the largest output: what the shape of a batch may change


def check_logits(network: torch.nn.Module, channels: int, size: int, where: str) -> int:
    """The number K of a classifier's logits [N, K]; channels and size (pixels a side) are those of its images.

    The network is in eval mode on the CPU. Raises InputError, one line, unless it gives finite logits that depend on
    an image alone (not on others of its batch, nor on chance), that the image has a gradient, and no state moves.
    """
    x = _images(channels, size).requires_grad_()
    expected = "expected a classifier: logits [N, K] of images [N, C, H, W] in [0, 1]"
    before = _state(network)
    logits = _asked(network, x, where, expected)
    _check_rows(logits, len(x), where, expected)
    gradient = None
    if logits.requires_grad:
        (gradient,) = torch.autograd.grad(logits.square().sum(), x, allow_unused=True)
    if gradient is None or not bool((gradient != 0).any()):
        raise InputError(f"{where}: no gradient of its logits reaches the image, expected one (no_grad? argmax?)")
    if not bool(gradient.isfinite().all()):
        raise InputError(f"{where}: the gradient at the image is NaN or infinite, expected a finite one")
    _check_still(network, before, where)
    with torch.no_grad():
        _check_alone([logits], [_asked(network, x[:1], where, expected)], where)
    return logits.shape[1]


@torch.no_grad()
def check_features(network: FunctionFeatures, size: int, where: str) -> None:
    """Raise InputError unless an extractor gives finite features [N, D], and logits [N, K] or none.

    Of images of `size` pixels a side, as check_logits otherwise.
    """
    x = _images(network.in_channels, size)
    expected = "expected an extractor: features [N, D], or (features [N, D], logits [N, K])"
    before = _state(network)
    seen = _asked(network.features, x, where, expected)
    if len(seen) not in (1, 2):
        raise InputError(f"{where}: gives {len(seen)} outputs, {expected}")
    for part in seen:
        _check_rows(part, len(x), where, expected)
    _check_still(network, before, where)
    _check_alone(seen, _asked(network.features, x[:1], where, expected), where)


def _images(channels: int, size: int) -> torch.Tensor:
    """Two images of noise: at black ones, a ReLU network without biases has no gradient at all."""
    return torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(0))


def _asked(network: Any, x: torch.Tensor, where: str, expected: str) -> Any:
    try:
        return network(x)
    except InputError:
        raise
    except Exception as error:  # whatever a user's module raises
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        raise InputError(f"{where}: {type(error).__name__} on images {list(x.shape)}: {reason}, {expected}") from error


def _check_rows(output: Any, rows: int, where: str, expected: str) -> None:
    if not isinstance(output, torch.Tensor):
        raise InputError(f"{where}: gives a {type(output).__name__}, {expected}")
    if output.ndim != 2 or len(output) != rows or not output.is_floating_point():
        raise InputError(f"{where}: gives {output.dtype} {list(output.shape)} for {rows} images, {expected}")
    if not bool(output.isfinite().all()):
        raise InputError(f"{where}: gives NaN or infinity, {expected}")


def _check_alone(together: Any, alone: Any, where: str) -> None:
    for one, other in zip(together, alone, strict=True):
        if float((one[:1] - other).abs().amax()) > TOLERANCE * max(float(one.abs().amax()), 1e-6):
            raise InputError(
                f"{where}: an image's output is another one alone than beside a second image, expected the same (is a "
                "part of it in training mode, or random?)"
            )


def _state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.named_buffers()}


def _check_still(network: torch.nn.Module, before: dict[str, torch.Tensor], where: str) -> None:
    """Raise InputError where a pass has moved a network's state, or left a part of it in training mode."""
    now = dict(network.named_buffers())
    moved = [name for name, value in before.items() if name not in now or not torch.equal(value, now[name])]
    if moved:
        raise InputError(f"{where}: a pass changes its {moved[0]}, expected eval mode (BatchNorm must not move)")
    training = [name for name, module in network.named_modules() if module.training]
    if training:
        name = training[0] or type(network).__name__
        raise InputError(f"{where}: {name} is in training mode after a pass, expected eval mode")
