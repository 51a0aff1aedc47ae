"""What makes a GPU fast: fused and recorded work computes what plain work does. Skipped where there is no GPU."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from pagboost import attacks, networks, objectives, training
from pagboost.guides import classifier as guide
from pagboost.machine import graphs
from pagboost.machine.sending import sent
from pagboost.networks import gpu_convs
from pagboost.networks.convolutions import Conv
from pagboost.networks.folding import folded
from pagboost.networks.frozen import frozen_copy, halved, sampled_copy

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
GPU = torch.device("cuda")
RESNET = {
    "kind": "resnet", "layers": [1, 2, 1, 1], "width": 32, "bottleneck_width": 64, "num_classes": 10,
    "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "stem": {"kernel": 7, "stride": 2, "pool": True},
}  # fmt: skip
UNET = {
    "kind": "unet", "image_size": 16, "in_channels": 3, "out_channels": 6, "model_channels": 32, "norm_groups": 8,
    "channel_mult": [1, 2], "num_res_blocks": 1, "attention_resolutions": [8], "num_head_channels": 16,
    "num_classes": 10, "resblock_updown": True,
}  # fmt: skip


@pytest.fixture(autouse=True)
def recordings_work(monkeypatch):
    monkeypatch.setattr(graphs, "_told", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.delenv(graphs.VARIABLE, raising=False)


def built(**options):
    """One whose BatchNorms have moved."""
    torch.manual_seed(0)
    network = networks.build({key: value for key, value in (RESNET | options).items() if value is not None}).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.to(GPU, memory_format=torch.channels_last)


@pytest.fixture
def resnet():
    return built()


@pytest.fixture
def unet():
    torch.manual_seed(0)
    network = networks.build(UNET).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return network.to(GPU, memory_format=torch.channels_last)


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    x = 0.2 + 0.6 * torch.rand(16, 3, 32, 32, generator=draw)
    return x.to(GPU), torch.randint(10, (16,), generator=draw).to(GPU)


def ce(network):
    return lambda x, y: objectives.ce(network(x), y)


def test_cudnn_and_triton_fuse_convolutions():
    assert gpu_convs.cudnn_fuses() and gpu_convs.triton_works()


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (32, 32)),
        ({}, (33, 47)),
        ({"stem": {"kernel": 3, "stride": 1, "pool": False}}, (16, 16)),
        ({"bottleneck_width": None, "block": "basic"}, (32, 32)),
        ({"width": 20}, (32, 32)),  # some layers have 20 channels, for which there are only plain kernels
        ({"mean": [0.5], "std": [0.25]}, (32, 32)),
    ],
    ids=["bottleneck", "odd", "cifar", "basic", "twenty", "grey"],
)
def test_a_fused_resnet_in_bf16_is_the_network(options, size, batch, fold):
    """Eight bits: gradients point the same way as in fp32, as those of autocast do."""
    x, y = batch
    x, resnet = F.interpolate(x, size, mode="bilinear")[:, : len(options.get("mean", "RGB"))], built(**options)
    fast = frozen_copy(folded(resnet) if fold else resnet, GPU)
    kinds = {type(conv) for conv in fast.modules() if isinstance(conv, Conv)}
    assert (gpu_convs.Pointwise in kinds) == ("block" not in options)
    assert isinstance(fast.stem, gpu_convs.StemConv) == ("width" not in options)
    with attacks.frozen(resnet):
        logits, expected = resnet(x), attacks.gradient(ce(resnet), x, y)[0]
    assert torch.allclose(fast(x), logits, atol=0.05 * float(logits.abs().max()))
    found = attacks.gradient(ce(fast), x, y)[0]
    assert float(F.cosine_similarity(found.flatten(1), expected.flatten(1)).min()) > 0.9


def test_a_recorded_gradient_is_the_gradient(resnet, batch):
    """To the bit, at the first call, which is not recorded, and later; weights that change are followed."""
    x, y = batch
    fast = frozen_copy(resnet, GPU)
    repeated, plain = attacks.Repeated(ce(fast)), ce(fast)
    for _ in range(4):
        assert torch.equal(attacks.gradient(repeated, x, y)[0], attacks.gradient(plain, x, y)[0])
        x = (x + 0.01).clamp(0, 1)
    assert len(repeated.gradient.recorder.recordings) == 1
    with torch.no_grad():
        resnet.model.conv1.weight.mul_(1.5)
    fast.refresh()
    assert torch.equal(attacks.gradient(repeated, x, y)[0], attacks.gradient(plain, x, y)[0])


def test_a_walk_that_stops_samples_ends_where_the_cpus_does(batch):
    """Stopped samples stay in the batch on a GPU, and leave it on the CPU."""
    x, _ = batch
    target = x.flatten(1).mean(1) + 0.001 + torch.arange(len(x), device=GPU) * 0.002

    def loss_fn(x, y):
        mean = x.flatten(1).mean(1)
        return -mean, mean >= y

    found = [
        attacks.pgd(attacks.Repeated(loss_fn), x.to(device), target.to(device), alpha=0.3, steps=6).cpu()
        for device in ("cuda", "cpu")
    ]
    assert torch.allclose(*found, atol=1e-5)


def test_a_walk_asks_the_gpu_for_nothing(resnet, batch):
    """One that it has recorded: the CPU starts all steps without waiting for one of them."""
    x, y = batch
    fast = frozen_copy(resnet, GPU)

    def loss_fn(x, y):
        logits = fast(x)
        return objectives.ce(logits, y), logits.detach().argmax(1) == y

    repeated = attacks.Repeated(loss_fn)
    options = {"alpha": 0.1, "eps": 0.3, "steps": 3}
    attacks.pgd(repeated, x, y, **options)
    torch.cuda.set_sync_debug_mode("error")
    try:
        attacks.pgd(repeated, x, y, **options)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def trained(network, batch, monkeypatch, how):
    """The network after six updates."""
    monkeypatch.setenv(graphs.VARIABLE, how)
    x, y = batch
    network = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    updated = training.updated(training.Run(0, GPU), network)
    target = guide.attacked_form(network, GPU)
    loss_fn = attacks.Repeated(guide.misclassify(target))
    for _ in range(6):
        with torch.autocast("cuda", torch.bfloat16):
            moved = guide.attacked(target, loss_fn, x, y, eps=0.5, alpha=0.2, steps=2)
            network.train()
            training.descend(objectives.ce(updated(moved), y).mean(), optimizer)
        x = x.flip(0)
    return network, updated


def test_recorded_updates_end_in_the_same_weights(resnet, batch, monkeypatch):
    """BatchNorm's statistics too, which trying for the recording has moved."""
    plain, _ = trained(resnet, batch, monkeypatch, "off")
    recorded, updated = trained(resnet, batch, monkeypatch, "on")
    assert len(updated.recorder.recordings) == 1
    for (name, a), b in zip(plain.state_dict().items(), recorded.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_unet_in_bf16_is_the_network(unet):
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)).to(GPU)
    t, y = torch.tensor([0.0, 10.0, 500.0, 999.0], device=GPU), torch.arange(4, device=GPU)
    with torch.no_grad():
        expected, found = unet(x, t, y), halved(unet)(x, t, y).float()
    assert float((found - expected).norm() / expected.norm()) < 0.03


def test_a_recorded_unet_is_the_unet(unet):
    t, y = torch.zeros(4, device=GPU), torch.arange(4, device=GPU)
    fast, plain = sampled_copy(unet, GPU), halved(unet)
    with torch.no_grad():
        for i in range(4):
            x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(i)).to(GPU)
            assert torch.equal(fast(x, t + i, y), plain(x, t + i, y))
    assert fast.num_classes == 10 and len(fast.replayed.recorder.recordings) == 1


def test_what_cannot_be_recorded_runs_as_it_is(caplog):
    """A function that asks the device for a value: one line, and right results."""
    asks = graphs.Replayed(lambda x: x * float(x.sum()))
    x = torch.ones(3, device=GPU)
    for _ in range(3):
        assert asks(x).tolist() == [3.0, 3.0, 3.0]
    assert [record.getMessage()[:24] for record in caplog.records] == ["no CUDA graph, kernels a"]
    assert float(torch.ones(3, device=GPU).sum()) == 3


def test_a_sent_tensor_arrives_whole():
    """Its page-locked copy is not used again while the GPU still reads it."""
    found = [sent(torch.full((1 << 20,), i), GPU) for i in range(20)]
    assert [int(one.float().mean()) for one in found] == list(range(20))
