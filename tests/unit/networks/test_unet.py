import gzip
import json
from pathlib import Path

import pytest
import torch

from pagboost import networks
from pagboost.errors import InputError
from pagboost.networks import frozen, onednn
from pagboost.networks.frozen import halved
from pagboost.networks.unet_layers import AttentionBlock, attend, timestep_embedding

# names and shapes of the tensors in OpenAI's published files, in their order
SHAPES = json.loads(gzip.decompress((Path(__file__).parents[2] / "data/adm_checkpoint_shapes.json.gz").read_bytes()))

ADM = {"in_channels": 3, "num_classes": 1000, "resblock_updown": True, "attention_resolutions": [32, 16, 8]}
UNET_64 = {
    **ADM,
    "kind": "unet",
    "image_size": 64,
    "model_channels": 192,
    "num_res_blocks": 3,
    "channel_mult": [1, 2, 3, 4],
    "num_head_channels": 64,
    "attention_order": "new",
}
UNET_LARGE = {**ADM, "kind": "unet", "out_channels": 6, "model_channels": 256, "num_res_blocks": 2}
CLASSIFIER = {**ADM, "kind": "unet_encoder", "model_channels": 128, "num_res_blocks": 2, "num_head_channels": 64}
MULT_128, MULT_256 = [1, 1, 2, 3, 4], [1, 1, 2, 2, 4, 4]

PUBLISHED = {
    "consistency_imagenet64": {**UNET_64, "out_channels": 3, "attention_dims": 2},
    "64x64_diffusion": {**UNET_64, "out_channels": 6, "dropout": 0.1},
    "128x128_diffusion": {**UNET_LARGE, "image_size": 128, "channel_mult": MULT_128, "num_heads": 4},
    "256x256_diffusion": {**UNET_LARGE, "image_size": 256, "channel_mult": MULT_256, "num_head_channels": 64},
    "64x64_classifier": {**CLASSIFIER, "image_size": 64, "channel_mult": [1, 2, 3, 4], "num_res_blocks": 4},
    "128x128_classifier": {**CLASSIFIER, "image_size": 128, "channel_mult": MULT_128},
    "256x256_classifier": {**CLASSIFIER, "image_size": 256, "channel_mult": MULT_256},
}

TINY = {
    "image_size": 16,
    "in_channels": 1,
    "model_channels": 8,
    "num_res_blocks": 1,
    "attention_resolutions": [4],
    "channel_mult": [1, 2],
    "num_heads": 2,
    "num_classes": 10,
    "norm_groups": 4,
    "patch": 2,
}
TINY_UNET = {**TINY, "kind": "unet", "out_channels": 2}
TINY_ENCODER = {**TINY, "kind": "unet_encoder"}


def build(spec, seed=0, **options):
    """A network with every weight drawn at random: at initialisation the zeroed layers hide all others."""
    torch.manual_seed(seed)
    network = networks.build({**spec, **options})
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


@pytest.mark.parametrize("name", SHAPES)
def test_published_checkpoints_have_exactly_our_names_and_shapes(name):
    with torch.device("meta"):
        network = networks.build(PUBLISHED[name])
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == SHAPES[name]


def naive_attention(q, k, v):
    """One head, one sample, position by position: q, k, v [C, L]."""
    columns = []
    for i in range(q.shape[1]):
        weights = torch.stack([q[:, i] @ k[:, j] for j in range(k.shape[1])]).div(len(q) ** 0.5).softmax(0)
        columns.append(sum(weights[j] * v[:, j] for j in range(v.shape[1])))
    return torch.stack(columns, 1)


