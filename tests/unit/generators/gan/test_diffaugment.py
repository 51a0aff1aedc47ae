"""DiffAugment: what each augmentation does to an image, one image at a time, and that gradients pass through."""

import pytest
import torch

from pagboost.errors import InputError
from pagboost.generators.gan import diffaugment
from pagboost.options.gans import Method
from pagboost.options.reading import read

ALL = list(diffaugment.POLICIES)


def images(n=6, channels=3, size=16):
    return 2 * torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) - 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ALL)
def test_shape_stays_and_each_image_is_drawn_its_own(name, channels):
    torch.manual_seed(0)
    x = images(1, channels).expand(8, -1, -1, -1)
    out = diffaugment.augment(x, [name])
    assert out.shape == x.shape
    assert len(torch.unique(out.flatten(1), dim=0)) >= 6  # of eight equal images; two may draw the same shift


@pytest.mark.parametrize("name", ALL)
def test_an_image_is_augmented_without_regard_to_its_batch(name):
    x, others = images(4), images(4)
    others[1:] += 0.3
    torch.manual_seed(1)
    alone = diffaugment.augment(x, [name])
    torch.manual_seed(1)
    beside = diffaugment.augment(others, [name])
    torch.testing.assert_close(alone[0], beside[0])


def test_gradients_reach_every_image():
    torch.manual_seed(0)
    x = images().requires_grad_()
    diffaugment.augment(x, ALL).square().sum().backward()
    assert (x.grad.abs().sum((1, 2, 3)) > 0).all()


def test_no_policy_is_the_identity():
    x = images()
    assert diffaugment.augment(x, []) is x


def test_translation_moves_whole_images_by_up_to_an_eighth_and_pads_with_zeros():
    torch.manual_seed(0)
    x = torch.zeros(400, 1, 16, 16)
    x[:, 0, 8, 5] = 1.0
    moved = diffaugment.translation(x)
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(400))
    rows, columns = moved[:, 0].amax(2).argmax(1) - 8, moved[:, 0].amax(1).argmax(1) - 5
    assert sorted(set(rows.tolist())) == sorted(set(columns.tolist())) == [-2, -1, 0, 1, 2]
    assert len({*zip(rows.tolist(), columns.tolist(), strict=True)}) == 25  # both directions on their own
    assert moved.new_ones(1, 1, 16, 16).shape == diffaugment.translation(x.new_ones(1, 1, 16, 16)).shape
    shifted = diffaugment.translation(torch.ones(50, 1, 16, 16))
    kept = (16 - rows.unique().abs()).tolist()
    assert {int(count) for count in shifted.sum((1, 2, 3))} <= {a * b for a in kept for b in kept}


def test_translation_reads_the_neighbouring_pixels():
    torch.manual_seed(0)
    x = images(20, 2)
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
    for image, source in zip(diffaugment.translation(x), padded, strict=True):
        windows = [source[:, i : i + 16, j : j + 16] for i in range(5) for j in range(5)]
        assert any(torch.equal(image, window) for window in windows)


def test_cutout_takes_a_square_of_half_the_size_anywhere():
    torch.manual_seed(0)
    holes = diffaugment.cutout(torch.ones(2000, 3, 16, 16)) == 0
    assert torch.equal(holes.all(1), holes.any(1))  # all channels alike
    sides = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert torch.equal(holes[:, 0].sum((1, 2)), sides[0] * sides[1])  # a rectangle
    for side in sides:
        assert side.max() == 8
        assert side.min() == 4  # centred on the border, half of it is outside
    share = holes[:, 0].float().mean(0)  # of the 17 centres along an axis, 8 reach a middle pixel and 5 a corner
    assert share[8, 8].item() == pytest.approx((8 / 17) ** 2, abs=0.03)
    assert share[0, 15].item() == pytest.approx((5 / 17) ** 2, abs=0.03)


def test_color_is_affine_in_the_pixels_of_one_channel():
    torch.manual_seed(0)
    x = images(50, 1)
    out = diffaugment.color(x)
    centred, out_centred = x - x.mean((1, 2, 3), keepdim=True), out - out.mean((1, 2, 3), keepdim=True)
    contrast = (centred * out_centred).sum((1, 2, 3)) / centred.square().sum((1, 2, 3))
    torch.testing.assert_close(out_centred, contrast.view(-1, 1, 1, 1) * centred)
    assert contrast.min() >= 0.5
    assert contrast.max() <= 1.5
    brightness = (out - x).mean((1, 2, 3))
    assert brightness.abs().max() <= 0.5
    assert brightness.std().item() == pytest.approx(1 / 12**0.5, abs=0.06)


def test_color_scales_saturation():
    torch.manual_seed(0)
    x = images(200, 3)

    def spread(x):
        return (x - x.mean(1, keepdim=True)).square().sum((1, 2, 3)).sqrt()

    factor = spread(diffaugment.color(x)) / spread(x)  # saturation in [0, 2] times contrast in [1/2, 3/2]
    assert factor.min() < 0.2
    assert 1.8 < factor.max() < 3
    assert factor.mean().item() == pytest.approx(1, abs=0.15)


def test_what_can_be_asked_for_is_what_there_is():
    expected = f"method.policy.1: 'colour', expected one of: {', '.join(ALL)}"
    with pytest.raises(InputError, match=expected):
        read(Method, {"kind": "diffaugment_biggan", "orthogonal": 0.0, "policy": ["cutout", "colour"]}, "method")
