"""Images as callers hold them, and as everything here stores them: uint8 [N, H, W, C].

A tensor or array is uint8 [N, H, W, C] in 0..255, or of floats [N, C, H, W] in [0, 1]; C is 1 or 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pagboost import images
from pagboost.errors import InputError
from pagboost.metrics.image_sets import check_layout

CHUNK = 1024  # images that are rounded together
HALF_A_LEVEL = 0.5 / 255  # what is beyond [0, 1] by less rounds to 0 or 255
FLOATS = "expected floats [N, C, H, W] in [0, 1], C = 1 or 3"
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # of floats; eight bits are no image's levels


def is_array(given: Any) -> bool:
    """Whether it is a tensor or an array, and so is read at once."""
    return isinstance(given, (torch.Tensor, np.ndarray))


def stored(given: torch.Tensor | np.ndarray, where: str) -> np.ndarray:
    """uint8 [N, H, W, C]; floats are rounded to the nearest of 256 levels, as files hold them.

    Raises InputError naming `where` for another layout, floats outside [0, 1], NaN and infinity.
    """
    if isinstance(given, torch.Tensor):
        _check_dense(given, where)
    if isinstance(given, torch.Tensor) and not given.is_floating_point():
        given = given.detach().cpu().numpy()
    if isinstance(given, np.ndarray) and given.dtype.kind != "f":
        check_layout(given.dtype, given.shape, where)
        return given
    if isinstance(given, np.ndarray):
        native = given.dtype.newbyteorder("=")
        given = torch.from_numpy(np.ascontiguousarray(given, native if native.itemsize <= 8 else np.float64))
    _check_floats(given, where)
    result = np.empty((len(given), *given.shape[2:], given.shape[1]), np.uint8)
    for start in range(0, len(given), CHUNK):
        part = given[start : start + CHUNK]
        _check_range(part, where)
        result[start : start + CHUNK] = images.to_uint8(part)
    return result


def as_given(pixels: np.ndarray, given: torch.Tensor | np.ndarray) -> torch.Tensor | np.ndarray:
    """uint8 [N, H, W, C] as the caller holds images: kind, layout, dtype and device of `given`."""
    if isinstance(given, np.ndarray):
        if given.dtype.kind != "f":
            return pixels
        return images.to_float(pixels).contiguous().numpy().astype(given.dtype)
    if not given.is_floating_point():
        return torch.from_numpy(pixels).to(given.device)
    return images.to_float(pixels).contiguous().to(given)


def _check_dense(given: torch.Tensor, where: str) -> None:
    """Raise InputError for a tensor whose numbers are not all there: sparse, nested, quantised, on no device."""
    odd = given.layout is not torch.strided or given.is_nested or given.is_quantized or given.is_meta
    if odd or (given.is_floating_point() and given.dtype not in DTYPES):
        kind = ", ".join(str(fact).removeprefix("torch.") for fact in (given.dtype, given.layout, given.device))
        raise InputError(f"{where}: a tensor of {kind}, expected a dense one of uint8, or of floats of 16 bits or more")


def _check_floats(given: torch.Tensor, where: str) -> None:
    shape, dtype = list(given.shape), str(given.dtype).removeprefix("torch.")
    if len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3):
        raise InputError(f"{where}: {dtype} {shape} has its channels last, {FLOATS} (permute(0, 3, 1, 2))")
    if len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape:
        raise InputError(f"{where}: {dtype} {shape}, {FLOATS}")


def _check_range(part: torch.Tensor, where: str) -> None:
    low, high = (float(bound) for bound in torch.aminmax(part.detach()))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{where}: holds NaN or infinity, {FLOATS}")
    if low < -HALF_A_LEVEL or high > 1 + HALF_A_LEVEL:
        signed = " (of [-1, 1]: (x + 1) / 2)" if -1.01 <= low < 0 and high <= 1.01 else ""
        raise InputError(f"{where}: floats from {low:g} to {high:g}, {FLOATS}{signed}")
