"""GAN losses against hand values."""

import math

import pytest
import torch
from torch import nn

from pagboost.generators.gan import blocks, losses


def test_hinge_discriminator_by_hand():
    real = torch.tensor([2.0, 0.5, -1.0])  # max(0, 1 - D) = 0, 0.5, 2
    fake = torch.tensor([-3.0, 0.0])  # max(0, 1 + D) = 0, 1
    assert losses.hinge_discriminator(real, fake).item() == pytest.approx(2.5 / 3 + 0.5)


def test_hinge_generator_wants_high_logits():
    fake = torch.tensor([1.0, -3.0], requires_grad=True)
    loss = losses.hinge_generator(fake)
    loss.backward()
    assert loss.item() == pytest.approx(1.0)
    assert (fake.grad < 0).all()


def test_hinge_discriminator_ignores_what_is_beyond_the_margin():
    real, fake = torch.tensor([1.5], requires_grad=True), torch.tensor([-1.5], requires_grad=True)
    losses.hinge_discriminator(real, fake).backward()
    assert real.grad.item() == fake.grad.item() == 0


def test_logistic_losses_by_hand():
    real, fake = torch.tensor([0.0, 2.0]), torch.tensor([1.0])
    sigmoid = {logit: 1 / (1 + math.exp(-logit)) for logit in (0.0, 1.0, 2.0)}
    expected = -(math.log(sigmoid[0.0]) + math.log(sigmoid[2.0])) / 2 - math.log(1 - sigmoid[1.0])
    assert losses.logistic_discriminator(real, fake).item() == pytest.approx(expected)
    assert losses.logistic_generator(fake).item() == pytest.approx(-math.log(sigmoid[1.0]))


def test_the_generators_logistic_loss_does_not_saturate_where_it_loses():
    fake = torch.tensor([-30.0], requires_grad=True)
    losses.logistic_generator(fake).backward()
    assert fake.grad.item() == pytest.approx(-1.0)


def test_wasserstein_discriminator_by_hand():
    real, fake = torch.tensor([2.0, 4.0]), torch.tensor([-1.0, 0.0, 4.0])
    assert losses.wasserstein_discriminator(real, fake).item() == pytest.approx(1 - 3)


def test_orthogonal_penalty_by_hand():
    layer = nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # off-diagonal of W W^T: 11, twice
    assert losses.orthogonal_penalty(layer).item() == pytest.approx(2 * 11**2)


def test_orthogonal_penalty_of_orthogonal_rows_is_zero_whatever_their_norm():
    layer = nn.Linear(4, 3)
    nn.init.orthogonal_(layer.weight, gain=7)
    assert losses.orthogonal_penalty(layer).item() == pytest.approx(0, abs=1e-3)


def test_orthogonal_penalty_reaches_the_weights_under_spectral_norm_and_no_embedding():
    network = nn.Sequential(blocks.spectral(nn.Linear(2, 2)), nn.Embedding(3, 2))
    network[0].parametrizations.weight.original.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    losses.orthogonal_penalty(network).backward()
    assert network[0].parametrizations.weight.original.grad.abs().sum() > 0
    assert network[1].weight.grad is None
