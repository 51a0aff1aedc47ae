"""A step of PGD on a GPU as one kernel, in Triton: direction, ball and bounds while the image is at hand.

By torch's own operations it takes a dozen passes over all images, and as many starts by the CPU. Lengths are summed in
float64, in an order that depends on the shape alone. TRITON_INTERPRET=1, set before Triton is imported, runs it on the
CPU, for tests.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

MOST = 2048  # values of an image that are looked at together
DIRECTIONS = {"raw": 0, "l2": 1, "linf": 2}
BALLS = {None: 0, "l2": 1, "linf": 2}


@triton.jit
def _length(total):
    return tl.sqrt(tl.sum(total)).to(tl.float32)


@triton.jit
def _between(values, low, high):
    values = tl.maximum(values, low, propagate_nan=tl.PropagateNan.ALL)
    return tl.minimum(values, high, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _stepped(x, grad, at, inside, alpha, length, DIRECTION: tl.constexpr):
    along = tl.load(grad + at, inside, 0.0)
    if DIRECTION == 1:
        along = along / length
    elif DIRECTION == 2:
        along = tl.where(along > 0, 1.0, tl.where(along < 0, -1.0, 0.0))
    return tl.load(x + at, inside, 0.0) - alpha * along


@triton.jit
def _moved(
    x, grad, centre, out, alpha, eps, alphas, radii, low, high, tiny, size,
    EACH_ALPHA: tl.constexpr, EACH_EPS: tl.constexpr, DIRECTION: tl.constexpr, BALL: tl.constexpr,
    BOUNDED: tl.constexpr, VALUES: tl.constexpr,
):  # fmt: skip
    image = tl.program_id(0)
    start, lanes = image.to(tl.int64) * size, tl.arange(0, VALUES)
    if EACH_ALPHA:
        alpha = tl.load(alphas + image)
    if EACH_EPS:
        eps = tl.load(radii + image)
    length, factor = 1.0, 1.0
    if DIRECTION == 1:
        total = tl.zeros((VALUES,), tl.float64)
        for first in range(0, size, VALUES):
            values = tl.load(grad + start + first + lanes, first + lanes < size, 0.0).to(tl.float64)
            total += values * values
        length = tl.maximum(_length(total), tiny, propagate_nan=tl.PropagateNan.ALL)
    if BALL == 1:
        total = tl.zeros((VALUES,), tl.float64)
        for first in range(0, size, VALUES):
            inside, at = first + lanes < size, start + first + lanes
            values = _stepped(x, grad, at, inside, alpha, length, DIRECTION) - tl.load(centre + at, inside, 0.0)
            values = tl.where(inside, values, 0.0).to(tl.float64)
            total += values * values
        reach = _length(total)
        factor = tl.where(reach > eps, eps / tl.maximum(reach, 1e-30), 1.0)
    for first in range(0, size, VALUES):
        inside, at = first + lanes < size, start + first + lanes
        values = _stepped(x, grad, at, inside, alpha, length, DIRECTION)
        if BALL != 0:
            origin = tl.load(centre + at, inside, 0.0)
            away = values - origin
            values = origin + (away * factor if BALL == 1 else _between(away, -eps, eps))
        tl.store(out + at, _between(values, low, high) if BOUNDED else values, inside)


def moved(
    x: torch.Tensor,
    grad: torch.Tensor,
    centre: torch.Tensor,
    *,
    alpha: float | torch.Tensor,
    eps: float | torch.Tensor | None,
    norm: str,
    direction: str,
    bounds: tuple[float, float] | None,
) -> torch.Tensor:
    """x [N, C, H, W] after a step of PGD against grad, in the ball around centre (attacks.pgd_step); all float32."""
    x = x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()
    grad, centre = _as(x, grad), _as(x, centre)
    out, size = torch.empty_like(x), x[0].numel()
    low, high = (0.0, 0.0) if bounds is None else bounds
    alphas, radii = (each.float().contiguous() if isinstance(each, torch.Tensor) else None for each in (alpha, eps))
    _moved[(len(x),)](
        x, grad, centre, out,
        0.0 if alphas is not None else float(alpha), 0.0 if radii is not None or eps is None else float(eps),
        alphas, radii, float(low), float(high), torch.finfo(torch.float32).tiny, size,
        alphas is not None, radii is not None, DIRECTIONS[direction], BALLS[None if eps is None else norm],
        bounds is not None, min(MOST, triton.next_power_of_2(size)), num_warps=8,
    )  # fmt: skip
    return out


def _as(like: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Values in the order in memory that `like` has."""
    return values if values.stride() == like.stride() else torch.empty_like(like).copy_(values)