@pytest.mark.parametrize("order", ["legacy", "new"])
def test_attention_orders_equal_a_loop_over_heads_and_positions(order):
    heads, dim, length = 3, 4, 5
    qkv = torch.randn(2, 3 * heads * dim, length, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(2, heads * dim, length, dtype=torch.float64)
    for n in range(2):
        for head in range(heads):
            if order == "new":  # all q, then all k, then all v
                starts = [(part * heads + head) * dim for part in range(3)]
            else:  # q, k, v of the first head, then of the second
                starts = [(head * 3 + part) * dim for part in range(3)]
            q, k, v = (qkv[n, start : start + dim] for start in starts)
            expected[n, head * dim : (head + 1) * dim] = naive_attention(q, k, v)
    torch.testing.assert_close(attend(qkv, heads, order), expected)


def test_attention_of_both_dims_is_the_same_function():
    x = torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(1))
    flat, spatial = (AttentionBlock(8, heads=2, groups=4, order="new", dims=dims) for dims in (1, 2))
    for parameter in flat.parameters():
        torch.nn.init.normal_(parameter)
    spatial.load_state_dict(
        {key: value[..., None] if value.dim() == 3 else value for key, value in flat.state_dict().items()}
    )
    torch.testing.assert_close(flat(x), spatial(x))


def test_timestep_embedding_is_cosines_then_sines_of_falling_frequencies():
    embedding = timestep_embedding(torch.tensor([3.0]), 4)
    frequencies = torch.tensor([1.0, 0.01])
    torch.testing.assert_close(embedding[0], torch.cat([(3 * frequencies).cos(), (3 * frequencies).sin()]))


@pytest.mark.parametrize("updown", [False, True])
def test_unet_keeps_the_image_size_and_starts_as_zero(updown):
    torch.manual_seed(0)
    network = networks.build({**TINY_UNET, "resblock_updown": updown})
    x, t, y = torch.randn(3, 1, 16, 16), torch.tensor([0.0, 1.0, 500.0]), torch.tensor([0, 1, 9])
    assert network(x, t, y).shape == (3, 2, 16, 16)
    assert not network(x, t, y).any()


@pytest.mark.parametrize("option", [{}, {"use_scale_shift_norm": False}])
def test_unet_hears_image_time_and_class(option):
    network = build(TINY_UNET, **option)
    x, t, y = torch.randn(1, 1, 16, 16), torch.tensor([5.0]), torch.tensor([3])
    base = network(x, t, y)
    for other in (network(x + 0.1, t, y), network(x, t + 1, y), network(x, t, y + 1)):
        assert (other - base).abs().max() > 1e-3


@pytest.mark.parametrize("spec", [TINY_UNET, TINY_ENCODER], ids=["unet", "encoder"])
def test_a_sample_does_not_depend_on_its_batch(spec):
    network = build(spec)
    x, t, y = torch.randn(4, 1, 16, 16), torch.arange(4.0), torch.arange(4)
    inputs = (x, t, y) if spec["kind"] == "unet" else (x, t)
    alone = network(*(value[2:3] for value in inputs))
    torch.testing.assert_close(network(*inputs)[2:3], alone, rtol=1e-4, atol=1e-4)


def test_an_unconditional_unet_ignores_labels_and_a_conditional_one_wants_them():
    x, t, y = torch.randn(1, 1, 16, 16), torch.zeros(1), torch.zeros(1, dtype=torch.long)
    unconditional = build(TINY_UNET, num_classes=None)
    assert torch.equal(unconditional(x, t, y), unconditional(x, t))
    with pytest.raises(InputError, match="class-conditional"):
        build(TINY_UNET)(x, t)


def test_encoder_gives_logits_that_follow_the_time():
    network = build(TINY_ENCODER)
    x = torch.randn(2, 1, 16, 16)
    early, late = network(x, torch.zeros(2)), network(x, torch.full((2,), 500.0))
    assert early.shape == (2, 10)
    assert (early - late).abs().max() > 1e-3


