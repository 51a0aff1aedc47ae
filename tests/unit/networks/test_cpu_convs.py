"""ResNets' convolutions on a CPU: torch's, as values and gradients, and to the byte where networks are small."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from pagboost import networks, objectives, rng
from pagboost.networks import cpu_convs, onednn, rows
from pagboost.networks.cpu_convs import Conv2d, PointwiseConv2d

KINDS = (PointwiseConv2d, partial(torch.nn.Conv2d, kernel_size=1))


@pytest.fixture
def one_thread():
    """As jobs of the scale digits have it: with more, torch chooses kernels otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [(8, 8), (7, 4), (2, 2), (1, 1)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("count", [3, 16])
def test_a_strided_pointwise_convolution_is_torchs(size, bias, count):
    """The same values; the gradient's memory is channels-last as its input's, or every layer below would copy it."""
    ours, theirs = (kind(16, 32, stride=2, bias=bias) for kind in KINDS)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(count, 16, *size).to(memory_format=torch.channels_last).requires_grad_(True)
    found, expected = ours(x), theirs(x)
    grad = torch.randn_like(expected)
    assert torch.allclose(found, expected, atol=1e-6)
    gradients = (torch.autograd.grad(y, (x, *c.parameters()), grad) for y, c in ((found, ours), (expected, theirs)))
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
        assert one.is_contiguous(memory_format=torch.channels_last) or one.dim() == 1


@pytest.mark.parametrize(
    ("channels", "size", "stride"),
    [(64, 8, 1), (128, 4, 1), (256, 2, 1), (256, 1, 1), (24, 3, 1), (64, 8, 2), (128, 4, 2), (256, 2, 2)],
)
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("count", [2, 15, 16, 33, 100])
def test_it_keeps_the_bytes_of_small_networks(channels, size, stride, trained, count, one_thread):
    """What is published depends on them; of the widths and sizes of the scale digits."""
    ours, theirs = (kind(channels, 2 * channels, stride=stride, bias=not trained) for kind in KINDS)
    theirs.load_state_dict(ours.state_dict())
    found = []
    for conv in (ours.to(memory_format=torch.channels_last), theirs.to(memory_format=torch.channels_last)):
        conv.requires_grad_(trained)
        x = torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(0))
        x = x.to(memory_format=torch.channels_last).requires_grad_(True)
        y = conv(x)
        found.append((y, *torch.autograd.grad(y.square().sum(), (x, conv.weight) if trained else x)))
    # of other CPUs' kernels nobody has said it yet; torch 2.11's linear layers of 256 channels add up otherwise
    told = trained or (torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.__version__ >= (2, 15))
    same = torch.equal if told else partial(torch.allclose, rtol=1e-4, atol=1e-4)
    for one, other in zip(*found, strict=True):
        assert same(one, other) and one.stride() == other.stride()


def test_gradients_of_gradients_pass_it():
    """A penalty on the gradient of a network that stays as it is."""
    ours, theirs = (kind(8, 16) for kind in KINDS)
    theirs.load_state_dict(ours.state_dict())
    found = []
    for conv in (ours.requires_grad_(False), theirs.requires_grad_(False)):
        x = torch.rand(16, 8, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
        (gradient,) = torch.autograd.grad(conv(x).pow(3).sum(), x, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), x)[0])
    assert torch.allclose(*found, rtol=1e-4, atol=1e-5)
    assert found[0].abs().max() > 0


needs_onednn = pytest.mark.skipif(not onednn.multiplies(torch.zeros(1)), reason="no oneDNN here")


@pytest.fixture
def all_large(monkeypatch):
    monkeypatch.setattr(cpu_convs, "LARGE", 1)


def images(*shape):
    x = torch.randn(*shape, generator=rng.generator("maps", str(shape))).to(memory_format=torch.channels_last)
    return x.requires_grad_(True)


