"""Mimicry's generator, computed a second time from its tensors' names alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pagboost import networks, rng
from pagboost.errors import InputError
from pagboost.generators.gan import biggan
from pagboost.options.reading import read
from pagboost.options.samplers import Sampler

SPEC = {"kind": "mimicry_generator", "size": 16, "channels": 3, "num_classes": None, "z_dim": 6, "widths": [8, 6, 4]}


def build(**options):
    """A generator with every tensor, statistics too, drawn at random."""
    torch.manual_seed(0)
    network = networks.build({**SPEC, **options})
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.2, 1).mul_(torch.where(torch.rand_like(value) < 0.5, -1.0, 1.0) if value.ndim > 1 else 1)
    return network.eval()


def by_names(state, z, y, mode):
    """The generator as its authors' modules compute it: upsampling first, then convolutions, also on the shortcut."""

    def norm(x, name):
        if f"{name}.weight" in state:
            gain, bias, prefix = state[f"{name}.weight"], state[f"{name}.bias"], name
            gain, bias = gain[None, :, None, None], bias[None, :, None, None]
        else:
            row, prefix = state[f"{name}.embed.weight"][y], f"{name}.bn"
            half = row.shape[1] // 2
            gain, bias = row[:, :half, None, None], row[:, half:, None, None]
        mean, var = (state[f"{prefix}.running_{part}"][None, :, None, None] for part in ("mean", "var"))
        return gain * (x - mean) / (var + 1e-5).sqrt() + bias

    def conv(x, name):
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    corners = {"align_corners": False} if mode == "bilinear" else {}
    h = F.linear(z, state["l1.weight"], state["l1.bias"]).view(len(z), 8, 4, 4)
    for block in ("block2", "block3"):
        up = [F.interpolate(x, scale_factor=2, mode=mode, **corners) for x in (F.relu(norm(h, f"{block}.b1")), h)]
        inner = conv(F.relu(norm(conv(up[0], f"{block}.c1"), f"{block}.b2")), f"{block}.c2")
        h = inner + conv(up[1], f"{block}.c_sc")
    return torch.tanh(conv(F.relu(norm(h, "b4")), "c4"))


@pytest.mark.parametrize("num_classes", [None, 5])
@pytest.mark.parametrize("bilinear", [True, False])
def test_it_computes_what_mimicry_does(num_classes, bilinear):
    network = build(num_classes=num_classes, bilinear=bilinear).double()
    z, y = torch.randn(3, 6, dtype=torch.float64), torch.tensor([0, 4, 2])
    with torch.no_grad():
        network.c4.weight.mul_(1e-4)  # within the range where tanh tells numbers apart
        found = network(z, y)
        expected = by_names(network.state_dict(), z, y, "bilinear" if bilinear else "nearest")
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert found.shape == (3, 3, 16, 16) and 0.05 < found.std() < 0.9


def test_classes_matter_where_there_are_some():
    network = build(num_classes=5)
    z = torch.randn(1, 6) / 50
    assert not torch.equal(network(z, torch.tensor([0])), network(z, torch.tensor([1])))


@pytest.mark.parametrize(
    ("size", "widths", "last"),
    [(32, [256] * 4, 5), (48, [512, 256, 128, 64], 5), (64, [1024, 512, 256, 128, 64], 6),
     (128, [1024, 1024, 512, 256, 128, 64], 7)],
)  # fmt: skip
def test_sizes_of_the_library(size, widths, last):
    with torch.device("meta"):
        network = networks.build({**SPEC, "size": size, "widths": widths, "z_dim": 128})
        assert network(torch.empty(1, 128), torch.zeros(1, dtype=torch.long)).shape == (1, 3, size, size)
    state = network.state_dict()
    assert state[f"b{last}.weight"].shape == (64 if size > 32 else 256,) and f"c{last}.weight" in state
    assert len(state["l1.bias"]) == widths[0] * (size >> len(widths) - 1) ** 2


def test_a_size_that_blocks_do_not_lead_to():
    with pytest.raises(InputError, match="network.size: 18, expected a multiple of 4"):
        networks.build({**SPEC, "size": 18})


def test_samples_are_in_the_unit_range():
    streams = rng.SampleStreams(
        "x", torch.zeros(4).numpy().astype("int64"), torch.arange(4).numpy(), torch.device("cpu")
    )
    options = read(Sampler, {"kind": "gan"}, "sampler")
    x = biggan.sample_gan(build(), torch.zeros(4, dtype=torch.long), streams, (3, 16, 16), options)
    assert x.shape == (4, 3, 16, 16) and x.min() >= 0 and x.max() <= 1
