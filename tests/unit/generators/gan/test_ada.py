"""Adaptive augmentation: identity and group structure, independence of images, derivatives, and the controller."""

from typing import get_args

import pytest
import torch

from pagboost.errors import InputError
from pagboost.generators.gan import ada
from pagboost.options import gans

GEOMETRIC = tuple(dict.fromkeys(name for name, _ in ada.GEOMETRIC))
COLOUR = tuple(name for name, _ in ada.COLOUR)


def augmentation(*names, p=1.0, target=0.6, speed=100):
    result = ada.AdaptiveAugmentation(names, target, speed)
    result.p.fill_(p)
    return result


def pictures(n=4, channels=3, size=8):
    return 2 * torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) - 1


@pytest.mark.parametrize("channels", [1, 3])
def test_with_probability_zero_nothing_changes(channels):
    x = pictures(channels=channels)
    torch.testing.assert_close(augmentation(*ada.AUGMENTATIONS, p=0.0)(x), x, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ada.AUGMENTATIONS)
def test_with_probability_one_each_changes_images(name):
    torch.manual_seed(0)
    x = pictures(n=16)
    changed = (augmentation(name)(x) - x).abs().amax((1, 2, 3)) > 1e-3
    assert changed.sum() >= 4  # flips and whole turns draw "as it was" half or a quarter of the time


@pytest.mark.parametrize("name", ["hue", "saturation"])
def test_grey_images_have_no_chroma_to_change(name):
    for x in (pictures(channels=1), pictures(channels=1).expand(-1, 3, -1, -1)):
        torch.testing.assert_close(augmentation(name)(x), x, atol=1e-5, rtol=0)


def test_luma_flip_of_grey_is_the_negative_or_nothing():
    torch.manual_seed(0)
    x = pictures(n=16, channels=1)
    out = augmentation("luma_flip")(x)
    kept, flipped = ((out - sign * x).abs().amax((1, 2, 3)) < 1e-5 for sign in (1, -1))
    assert (kept ^ flipped).all()
    assert 0 < flipped.sum() < 16


def test_hue_keeps_luma_and_chroma_and_turns_a_third_of_a_circle_to_a_permutation(monkeypatch):
    monkeypatch.setattr(ada, "_uniform", lambda n, device: torch.full((n,), 2 / 3))
    matrix = ada._hue(1, 8, torch.device("cpu"))[0, :3, :3]
    torch.testing.assert_close(matrix, torch.eye(3)[[2, 0, 1]], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["flip", "rotate90"])
def test_whole_moves_permute_the_pixels(name):
    torch.manual_seed(0)
    x = pictures(n=32, channels=1, size=6)
    out = augmentation(name)(x)
    torch.testing.assert_close(out.flatten(1).sort().values, x.flatten(1).sort().values, atol=1e-5, rtol=0)
    orbit = [x, x.flip(3)] if name == "flip" else [x.rot90(k, (2, 3)) for k in range(4)]
    which = torch.stack([(out - y).abs().amax((1, 2, 3)) < 1e-5 for y in orbit])
    assert (which.sum(0) == 1).all()
    assert which.any(1).all()


def test_a_set_closed_under_quarter_turns_stays_so_in_distribution():
    """Non-leaking: an invariant distribution is unmoved, whatever p (Karras et al. 2020a, Sec. 2.2)."""
    torch.manual_seed(0)
    x = pictures(n=1, channels=1, size=4)
    orbit = torch.cat([x.rot90(k, (2, 3)) for k in range(4)])
    out = augmentation("rotate90", p=0.5)(orbit.repeat(1000, 1, 1, 1))
    torch.testing.assert_close(out.mean(0), orbit.mean(0), atol=0.04, rtol=0)
    shares = torch.stack([((out - y).abs().amax((1, 2, 3)) < 1e-4).float().mean() for y in orbit])
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.03, rtol=0)


def test_a_shifted_point_is_seen_around_its_place_and_an_inverse_shift_undoes_it():
    torch.manual_seed(0)
    x = torch.zeros(2000, 1, 16, 16)
    x[:, :, 8, 5] = 1
    mean = augmentation("translate")(x).mean(0)[0]  # -2 .. 2 pixels each way, rounded from a uniform draw
    assert mean.nonzero().amin(0).tolist() == [6, 3]
    assert mean.nonzero().amax(0).tolist() == [10, 7]
    assert mean[8, 5].item() == pytest.approx(1 / 16, abs=0.02)
    matrix = ada._translate(2000, 16, x.device)
    torch.testing.assert_close(ada.resample(ada.resample(x, matrix), matrix.inverse()), x, atol=1e-4, rtol=0)


