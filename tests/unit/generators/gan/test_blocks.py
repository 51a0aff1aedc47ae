"""Layers, spectral norm, conditional BatchNorm and residual blocks against closed forms."""

import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pagboost.generators.gan import blocks

CONDITIONAL = functools.partial(blocks.ConditionalBatchNorm2d, condition_dim=3, layer=blocks.spectral)


@pytest.mark.parametrize("module", [nn.Conv2d(3, 8, 3, padding=1), nn.Linear(5, 7), nn.Embedding(10, 6)])
def test_spectral_norm_makes_the_largest_singular_value_one(module):
    torch.manual_seed(0)
    module = blocks.spectral(module)
    original = module.parametrizations.weight.original
    original.data = torch.randn_like(original) * 3
    for _ in range(100):
        weight = module.weight  # each look in train mode is one power iteration
    assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-2)
    assert torch.linalg.matrix_norm(original.flatten(1), 2).item() > 2


def test_spectral_norm_stands_still_in_eval_mode():
    module = blocks.spectral(nn.Linear(5, 7)).eval()
    module.parametrizations.weight.original.data = torch.randn(7, 5)
    assert torch.equal(module.weight, module.weight)


def test_conditional_batch_norm_is_batch_norm_and_an_affine_map_per_class():
    torch.manual_seed(0)
    norm = blocks.ConditionalBatchNorm2d(4, 3, blocks.spectral)
    x, y = torch.randn(12, 4, 5, 5) * 2 + 1, torch.arange(12) % 3
    out = norm(x, F.one_hot(y, 3).float())
    plain = nn.BatchNorm2d(4, affine=False)(x)
    norm.eval()
    for c in range(3):
        gain, bias = 1 + norm.gain.weight[:, c], norm.bias.weight[:, c]
        expected = plain[y == c] * gain.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)
        torch.testing.assert_close(out[y == c], expected, rtol=1e-3, atol=1e-3)


def down_block(in_channels, out_channels, downsample, first=False):
    return blocks.DownBlock(in_channels, out_channels, downsample, first, blocks.spectral)


def test_up_block_doubles_and_down_block_halves():
    x = torch.randn(2, 6, 8, 8)
    assert blocks.UpBlock(6, 4, CONDITIONAL, blocks.spectral)(x, torch.randn(2, 3)).shape == (2, 4, 16, 16)
    assert down_block(6, 4, downsample=True)(x).shape == (2, 4, 4, 4)
    assert down_block(6, 6, downsample=False)(x).shape == x.shape


def test_up_block_shortcut_equals_upsampling_first():
    block = blocks.UpBlock(6, 4, CONDITIONAL, blocks.spectral).eval()
    block.conv2 = nn.Conv2d(4, 4, 3, padding=1)
    for parameter in block.conv2.parameters():
        nn.init.zeros_(parameter)  # leaves the shortcut alone
    x = torch.randn(2, 6, 8, 8)
    expected = block.shortcut(F.interpolate(x, scale_factor=2))
    torch.testing.assert_close(block(x, torch.randn(2, 3)), expected)


def test_first_down_block_sees_negative_pixels():
    block = down_block(1, 4, downsample=True, first=True).eval()
    x = -torch.rand(1, 1, 8, 8)
    h = F.avg_pool2d(block.conv2(F.relu(block.conv1(x))), 2)
    torch.testing.assert_close(block(x), h + F.avg_pool2d(block.shortcut(x), 2))


def test_self_attention_starts_as_identity_and_then_mixes_positions():
    torch.manual_seed(0)
    attention = blocks.SelfAttention(8).eval()
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(attention(x), x)
    attention.gamma.data.fill_(1.0)
    moved = x.clone()
    moved[:, :, 0, 0] += 5
    assert not torch.allclose(attention(x)[:, :, 3, 3], attention(moved)[:, :, 3, 3])


def test_an_unconditional_batch_norm_ignores_its_condition():
    norm, x = blocks.UnconditionalBatchNorm2d(4), torch.randn(6, 4, 3, 3)
    assert torch.equal(norm(x, torch.randn(6, 2)), nn.BatchNorm2d(4)(x))
    assert torch.equal(norm(x, None), nn.BatchNorm2d(4)(x))


def test_zero_layers_make_conditional_batch_norm_plain_at_first():
    norm, x = blocks.ConditionalBatchNorm2d(4, 3, blocks.zero), torch.randn(6, 4, 3, 3)
    torch.testing.assert_close(norm(x, torch.eye(3).repeat(2, 1)), nn.BatchNorm2d(4)(x))


def test_orthogonal_layers_have_orthogonal_rows_and_no_bias():
    layer = blocks.orthogonal(nn.Conv2d(3, 5, 3))
    rows = layer.weight.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(5), atol=1e-5, rtol=0)
    assert not layer.bias.any()
