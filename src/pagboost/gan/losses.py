"""GAN losses on discriminator logits [N], one short pair per method, and penalties on weights; all minimised."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def hinge_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))): logits [N] and [M] to a scalar (Lim & Ye 2017; BigGAN Sec. 3)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake: torch.Tensor) -> torch.Tensor:
    """-E D(G(z)): logits [N] to a scalar."""
    return -fake.mean()


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