def test_group_norm_of_a_bfloat16_network_is_computed_in_float32():
    network = build(TINY_ENCODER).to(torch.bfloat16)
    norm = network.out[0]
    x = torch.randn(2, 16, 4, 4).bfloat16()
    expected = torch.nn.functional.group_norm(x.float(), 4, norm.weight.float(), norm.bias.float())
    assert torch.allclose(norm(x).float(), expected, atol=0.03)  # its factor and summand have eight bits, its sums more
    assert network(torch.randn(1, 1, 16, 16).bfloat16(), torch.zeros(1)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"num_heads": None}, "network.num_heads: None, expected just one of num_heads and num_head_channels"),
        ({"num_head_channels": 4}, "expected just one .*num_heads 2, num_head_channels 4"),
        ({"num_heads": 3}, "network.num_heads: 3"),
        ({"num_heads": None, "num_head_channels": 64}, "network.num_head_channels: 64"),
        ({"attention_order": "old"}, "network.attention_order: 'old', expected one of: legacy, new"),
        ({"attention_dims": 3}, "network.attention_dims: 3, expected one of: 1, 2"),
        ({"image_size": 18}, "network.image_size: 18, expected a multiple of 4"),
        ({"norm_groups": 5}, "network.norm_groups: 5, expected a divisor of 8"),
    ],
)
def test_options_that_do_not_fit_are_named(option, message):
    with pytest.raises(InputError, match=message):
        networks.build({**TINY_UNET, **option})


@pytest.mark.parametrize(
    "changed", [{}, {"attention_dims": 2}, {"attention_order": "new"}, {"use_scale_shift_norm": False}]
)
def test_a_copy_in_bf16_is_the_network(changed):
    """Within 3 % of the output's length; sums are in fp32, and nothing of the network itself changes."""
    network = build(TINY_UNET, **changed).eval()
    x, t, y = torch.randn(4, 1, 16, 16), torch.tensor([0.0, 10.0, 500.0, 999.0]), torch.arange(4)
    with torch.no_grad():
        expected, found = network(x, t, y), halved(network)(x, t, y).float()
    assert float((found - expected).norm() / expected.norm()) < 0.03
    assert next(network.parameters()).dtype == torch.float32


CPU = torch.device("cpu")
by_onednn = pytest.mark.skipif(not onednn.fuses(CPU), reason="no oneDNN here")


def apart(found, expected):
    return float((found - expected).detach().norm() / expected.detach().norm())


@by_onednn
@pytest.mark.parametrize("options", [{}, {"attention_dims": 2}, {"attention_order": "new"}, {"resblock_updown": True}])
def test_a_large_unet_is_sampled_from_by_packed_weights(options, monkeypatch):
    """The same function for any size and number of images; the network keeps its weights, and its own way."""
    network = build(TINY_UNET, **options).eval()
    assert frozen.sampled_copy(network, CPU) is network  # small ones keep their bytes
    monkeypatch.setattr(frozen, "LARGE", 1000)
    fast = frozen.sampled_copy(network, CPU)
    convs = [module for module in fast.modules() if isinstance(module, onednn.PackedConv)]
    plain = [module for module in network.modules() if isinstance(module, torch.nn.Conv1d | torch.nn.Conv2d)]
    assert len(convs) == len(plain)
    for one, other in zip(convs, plain, strict=True):
        assert one.weight.data_ptr() == other.weight.data_ptr()
    for count, size in ((4, 16), (1, 16), (2, 32), (3, 16)):
        x, t, y = torch.randn(count, 1, size, size), torch.full((count,), 500.0), torch.arange(count)
        with torch.no_grad():
            assert apart(fast(x, t, y), network(x, t, y)) < 1e-5


@by_onednn
def test_a_large_time_classifier_on_a_cpu_has_the_same_gradients(monkeypatch):
    network = build(TINY_ENCODER).eval()
    assert frozen.frozen_copy(network, CPU) is network
    monkeypatch.setattr(frozen, "LARGE", 1000)
    fast = frozen.frozen_copy(network, CPU)
    assert fast is not network and next(fast.parameters()) is next(network.parameters())
    found = []
    for one in (fast, network):
        x = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
        logits = one(x, torch.tensor([0.0, 10.0, 500.0]))
        found.append((logits, *torch.autograd.grad(logits.square().sum(), x)))
    assert max(apart(*pair) for pair in zip(*found, strict=True)) < 1e-5
