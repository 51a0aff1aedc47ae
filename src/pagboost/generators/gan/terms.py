"""Terms that methods add to the GAN losses: WGAN-GP's gradient penalty, SSGAN's rotations, InfoMax-GAN's InfoNCE."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.generators.gan.training import Turn


def gradient_penalty(turn: Turn) -> torch.Tensor:
    """E (||grad_x D(x)|| - 1)^2 at x on straight lines between real and generated images (Gulrajani 2017, Eq. 3).

    Norms are over whole images in [-1, 1]; each line is between a real and a generated image of the same row,
    and a conditional discriminator is given the real image's label.
    """
    t = torch.rand(len(turn.x), 1, 1, 1, device=turn.x.device)
    between = torch.lerp(turn.x, turn.fake.float(), t).requires_grad_()
    with torch.autocast(between.device.type, enabled=False):  # second derivatives want fp32
        logits = turn.discriminator(between, turn.y)
        (gradient,) = torch.autograd.grad(logits.sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def rotate(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(square images [N, C, H, H], a quarter each turned by 0, 90, 180 and 270 degrees; quarter turns [N])."""
    quarters = [x[turns::4] for turns in range(4)]
    turned = torch.cat([torch.rot90(images, turns, (2, 3)) for turns, images in enumerate(quarters)])
    sizes = torch.tensor([len(images) for images in quarters], device=x.device)
    return turned, torch.arange(4, device=x.device).repeat_interleave(sizes)


def rotation(discriminator: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """-E log Q_D(R = r | x rotated by r) for images x [N, C, H, H] in [-1, 1] (Chen et al. 2019, Eq. 2-3)."""
    turned, turns = rotate(x)
    return F.cross_entropy(discriminator.rotations(turned).float(), turns)


def infomax(discriminator: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """InfoNCE between the discriminator's local and global features of x [N, C, H, W] in [-1, 1] (Lee et al. 2021)."""
    return info_nce(*discriminator.local_and_global(x))


def info_nce(local: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Tell an image's local features [N, P, K] from those of the others, given its global one [N, K]: a scalar.

    -E log (e^s / (e^s + sum of e^s over all positions of all other images)), s the inner product, averaged over
    images and positions, without a temperature (Lee et al. 2021, Sec. 3; the negatives of Deep InfoMax).
    """
    scores = torch.einsum("nk,mpk->nmp", whole.float(), local.float())
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    positive = scores[own]
    negative = scores.masked_fill(own[:, :, None], -torch.inf).flatten(1).logsumexp(1, keepdim=True)
    return (torch.logaddexp(positive, negative) - positive).mean()