def test_resampling_a_plane_follows_the_matrix():
    """Keys' cubic reproduces linear functions: inside, the result is the plane at the mapped positions."""
    axis = torch.arange(16.0) - 7.5
    plane = (0.3 * axis[None, :] + 0.1 * axis[:, None])[None, None]
    matrix = torch.tensor([[[0.8, 0.2, 0.5], [-0.2, 0.8, -0.25], [0.0, 0.0, 1.0]]])
    u, v = 0.8 * axis[None, :] + 0.2 * axis[:, None] + 0.5, -0.2 * axis[None, :] + 0.8 * axis[:, None] - 0.25
    expected = 0.3 * u + 0.1 * v
    torch.testing.assert_close(ada.resample(plane, matrix)[0, 0, 4:12, 4:12], expected[4:12, 4:12])


def test_far_positions_are_mirrored_at_the_border():
    assert ada._reflect(torch.arange(-5, 10), 4).tolist() == [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3]


def test_images_are_augmented_independently():
    torch.manual_seed(0)
    out = augmentation("rotate", "brightness")(pictures(n=1).expand(32, -1, -1, -1))
    assert (torch.cdist(out.flatten(1), out.flatten(1)) + torch.eye(32)).min() > 1e-3


def test_the_share_of_changed_images_is_p():
    torch.manual_seed(0)
    x = pictures(n=1, channels=1).expand(4000, -1, -1, -1)
    for name in ("brightness", "scale", "rotate"):  # two rotations together happen with probability p
        changed = (augmentation(name, p=0.3)(x) - x).abs().amax((1, 2, 3)) > 1e-4
        assert changed.float().mean().item() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_affine_in_the_pixels_and_twice_differentiable(channels):
    x = pictures(n=2, channels=channels, size=4).double().requires_grad_()
    augment = augmentation(*ada.AUGMENTATIONS)

    def fixed(x):
        torch.manual_seed(0)
        return augment(x)

    torch.testing.assert_close(fixed(3 * x) - fixed(2 * x), fixed(x) - fixed(0 * x))
    (gradient,) = torch.autograd.grad(fixed(x).pow(3).sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert (x.grad.abs().sum((1, 2, 3)) > 0).all()


def test_p_rises_while_the_discriminator_is_sure_of_real_images_and_falls_while_not():
    augment = augmentation("scale", p=0.5, target=0.6, speed=100)
    for _ in range(3):
        augment.update(torch.ones(5))
    assert augment.p.item() == 0.5  # every fourth minibatch
    augment.update(torch.tensor([1.0, 1, 1, 1, -1]))  # r_t = 0.9
    assert augment.p.item() == pytest.approx(0.5 + 20 / 100)
    for _ in range(4):
        augment.update(torch.tensor([9.0, -1, 1, -1, 0.5]))  # r_t = 0.2: signs count, not sizes
    assert augment.p.item() == pytest.approx(0.5)


@pytest.mark.parametrize(("logit", "end"), [(1.0, 1.0), (-1.0, 0.0)])
def test_p_stays_a_probability(logit, end):
    augment = augmentation("scale", p=0.5, speed=8)
    for _ in range(12):
        augment.update(torch.full((4,), logit))
    assert augment.p.item() == end


def test_the_controller_resumes_between_two_adjustments():
    a, b = augmentation("scale", p=0.2), augmentation("scale", p=0.9)
    a.update(torch.ones(5))
    a.update(-torch.ones(5))
    b.load_state_dict(a.state_dict())
    for augment in (a, b):
        augment.update(torch.ones(5))
        augment.update(torch.ones(5))
    assert a.p.item() == b.p.item() == pytest.approx(0.2 - 0.2)


def test_what_can_be_asked_for_is_what_there_is():
    assert get_args(gans.Augmentation) == ada.AUGMENTATIONS


def test_colour_needs_one_channel_or_three():
    with pytest.raises(InputError, match="colour on images of 2 channels, expected 1 or 3"):
        augmentation("contrast")(pictures(channels=2))
