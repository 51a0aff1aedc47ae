"""GAN losses on discriminator logits [N], one short pair per method, and penalties on weights; all minimised."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def hinge_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))): logits [N] and [M] to a scalar (Lim & Ye 2017; BigGAN Sec. 3)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake: torch.Tensor) -> torch.Tensor:
    """-E D(G(z)): logits [N] to a scalar; of the hinge and the Wasserstein game alike."""
    return -fake.mean()


def logistic_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """-E log s(D(x)) - E log(1 - s(D(G(z)))), s the sigmoid: logits [N], [M] to a scalar (Goodfellow 2014)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def logistic_generator(fake: torch.Tensor) -> torch.Tensor:
    """-E log s(D(G(z))), the non-saturating loss: logits [N] to a scalar (Goodfellow et al. 2014, Sec. 3)."""
    return F.softplus(-fake).mean()


def wasserstein_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """E D(G(z)) - E D(x): logits [N] and [M] to a scalar (Arjovsky et al. 2017; Gulrajani et al. 2017, Eq. 2)."""
    return fake.mean() - real.mean()


def orthogonal_penalty(network: nn.Module) -> torch.Tensor:
    """Sum over weights W [out, in] of ||W W^T * (1 - I)||_F^2: rows apart, their norms free (BigGAN Eq. 3).

    Taken over weights of convolutions and linear layers before spectral normalisation; class embeddings are left
    out, as classes may be alike.
    """
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    weights = [
        m.parametrizations.weight.original if nn.utils.parametrize.is_parametrized(m) else m.weight for m in layers
    ]
    grams = [w.flatten(1) @ w.flatten(1).T for w in weights]
    return sum((gram - gram.diag().diag()).square().sum() for gram in grams)
