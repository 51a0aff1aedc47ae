"""The only conversion between stored and computed images, and the only resize."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from pagboost.errors import InputError


def to_float(images: np.ndarray) -> torch.Tensor:
    """uint8 [N, H, W, C] in 0..255 to float32 [N, C, H, W] in [0, 1]."""
    return to_unit(as_stored(images))


def as_stored(images: np.ndarray) -> torch.Tensor:
    """uint8 [N, H, W, C] seen as [N, C, H, W], a quarter of the memory of `to_float`: nothing is copied."""
    if images.dtype != np.uint8 or images.ndim != 4:
        raise InputError(f"images are {images.dtype} {list(images.shape)}, expected uint8 [N, H, W, C]")
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)


def to_unit(x: torch.Tensor) -> torch.Tensor:
    """[N, C, H, W] as stored, uint8 in 0..255, to float32 in [0, 1]; what is float already stays as it is."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def to_uint8(x: torch.Tensor) -> np.ndarray:
    """float [N, C, H, W] in [0, 1] to uint8 [N, H, W, C], clipped and rounded to the nearest level.

    to_uint8(to_float(images)) is the identity. Raises InputError on NaN or infinity: a broken image is never stored.
    """
    if not bool(torch.isfinite(x).all()):
        bad = int((~torch.isfinite(x)).flatten(1).any(1).sum())
        raise InputError(f"{bad} of {len(x)} images hold NaN or infinity, expected pixels in [0, 1]")
    return (
        x.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().contiguous().numpy()
    )


def per_image(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A value per image [N], in like's dtype and shaped to scale images [N, C, H, W]."""
    return values.to(like.dtype).view(-1, *[1] * (like.dim() - 1))


def equal_change(length: float, values: int, pixels: int) -> float:
    """An L2 length stated for images of `pixels` values (channels included), at equal change per value of `values`.

    Times sqrt(values / pixels): the root mean square change of a value stays.
    """
    return length * (values / pixels) ** 0.5


def resize(x: torch.Tensor, size: int) -> torch.Tensor:
    """Square bicubic resize of [N, C, H, W] to [N, C, size, size], antialiased when shrinking; differentiable.

    Bicubic overshoots: the result is not clipped, so that gradients pass; to_uint8 clips.
    """
    if x.shape[-2:] == (size, size):
        return x
    return F.interpolate(x, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
