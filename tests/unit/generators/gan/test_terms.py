"""Terms beside the GAN losses: closed forms on linear discriminators and scores by hand."""

import math

import pytest
import torch
from torch import nn

from pagboost import networks
from pagboost.generators.gan import terms
from pagboost.generators.gan.training import Turn


class Linear(nn.Module):
    """D(x, y) = w.x, whose gradient is w everywhere; remembers where and for which labels it was asked."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(w)

    def forward(self, x, y):
        self.x, self.y = x.detach(), y
        return (x * self.w).sum((1, 2, 3))


def turn(discriminator, x, fake):
    zeros = torch.zeros(len(x), dtype=torch.long)
    y = torch.arange(len(x))
    return Turn(i=0, generator=nn.Identity(), discriminator=discriminator, x=x, y=y, z=x, y_fake=zeros, fake=fake)


def test_the_penalty_of_a_linear_critic_is_that_of_its_norm():
    critic = Linear(torch.full((1, 4, 4), 0.75))  # norm 0.75 sqrt(16) = 3
    penalty = terms.gradient_penalty(turn(critic, torch.randn(5, 1, 4, 4), torch.randn(5, 1, 4, 4)))
    assert penalty.item() == pytest.approx((3 - 1) ** 2)
    penalty.backward()
    # d/dw (||w|| - 1)^2 = 2 (||w|| - 1) w / ||w||
    torch.testing.assert_close(critic.w.grad, torch.full((1, 4, 4), 2 * 2 * 0.75 / 3))


def test_the_penalty_is_two_sided():
    flat, unit = Linear(torch.zeros(1, 4, 4)), Linear(torch.full((1, 4, 4), 0.25))
    x, fake = torch.randn(5, 1, 4, 4), torch.randn(5, 1, 4, 4)
    assert terms.gradient_penalty(turn(flat, x, fake)).item() == pytest.approx(1.0)
    assert terms.gradient_penalty(turn(unit, x, fake)).item() == pytest.approx(0.0, abs=1e-10)


def test_the_penalty_is_taken_between_each_pair_for_the_real_label():
    torch.manual_seed(0)
    critic, x, fake = Linear(torch.ones(1, 4, 4)), torch.zeros(64, 1, 4, 4), torch.ones(64, 1, 4, 4)
    fake[1::2] = -1.0
    terms.gradient_penalty(turn(critic, x, fake))
    share = critic.x[:, 0, 0, 0] / fake[:, 0, 0, 0]
    torch.testing.assert_close(critic.x, share.view(-1, 1, 1, 1) * fake)  # one place on the line per image
    assert share.min() >= 0
    assert share.max() <= 1
    assert share.std().item() == pytest.approx(1 / math.sqrt(12), abs=0.07)  # uniform
    assert torch.equal(critic.y, torch.arange(64))


def test_rotations_are_labelled_by_their_quarter_turns():
    x = torch.randn(10, 2, 4, 4)
    turned, turns = terms.rotate(x)
    assert turns.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3]
    upright = torch.stack([image.rot90(-int(k), (1, 2)) for image, k in zip(turned, turns, strict=True)])
    order = [0, 4, 8, 1, 5, 9, 2, 6, 3, 7]
    assert torch.equal(upright, x[order])


class KnowsTheCorner(nn.Module):
    """Tells rotations apart by which corner is lit, with logit `confidence` for the right one."""

    def __init__(self, confidence):
        super().__init__()
        self.confidence = confidence

    def rotations(self, x):
        corners = torch.stack([x[:, 0, 0, 0], x[:, 0, -1, 0], x[:, 0, -1, -1], x[:, 0, 0, -1]], dim=1)
        return self.confidence * corners


def test_the_rotation_loss_is_cross_entropy_over_four_turns():
    x = torch.zeros(8, 1, 4, 4)
    x[:, 0, 0, 0] = 1.0
    loss = terms.rotation(KnowsTheCorner(2.0), x)
    assert loss.item() == pytest.approx(math.log(math.exp(2) + 3) - 2)
    assert terms.rotation(KnowsTheCorner(0.0), x).item() == pytest.approx(math.log(4))


def test_info_nce_by_hand():
    local = torch.tensor([[[1.0], [2.0]], [[3.0], [-1.0]]])  # two images, two positions, one feature
    whole = torch.tensor([[1.0], [0.5]])
    others = [math.exp(3.0) + math.exp(-1.0), math.exp(0.5) + math.exp(1.0)]
    own = [[1.0, 2.0], [1.5, -0.5]]
    expected = [-s + math.log(math.exp(s) + others[i]) for i in range(2) for s in own[i]]
    assert terms.info_nce(local, whole).item() == pytest.approx(sum(expected) / 4)


def test_info_nce_of_features_that_say_nothing_is_that_of_guessing():
    n, positions = 5, 7
    loss = terms.info_nce(torch.zeros(n, positions, 3), torch.zeros(n, 3))
    assert loss.item() == pytest.approx(math.log(1 + (n - 1) * positions))


def test_info_nce_vanishes_where_images_are_told_apart():
    whole = 10 * torch.eye(4)
    assert terms.info_nce(whole[:, None].expand(-1, 6, -1), whole).item() == pytest.approx(0, abs=1e-6)


def test_infomax_reads_the_discriminators_features():
    torch.manual_seed(0)
    options = dict(size=8, channels=1, num_classes=None, widths=[4, 4], halvings=1, spectral=True, infomax_dim=5)
    d = networks.build({"kind": "resnet_discriminator", **options}).eval()
    x = torch.randn(6, 1, 8, 8)
    local, whole = d.local_and_global(x)
    assert local.shape == (6, 16, 5)
    assert whole.shape == (6, 5)
    torch.testing.assert_close(terms.infomax(d, x), terms.info_nce(local, whole))
