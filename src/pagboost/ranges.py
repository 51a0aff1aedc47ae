"""What numbers of a configuration may be, by the name of their option: a name means the same wherever it stands."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from numbers import Real
from typing import Any

from pagboost.errors import InputError

SMALLEST = sys.float_info.min  # stands for "above 0"
MOST, SIDE = 2**31 - 1, 2**16  # of what is counted, and of pixels along a side
LARGEST = {int: 2**63 - 1, float: 1e30}  # NumPy's integers; 32-bit numbers end at 3e38, and are squared
COUNTED, FROM_0, ABOVE_0, AT_LEAST_0, SHARE = (1, MOST), (0, MOST), (SMALLEST, 1e30), (0, 1e30), (0, 1)

RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        (
            *("iterations", "batch_size", "generated_batch_size", "discriminator_steps", "standing_batches"),
            *("checkpoints", "ada_speed", "r1_every", "path_length_every", "grow_every", "max_steps", "scale_start"),
            *("scale_end", "diffusion_steps", "in_channels", "out_channels", "channels", "model_channels", "widths"),
            *("width", "bottleneck_width", "stem", "norm_groups", "num_heads", "num_head_channels", "patch"),
            *("attention_resolutions", "z_dim", "w_dim", "embedding_dim", "feature_dim", "infomax_dim", "group_size"),
            *("mapping_layers", "depth", "kernel", "num_classes", "pixels", "count", "pairs", "targets"),
            *("moments", "shown", "splits"),
        ),
        COUNTED,
    ),
    **dict.fromkeys(("steps", "num_res_blocks", "shift", "warmup", "ema_start", "halvings", "timesteps"), FROM_0),
    **dict.fromkeys(("size", "sizes", "image_size", "input_size", "resolution"), (1, SIDE)),
    **dict.fromkeys(("lr", "lr_generator", "lr_discriminator", "mapping_lr", "channel_mult", "alpha", "eps"), ABOVE_0),
    **dict.fromkeys(("std", "sigma", "p_std", "rho"), ABOVE_0),
    **dict.fromkeys(("lr_end", "weight_decay", "vlb_weight", "noise_std", "orthogonal", "penalty"), AT_LEAST_0),
    **dict.fromkeys(("path_length_weight", "r1_gamma", "discriminator_infomax", "generator_infomax"), AT_LEAST_0),
    **dict.fromkeys(("discriminator_rotation", "generator_rotation"), AT_LEAST_0),
    **dict.fromkeys(("ema_decay", "target_decay", "dropout", "ramp"), SHARE),
    "betas": (0, 1 - 1e-12),
}
NOT_EMPTY = (
    "widths",
    "channel_mult",
    "class_offsets",
    "splits",
    "layers",
    "mean",
    "std",
    "timesteps",
    "sigmas",
)  # where they are lists


def check(where: str, name: str, value: Any) -> None:
    """Raise InputError naming where.name if a number, or one in a list or mapping, is not in its option's range.

    All numbers are finite, and of a size that the libraries can compute with.
    """
    if name in NOT_EMPTY and isinstance(value, (list, tuple, Mapping)) and not value:
        raise InputError(f"{where}.{name}: {value!r}, expected at least one")
    for number in _numbers(value):
        own = LARGEST[int if isinstance(number, int) else float]
        least, most = RANGES.get(name, (-own, own))
        if not least <= number <= min(most, own):  # NaN is in no range
            raise InputError(f"{where}.{name}: {_short(number)}, expected {_described(least, min(most, own), number)}")


def _numbers(value: Any) -> list[Real]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [number for part in value for number in _numbers(part)]
    return [value] if isinstance(value, Real) and not isinstance(value, bool) else []


def _described(least: float, most: float, number: Real) -> str:
    if not math.isfinite(number):
        return "a finite number above 0" if least == SMALLEST else "a finite number"
    if number > most:
        return f"at most {most:g}" if isinstance(most, float) else f"at most {most}"
    return "a number above 0" if least == SMALLEST else f"at least {least}"


def _short(number: Real) -> str:
    text = repr(number)
    return text if len(text) <= 40 else f"{text[:40]}…"
