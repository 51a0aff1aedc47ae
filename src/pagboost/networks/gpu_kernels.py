"""Kernels for a GPU, in Triton, where a pass over memory costs more than what it computes.

A 1x1 convolution of channels-last maps is a product of matrices. `product` adds what comes in beside it and cuts off
what ReLU does, forward and backward, while the tile is at hand: three more passes over the largest maps of a network
are saved. Backward needs of a map only where it was positive, one bit an element.

Sums are fp32, and in an order that depends on the shapes alone. Maps are [N, C, H, W] in channels-last memory, C a
multiple of 8; bits are uint8 [N, H, W, C / 8], the lowest bit the first channel's. Nothing here is differentiated.

TRITON_INTERPRET=1, set before Triton is imported, runs them on the CPU, for tests.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from pagboost.networks.convolutions import CL

ELEMENTS = 2048  # of a program that goes element by element


@triton.jit
def _packed(values, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Which are above zero, or no number: of [ROWS, COLUMNS] bits [ROWS, COLUMNS / 8]."""
    positive = tl.where(values <= 0, 0, 1).to(tl.int32)
    weights = (1 << tl.arange(0, 8))[None, None, :]
    return tl.sum(tl.reshape(positive, (ROWS, COLUMNS // 8, 8)) * weights, axis=2).to(tl.uint8)


@triton.jit
def _unpacked(bits, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The inverse: of bits [ROWS, COLUMNS / 8] zeros and ones [ROWS, COLUMNS]."""
    each = (bits.to(tl.int32)[:, :, None] >> tl.arange(0, 8)[None, None, :]) & 1
    return tl.reshape(each, (ROWS, COLUMNS))


@triton.jit
def _product(
    a, b, bias, summand, passing, out, bits, m, n, k, b_k, b_n,
    HAS_BIAS: tl.constexpr, HAS_SUMMAND: tl.constexpr, RELU: tl.constexpr, MASKED: tl.constexpr, TELLS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    across = tl.cdiv(n, COLUMNS)  # tiles of the same rows of a come one after the other: they share a cache
    row = (tl.program_id(0) // across) * ROWS + tl.arange(0, ROWS)
    first = (tl.program_id(0) % across) * COLUMNS
    column, inner = first + tl.arange(0, COLUMNS), tl.arange(0, INNER)
    far = row.to(tl.int64)
    in_rows, in_columns = row[:, None] < m, column[None, :] < n
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, k, INNER):
        at = start + inner
        left = tl.load(a + far[:, None] * k + at[None, :], in_rows & (at[None, :] < k), 0.0)
        right = tl.load(b + at[:, None] * b_k + column[None, :] * b_n, (at[:, None] < k) & in_columns, 0.0)
        total = tl.dot(left, right, total)
    place, inside = far[:, None] * n + column[None, :], in_rows & in_columns
    eighth = first // 8 + tl.arange(0, COLUMNS // 8)
    byte, in_bytes = far[:, None] * (n // 8) + eighth[None, :], in_rows & (eighth[None, :] < n // 8)
    if HAS_BIAS:
        total += tl.load(bias + column, column < n, 0.0).to(tl.float32)[None, :]
    if HAS_SUMMAND:
        total += tl.load(summand + place, inside, 0.0).to(tl.float32)
    if RELU:
        total = tl.maximum(total, 0.0, propagate_nan=tl.PropagateNan.ALL)
    if MASKED:
        total = tl.where(_unpacked(tl.load(passing + byte, in_bytes, 0), ROWS, COLUMNS) == 0, 0.0, total)
    rounded = total.to(out.dtype.element_ty)
    tl.store(out + place, rounded, inside)
    if TELLS:
        tl.store(bits + byte, _packed(rounded, ROWS, COLUMNS), in_bytes)


def product(
    x: torch.Tensor,
    weight: torch.Tensor,
    *,
    bias: torch.Tensor | None = None,
    summand: torch.Tensor | None = None,
    relu: bool = False,
    passing: torch.Tensor | None = None,
    tells: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """(maps [N, M, H, W], their bits where `tells`): x [N, K, H, W] times weight [K, M], plus bias [M] and summand
    [N, M, H, W]; then ReLU, or zeros where the bits `passing` are not set.
    """
    n, k, height, width = x.shape
    m = weight.shape[1]
    x, summand = _laid(x), _laid(summand)
    out = torch.empty((n, m, height, width), device=x.device, dtype=x.dtype, memory_format=CL)
    bits = _bits_like(out) if tells else None
    count = n * height * width
    rows, columns, inner, stages = _tile(k, m, summand is not None)
    grid = (triton.cdiv(count, rows) * triton.cdiv(m, columns),)
    _product[grid](
        x, weight, bias, summand, passing, out, bits, count, m, k, *weight.stride(),
        bias is not None, summand is not None, relu, passing is not None, tells, rows, columns, inner,
        num_warps=4, num_stages=stages,
    )  # fmt: skip
    return out, bits


def _tile(k: int, m: int, joins: bool) -> tuple[int, int, int, int]:
    """(rows, columns, inner length, stages): of 23 the fastest at the shapes of a ResNet-50 on an H100, or nearly so.

    By the shape, and not by trying: else the order of the sums would be the machine's and the moment's.
    """
    if m <= 64:
        return 128, 64, 64, 3
    if k >= 1024:
        return 64, 128, 64, 4
    if m >= 1024 or k >= 512:
        return 128, 128, 64, 3
    return (64, 128, 32, 4) if joins else (64, 128, 64, 3)


def _laid(maps: torch.Tensor | None) -> torch.Tensor | None:
    return None if maps is None else maps.contiguous(memory_format=CL)


def _index(maps: torch.Tensor) -> tl.dtype:
    """What counts their elements: 32 bits where they do, divisions of 64 take several times as long."""
    return tl.int32 if maps.numel() < 1 << 31 else tl.int64


def _bits_like(maps: torch.Tensor) -> torch.Tensor:
    n, channels, height, width = maps.shape
    return torch.empty((n, height, width, channels // 8), device=maps.device, dtype=torch.uint8)


@triton.jit
def _told(x, bits, count, ELEMENTS: tl.constexpr):
    start = tl.program_id(0).to(tl.int64) * ELEMENTS
    at = start + tl.arange(0, ELEMENTS)
    byte = start // 8 + tl.arange(0, ELEMENTS // 8)
    values = tl.load(x + at, at < count, 0.0)
    tl.store(bits + byte[None, :], _packed(values[None, :], 1, ELEMENTS), byte[None, :] < count // 8)


def told(x: torch.Tensor) -> torch.Tensor:
    """The bits of x [N, C, H, W]: where it is above zero."""
    x = _laid(x)
    bits = _bits_like(x)
    _told[(triton.cdiv(x.numel(), 2 * ELEMENTS),)](x, bits, x.numel(), 2 * ELEMENTS, num_warps=4)
    return bits


@triton.jit
def _passed(grad, summand, passing, out, count, HAS_SUMMAND: tl.constexpr, ELEMENTS: tl.constexpr):
    start = tl.program_id(0).to(tl.int64) * ELEMENTS
    at = start + tl.arange(0, ELEMENTS)[None, :]
    byte = start // 8 + tl.arange(0, ELEMENTS // 8)[None, :]
    inside = at < count
    total = tl.load(grad + at, inside, 0.0).to(tl.float32)
    if HAS_SUMMAND:
        total += tl.load(summand + at, inside, 0.0).to(tl.float32)
    open = _unpacked(tl.load(passing + byte, byte < count // 8, 0), 1, ELEMENTS)
    tl.store(out + at, tl.where(open == 0, 0.0, total).to(out.dtype.element_ty), inside)


def passed(grad: torch.Tensor, passing: torch.Tensor, summand: torch.Tensor | None = None) -> torch.Tensor:
    """grad [N, C, H, W], plus summand of its shape, where the bits `passing` are set; zeros elsewhere."""
    grad, summand = _laid(grad), _laid(summand)
    out = torch.empty_like(grad)
    grid = (triton.cdiv(grad.numel(), ELEMENTS),)
    _passed[grid](grad, summand, passing, out, grad.numel(), summand is not None, ELEMENTS, num_warps=4)
    return out


@triton.jit
def _pooled(
    x, out, places, count, height, width, low, narrow,
    channels: tl.constexpr, ELEMENTS: tl.constexpr, INDEX: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(INDEX) * ELEMENTS + tl.arange(0, ELEMENTS)
    inside = at < count
    channel, pixel = at % channels, at // channels
    j, i, image = (pixel % narrow).to(tl.int32), (pixel // narrow % low).to(tl.int32), pixel // (narrow * low)
    best = tl.full((ELEMENTS,), 0.0, tl.float32)
    place = tl.full((ELEMENTS,), 9, tl.int32)
    for near in tl.static_range(9):
        h, w = 2 * i - 1 + near // 3, 2 * j - 1 + near % 3
        there = inside & (h >= 0) & (h < height) & (w >= 0) & (w < width)
        value = tl.load(x + ((image * height + h) * width + w) * channels + channel, there, 0.0).to(tl.float32)
        place = tl.where((value > best) | (value != value), near, place)  # of equals the first, as torch's
        best = tl.maximum(best, value, propagate_nan=tl.PropagateNan.ALL)
    tl.store(out + at, best.to(out.dtype.element_ty), inside)
    tl.store(places + at, place.to(tl.uint8), inside)


def pooled(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(the largest of each 3x3 window at stride 2, padding 1; which of the nine it is, uint8), of x [N, C, H, W] from
    a ReLU. Where nothing is above zero it is none of them, 9: no gradient passes the ReLU there.
    """
    x = _laid(x)
    n, channels, height, width = x.shape
    low, narrow = (height + 1) // 2, (width + 1) // 2
    out = torch.empty((n, channels, low, narrow), device=x.device, dtype=x.dtype, memory_format=CL)
    places = torch.empty_like(out, dtype=torch.uint8)
    grid = (triton.cdiv(out.numel(), ELEMENTS // 4),)
    _pooled[grid](
        x, out, places, out.numel(), height, width, low, narrow, channels, ELEMENTS // 4, _index(x), num_warps=4
    )
    return out, places


@triton.jit
def _unpooled(
    grad, places, out, count, height, width, low, narrow,
    channels: tl.constexpr, ELEMENTS: tl.constexpr, INDEX: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(INDEX) * ELEMENTS + tl.arange(0, ELEMENTS)
    inside = at < count
    channel, pixel = at % channels, at // channels
    w, h, image = (pixel % width).to(tl.int32), (pixel // width % height).to(tl.int32), pixel // (width * height)
    total = tl.zeros((ELEMENTS,), tl.float32)
    for near in tl.static_range(4):  # at most two windows in a direction hold a pixel
        i, j = (h + near // 2) // 2, (w + near % 2) // 2
        once = ((near // 2 == 0) | (h % 2 == 1)) & ((near % 2 == 0) | (w % 2 == 1))
        there = inside & once & (i < low) & (j < narrow)
        window = ((image * low + i) * narrow + j) * channels + channel
        place = tl.load(places + window, there, 9).to(tl.int32)
        value = tl.load(grad + window, there, 0.0).to(tl.float32)
        total += tl.where(place == (h - 2 * i + 1) * 3 + (w - 2 * j + 1), value, 0.0)
    tl.store(out + at, total.to(out.dtype.element_ty), inside)


def unpooled(grad: torch.Tensor, places: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """d loss / d what the ReLU before `pooled` saw, of `size`, of d loss / d (what it gave); sums in one order."""
    grad = _laid(grad)
    _, channels, height, width = size
    out = torch.empty(size, device=grad.device, dtype=grad.dtype, memory_format=CL)
    grid = (triton.cdiv(out.numel(), ELEMENTS),)
    _unpooled[grid](
        grad, places, out, out.numel(), height, width, *grad.shape[2:], channels, ELEMENTS, _index(out), num_warps=4
    )
    return out


@triton.jit
def _spread(
    x, out, count, x_n, x_c, x_h, x_w, channels, height, width, wide, high, before,
    many: tl.constexpr, FACTOR: tl.constexpr, ELEMENTS: tl.constexpr, INDEX: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(INDEX) * ELEMENTS + tl.arange(0, ELEMENTS)
    part, pixel = (at % many).to(tl.int32), at // many
    column, row, image = (pixel % wide).to(tl.int32), (pixel // wide % high).to(tl.int32), pixel // (wide * high)
    channel = part // (FACTOR * FACTOR)
    h = (row - before) * FACTOR + part // FACTOR % FACTOR
    w = (column - before) * FACTOR + part % FACTOR
    there = (at < count) & (channel < channels) & (h >= 0) & (h < height) & (w >= 0) & (w < width)
    value = tl.load(x + image * x_n + channel * x_c + h * x_h + w * x_w, there, 0.0)
    tl.store(out + at, value.to(out.dtype.element_ty), at < count)


def spread(x: torch.Tensor, dtype: torch.dtype, *, factor: int, channels: int, before: int, after: int) -> torch.Tensor:
    """[N, channels, H', W']: x [N, C, H, W] with squares of factor x factor pixels as channels, in pixel_unshuffle's
    order, more channels of zeros, and a border of zeros, `before` and `after` in width.
    """
    n, c, height, width = x.shape
    high, wide = (-(-size // factor) + before + after for size in (height, width))
    out = torch.empty((n, channels, high, wide), device=x.device, dtype=dtype, memory_format=CL)
    grid = (triton.cdiv(out.numel(), ELEMENTS),)
    _spread[grid](
        x, out, out.numel(), *x.stride(), c, height, width, wide, high, before,
        channels, factor, ELEMENTS, _index(out), num_warps=4,
    )  # fmt: skip
    return out


@triton.jit
def _gathered(
    x, out, count, channels, height, width, wide, high, before,
    many: tl.constexpr, FACTOR: tl.constexpr, ELEMENTS: tl.constexpr, INDEX: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(INDEX) * ELEMENTS + tl.arange(0, ELEMENTS)
    w, rest = (at % width).to(tl.int32), at // width
    h, rest = (rest % height).to(tl.int32), rest // height
    channel, image = (rest % channels).to(tl.int32), rest // channels
    part = (channel * FACTOR + h % FACTOR) * FACTOR + w % FACTOR
    pixel = (image * high + h // FACTOR + before) * wide + w // FACTOR + before
    value = tl.load(x + pixel * many + part, at < count, 0.0)
    tl.store(out + at, value.to(tl.float32), at < count)


def gathered(x: torch.Tensor, size: torch.Size, *, factor: int, before: int) -> torch.Tensor:
    """What is not border or zeros of maps as `spread` makes them, back as images of `size` [N, C, H, W], float32."""
    x = _laid(x)
    out = torch.empty(size, device=x.device, dtype=torch.float32)
    _, many, high, wide = x.shape
    grid = (triton.cdiv(out.numel(), ELEMENTS),)
    _gathered[grid](x, out, out.numel(), *size[1:], wide, high, before, many, factor, ELEMENTS, _index(x), num_warps=4)
    return out
