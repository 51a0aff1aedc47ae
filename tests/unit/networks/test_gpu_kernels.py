"""Triton's kernels beside torch's: on a GPU compiled, in bf16; elsewhere interpreted, in fp32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("triton")

from pagboost.networks import gpu_kernels

GPU = torch.cuda.is_available()
DEVICE, DTYPE = ("cuda", torch.bfloat16) if GPU else ("cpu", torch.float32)  # the interpreter knows no bf16
TOLERANCE = 1e-2 if GPU else 1e-5
SIZES = [(3, 72, 200, 5, 7), (2, 16, 16, 1, 1), (1, 64, 64, 16, 16), (5, 8, 136, 3, 2)]


def maps(*shape, seed=0):
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return drawn.to(DEVICE, DTYPE).contiguous(memory_format=torch.channels_last)


def distance(found, expected):
    return float((found.double() - expected).norm() / expected.norm())


def as_maps(bits):
    """Zeros and ones [N, C, H, W] of bits [N, H, W, C / 8]."""
    each = (bits.unsqueeze(-1) >> torch.arange(8, device=bits.device, dtype=torch.uint8)) & 1
    return each.flatten(3).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("n", "k", "m", "height", "width"), SIZES)
@pytest.mark.parametrize("turned", [False, True], ids=["rows", "columns"])
def test_products_are_1x1_convolutions(n, k, m, height, width, turned):
    x, summand, beside = maps(n, k, height, width), maps(n, m, height, width, seed=1), maps(n, m, height, width, seed=4)
    weight, bias = maps(k, m, 1, 1, seed=2)[..., 0, 0], maps(1, m, 1, 1, seed=3).flatten()
    weight = weight.t().contiguous().t() if turned else weight.contiguous()
    plain = torch.einsum("nkhw,km->nmhw", x.double(), weight.double())
    found, bits = gpu_kernels.product(x, weight)
    assert bits is None and distance(found, plain) < TOLERANCE
    biased = plain + bias.double().view(1, -1, 1, 1)
    assert distance(gpu_kernels.product(x, weight, bias=bias, relu=True)[0], biased.relu()) < TOLERANCE
    joined, bits = gpu_kernels.product(x, weight, bias=bias, summand=summand, relu=True, tells=True)
    assert distance(joined, (biased + summand.double()).relu()) < TOLERANCE
    assert torch.equal(as_maps(bits), (joined > 0).to(torch.uint8))
    back, _ = gpu_kernels.product(x, weight, summand=summand, passing=gpu_kernels.told(beside))
    assert distance(back, (plain + summand.double()) * (beside > 0)) < TOLERANCE
    assert back.is_contiguous(memory_format=torch.channels_last)


def test_maps_in_another_order_in_memory_are_read_right():
    x, weight = maps(2, 16, 6, 5), maps(16, 32, 1, 1).flatten(1)
    assert torch.equal(gpu_kernels.product(x.contiguous(), weight)[0], gpu_kernels.product(x, weight)[0])
    grad, beside = maps(2, 16, 6, 5, seed=1), maps(2, 16, 6, 5, seed=2)
    assert torch.equal(gpu_kernels.told(beside.contiguous()), gpu_kernels.told(beside))
    found = gpu_kernels.passed(grad.contiguous(), gpu_kernels.told(beside), x.contiguous())
    assert distance(found, (grad.double() + x.double()) * (beside > 0)) < TOLERANCE


@pytest.mark.parametrize("size", [(3, 24, 9, 8), (1, 8, 1, 1), (2, 64, 16, 16)])
def test_gradients_pass_where_a_map_is_positive(size):
    grad, beside, before = maps(*size), maps(*size, seed=1).relu(), maps(*size)
    bits = gpu_kernels.told(beside)
    assert torch.equal(as_maps(bits), (beside > 0).to(torch.uint8))
    assert torch.equal(gpu_kernels.passed(grad, bits), torch.where(beside > 0, grad, 0))
    assert torch.equal(gpu_kernels.passed(grad, bits, grad), torch.where(beside > 0, grad + grad, 0))
    assert torch.equal(grad, before)


@pytest.mark.parametrize("size", [(6, 9), (7, 8), (32, 32), (1, 1), (2, 1)])
def test_pooling_is_torchs(size):
    """Of equal pixels the first is the largest, as in torch; few values make many equal ones, a ReLU zeros."""
    x = torch.randint(-2, 3, (2, 8, *size), generator=torch.Generator().manual_seed(0)).to(DEVICE, DTYPE)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    expected = F.max_pool2d(x.relu(), 3, 2, 1)
    grad = maps(*expected.shape)
    found, places = gpu_kernels.pooled(x.detach().relu())
    assert torch.equal(found, expected) and places.dtype == torch.uint8
    (back,) = torch.autograd.grad(expected.float(), x, grad.float())
    assert torch.allclose(gpu_kernels.unpooled(grad, places, x.shape), back, atol=0.05 if GPU else 1e-6)


@pytest.mark.parametrize(
    ("size", "factor", "before", "after"), [((6, 8), 2, 2, 1), ((7, 5), 2, 1, 0), ((4, 3), 1, 1, 1)]
)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_squares_of_pixels_become_channels_and_go_back(size, factor, before, after, order):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).to(DEVICE).contiguous(memory_format=order)
    odd = [-side % factor for side in size]
    squares = F.pixel_unshuffle(F.pad(x, (0, odd[1], 0, odd[0])), factor)
    expected = F.pad(squares, (before, after, before, after, 0, 16 - squares.shape[1])).to(DTYPE)
    border = {"before": before, "after": after}
    found = gpu_kernels.spread(x, DTYPE, factor=factor, channels=16, **border)
    assert torch.equal(found, expected) and found.is_contiguous(memory_format=torch.channels_last)
    back = gpu_kernels.gathered(found, x.shape, factor=factor, before=before)
    assert torch.equal(back, x.to(DTYPE).float())


def test_what_is_no_number_is_passed_on():
    """A network that has diverged says so: no ReLU and no maximum swallows it."""
    x = maps(1, 16, 4, 4).relu()
    x[0, 3, 1, 1] = float("nan")
    weight = torch.ones(16, 16, device=DEVICE, dtype=DTYPE)
    found, bits = gpu_kernels.product(x, weight, relu=True, tells=True)
    assert found[0, :, 1, 1].isnan().all() and as_maps(bits)[0, :, 1, 1].all()
    pooled, places = gpu_kernels.pooled(x)
    assert torch.equal(pooled.isnan(), F.max_pool2d(x, 3, 2, 1).isnan())
    back = gpu_kernels.unpooled(torch.ones_like(pooled), places, x.shape)
    assert float(back[0, 3, 1, 1]) == float(pooled[0, 3].isnan().sum())