@needs_onednn
@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        ((4, 4), 1, 1, 0), ((2, 3), 1, 1, 0), ((4, 4), 1, 2, 0), ((3, 3), 1, 2, 0),
        ((2, 2), 3, 1, 1), ((1, 2), 3, 1, 1), ((1, 1), 3, 1, 1), ((2, 2), 5, 1, 2),
        ((4, 4), 3, 2, 1), ((3, 4), 3, 2, 1), ((2, 2), 3, 2, 1), ((1, 1), 3, 2, 1), ((4, 4), 3, 1, 0),
        ((7, 7), 7, 3, 2), ((7, 1), 3, 3, 1), ((5, 1), 3, 2, 1),
    ],
)  # fmt: skip
def test_products_are_the_convolution(size, kernel, stride, padding, bias, count, all_large):
    """Values, gradients, and gradients of gradients, which a penalty asks for."""
    torch.manual_seed(0)
    ours = Conv2d(8, 12, kernel, stride, padding, bias=bias).to(memory_format=torch.channels_last)
    theirs = torch.nn.Conv2d(8, 12, kernel, stride, padding, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    assert cpu_convs.products(images(count, 8, *size), ours.weight, None, ours.stride, ours.padding) is not None
    found = []
    for conv in (ours, theirs):
        x = images(count, 8, *size)
        y = conv(x)
        first = torch.autograd.grad(y.sin().sum(), (x, *conv.parameters()), create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), (x, conv.weight))
        found.append((y, *first, *second))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5 * max(1, float(other.detach().abs().max())))
        assert one.shape == other.shape


@needs_onednn
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [((5, 4), 1, 1, 0), ((3, 3), 3, 1, 1), ((5, 5), 3, 2, 1), ((6, 6), 1, 2, 0)],
)
def test_more_pixels_stay_a_convolution(size, kernel, stride, padding, all_large):
    conv = Conv2d(8, 12, kernel, stride, padding)
    assert cpu_convs.products(images(2, 8, *size), conv.weight, conv.bias, conv.stride, conv.padding) is None
    assert torch.equal(conv(images(2, 8, *size)), torch.nn.Conv2d.forward(conv, images(2, 8, *size)))


@needs_onednn
def test_no_images_and_other_formats_are_torchs(all_large):
    conv = PointwiseConv2d(4, 6)
    assert conv(torch.zeros(0, 4, 2, 2)).shape == (0, 6, 2, 2)
    assert conv.double()(torch.zeros(3, 4, 2, 2, dtype=torch.float64)).dtype == torch.float64
    assert PointwiseConv2d(4, 6).to("meta")(torch.zeros(3, 4, 2, 2, device="meta")).shape == (3, 6, 2, 2)


@needs_onednn
@pytest.mark.parametrize("block", [{"block": "basic"}, {"block": "bottleneck", "bottleneck_width": 64}])
def test_a_resnet_learns_the_same(block, monkeypatch):
    """Its weights' gradients, in training mode, at 32 pixels: the last maps are of four and of one."""
    options = {"kind": "resnet", "layers": [2, 1, 2, 2], "width": 16, "num_classes": 5, "mean": [0.5], "std": [0.25]}
    network = networks.build(options | block | {"stem": {"kernel": 7, "stride": 2, "pool": True}})
    network = network.to(memory_format=torch.channels_last).train()
    x, y = torch.rand(9, 1, 32, 32, generator=rng.generator("images")), torch.arange(9) % 5
    used, found = [], []
    monkeypatch.setattr(cpu_convs, "products", lambda *a, made=cpu_convs.products: used.append(made(*a)) or used[-1])
    for large in (cpu_convs.LARGE, 1):
        monkeypatch.setattr(cpu_convs, "LARGE", large)
        loss = objectives.ce(network(x), y).mean()
        found.append(torch.autograd.grad(loss, list(network.parameters())))
        assert bool(used) == (large == 1)
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5 * float(other.detach().abs().max()))
        assert one.dim() < 4 or one.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [(2, 2), (1, 2), (1, 1), (3, 2)])
def test_adjoints(size):
    """<A x, y> = <x, A* y>, for what stands for a convolution's weight and for its patches."""
    side = 3 if max(size) < 3 else 5
    weight, padding = torch.randn(6, 4, side, side, dtype=torch.float64), (side // 2, side // 2)
    matrix = rows.whole(weight, padding, size)
    other = torch.randn_like(matrix)
    back = rows.unwhole(other, weight.shape, padding, size)
    assert torch.isclose((matrix * other).sum(), (weight * back).sum())
    x, options = torch.randn(3, 4, *size, dtype=torch.float64), {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}
    seen = rows.patches(x, **options)
    other = torch.randn_like(seen)
    assert torch.isclose((seen * other).sum(), (x * rows.unpatched(other, x.shape, **options)).sum())
