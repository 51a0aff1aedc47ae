"""The attacked form of a ResNet: the same function and the same gradients of images, up to rounding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pagboost import attacks, networks, objectives, rng
from pagboost.errors import InputError
from pagboost.machine import number_format
from pagboost.networks import frozen, gpu_convs, onednn, onednn_convs
from pagboost.networks.convolutions import Conv
from pagboost.networks.folding import folded
from pagboost.networks.fused import Fused

CPU = torch.device("cpu")
BLOCKS = [{"block": "basic"}, {"block": "bottleneck", "bottleneck_width": 64}]
SMALL = {
    "kind": "resnet", "layers": [1, 2, 1, 1], "width": 16, "num_classes": 5, "mean": [0.5] * 3, "std": [0.25] * 3,
    "stem": {"kernel": 7, "stride": 2, "pool": True},
}  # fmt: skip


def resnet(block):
    """One whose BatchNorms have moved."""
    torch.manual_seed(0)
    network = networks.build(SMALL | block)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture
def x():
    return torch.rand(6, 3, 32, 32, generator=rng.generator("images"))


def gradient(network, x):
    return attacks.gradient(lambda x, y: objectives.ce(network(x), y), x, torch.arange(len(x)) % 5)[0]


@pytest.fixture(params=["onednn", "plain", "gpu"])
def by_kernels(request, monkeypatch):
    """The class of the stem's convolution. A GPU's: Triton's kernels, interpreted, and plain ones for cuDNN's."""
    if request.param == "gpu":
        pytest.importorskip("triton")
        if torch.cuda.is_available():
            pytest.skip("Triton compiles here: test_gpu_speed.py")
        monkeypatch.setattr(gpu_convs, "triton_works", lambda: True)
        monkeypatch.setattr(gpu_convs, "cudnn_fuses", lambda: True)
        monkeypatch.setattr(
            "pagboost.networks.fused.kind", lambda conv, relu, _, stem: gpu_convs.kind(conv, relu, stem)
        )

        def pool_of(module, _):
            return None if isinstance(module, torch.nn.Identity) else gpu_convs.TritonPool()

        monkeypatch.setattr("pagboost.networks.fused.pool_of", pool_of)
        return gpu_convs.StemConv
    if request.param == "onednn" and not onednn.fuses(CPU):
        pytest.skip("no oneDNN here")
    if request.param == "onednn":
        return onednn_convs.OneDnnConv
    monkeypatch.setattr("pagboost.networks.fused.kind", lambda *_, **__: Conv)
    return Conv


@pytest.mark.parametrize("block", BLOCKS, ids=["basic", "bottleneck"])
@pytest.mark.parametrize("fold", [False, True])
def test_logits_and_gradients_are_the_networks(block, fold, by_kernels, x):
    network = resnet(block)
    fused = Fused(folded(network) if fold else network, CPU)
    assert isinstance(fused.stem, by_kernels)
    assert torch.allclose(fused(x), network(x), atol=1e-5)
    with attacks.frozen(network):
        expected = gradient(network, x)
    assert torch.allclose(gradient(fused, x), expected, atol=1e-5 * float(expected.abs().max()))
    assert torch.allclose(fused(x[:1]), network(x[:1]), atol=1e-5)  # weights are ordered for a batch, and serve others
    assert not any(parameter.requires_grad for parameter in fused.parameters())


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (17, 23)),
        ({"stem": {"kernel": 3, "stride": 1, "pool": False}}, (8, 8)),
        ({"width": 20}, (16, 16)),
        ({"mean": [0.5], "std": [0.25]}, (16, 16)),
    ],
    ids=["odd", "cifar", "twenty", "grey"],
)
def test_other_sizes_stems_and_numbers_of_channels(options, size, by_kernels):
    network = resnet(BLOCKS[1] | options)
    x = torch.rand(2, len(options.get("mean", "RGB")), *size, generator=rng.generator("images"))
    fused = Fused(network, CPU)
    assert torch.allclose(fused(x), network(x), atol=1e-5)
    with attacks.frozen(network):
        expected = gradient(network, x)
    assert torch.allclose(gradient(fused, x), expected, atol=1e-5 * float(expected.abs().max()))


def test_one_size_after_another(by_kernels):
    """Weights are put in order for a size; maps of two sizes become one under a stride."""
    network = resnet(BLOCKS[1])
    fused = Fused(network, CPU)
    for size in (32, 31, 16, 15, 32):
        x = torch.rand(2, 3, size, size, generator=rng.generator("images"))
        with attacks.frozen(network):
            expected = gradient(network, x)
        assert torch.allclose(gradient(fused, x), expected, atol=1e-5 * float(expected.abs().max()))


def test_weights_and_statistics_that_change_are_taken_over(by_kernels, x):
    network = resnet(BLOCKS[1])
    fused = Fused(network, CPU)
    before = fused(x)
    network.train()(x)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.1)
    network.eval()
    assert torch.equal(fused(x).detach(), before.detach()) or not torch.allclose(before, network(x), atol=1e-3)
    fused.refresh()
    assert torch.allclose(fused(x), network(x), atol=1e-4)


def test_eight_bits_keep_the_direction(x, monkeypatch):
    """bf16, as on a GPU: gradients point where those in fp32 do."""
    monkeypatch.setattr("pagboost.networks.fused.kind", lambda *_: Conv)
    network = resnet(BLOCKS[1])
    fused = Fused(network, CPU)
    expected = gradient(fused, x)
    for module in fused.modules():
        if isinstance(module, Conv):
            module.to(torch.bfloat16)
    assert float(F.cosine_similarity(gradient(fused, x).flatten(1), expected.flatten(1)).min()) > 0.9
    assert fused(x).dtype == torch.float32


def test_a_walk_on_the_fused_network_ends_where_the_networks_does(x):
    """The final metrics: loss and path, within 1e-3 of the loss, though single pixels may differ by more."""
    network = resnet(BLOCKS[1])
    fused, y = Fused(network, CPU), torch.arange(6) % 5
    options = {"alpha": 0.2, "eps": 1.0, "steps": 5}
    with attacks.frozen(network):
        ends = [attacks.pgd(lambda x, y, n=n: objectives.ce(n(x), y), x, y, **options) for n in (network, fused)]
        losses = [float(objectives.ce(network(end), y).mean()) for end in ends]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_shape_that_cudnn_has_no_kernel_for_runs_in_plain_ones(x, caplog):
    conv = torch.nn.Conv2d(3, 4, 3, padding=1, bias=False)
    fused = gpu_convs.CudnnConv(conv, True, CPU)  # on the CPU it has none at all
    fused.fill(conv.weight, None, torch.zeros(4))
    for _ in range(2):
        assert torch.allclose(fused.run(x)[0], conv(x).relu(), atol=1e-6)
    assert len(caplog.records) == 1 and "runs in plain kernels" in caplog.text


def test_large_resnets_alone_are_fused_on_the_cpu(monkeypatch, classifier):
    """What is published was made by small ones, whose results keep their bytes."""
    small = resnet(BLOCKS[0])
    assert frozen.frozen_copy(small, CPU) is small
    monkeypatch.setattr(frozen, "LARGE", 1000)
    assert isinstance(frozen.frozen_copy(small, CPU), Fused)
    assert frozen.frozen_copy(classifier, CPU) is classifier
    assert frozen.sampled_copy(classifier, CPU) is classifier
    assert not frozen.fuses(small, torch.device("meta"))


@pytest.mark.parametrize("block", BLOCKS, ids=["basic", "bottleneck"])
def test_bf16_on_a_cpu_where_it_is_asked_for(block, x, monkeypatch):
    """Small ones too. Eight bits: gradients point the same way as in fp32, and boosts end as high."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("oneDNN takes no bf16 here")
    monkeypatch.setattr(number_format, "computes_bf16", lambda: True)
    network = resnet(block)
    with number_format.bf16_on_cpu():
        fast = frozen.frozen_copy(network, CPU)
    assert fast.stem.weight.dtype == torch.bfloat16 and frozen.frozen_copy(network, CPU) is network
    with attacks.frozen(network):
        expected = gradient(network, x)
        found = gradient(fast, x)
        assert found.dtype == torch.float32 and fast(x).dtype == torch.float32
        assert float(F.cosine_similarity(found.flatten(1), expected.flatten(1)).min()) > 0.9
        y = torch.arange(len(x)) % 5
        ends = [
            attacks.pgd(lambda x, y, form=form: objectives.ce(form(x), y), x, y, alpha=0.5, eps=2.0, steps=5)
            for form in (network, fast)
        ]
        losses = [float(objectives.ce(network(end), y).mean()) for end in ends]
        moved = float(objectives.ce(network(x), y).mean()) - losses[0]
    assert abs(losses[1] - losses[0]) < 0.05 * moved


def test_bf16_is_refused_where_the_cpu_has_none(monkeypatch):
    monkeypatch.setattr(number_format, "computes_bf16", lambda: False)
    refused = pytest.raises(InputError, match="--device cpu-bf16: this CPU does not compute in it")
    with refused, number_format.bf16_on_cpu():
        pass


def test_what_is_no_resnet_is_computed_in_fp32_and_says_so(classifier, monkeypatch, caplog):
    monkeypatch.setattr(number_format, "computes_bf16", lambda: True)
    with number_format.bf16_on_cpu():
        assert frozen.frozen_copy(classifier, CPU) is classifier
    (record,) = caplog.records
    assert record.getMessage().endswith(": no ResNet, computed in fp32")
