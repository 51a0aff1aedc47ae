"""Targeted attacks with a large radius: what a classifier's gradients draw (BIGRoC Sec. 2.3, Fig. 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pagboost import attacks, objectives
from pagboost.errors import InputError


@dataclass(frozen=True)
class Attacked:
    """images float32 [N, C, H, W] in [0, 1]; probability [N]: the attacked network's softmax of the target class;
    l2 [N]: the effective norm ||x_adv - x||_2 over a whole image, at most eps.
    """

    images: torch.Tensor
    probability: torch.Tensor
    l2: torch.Tensor


def targeted_attack(
    network: torch.nn.Module, x: torch.Tensor, targets: torch.Tensor, *, eps: float, steps: int
) -> Attacked:
    """BIGRoC Alg. 1 with Fig. 2's step alpha = eps / T: raise log p(target | x) inside ||delta||_2 <= eps.

    x float32 [N, C, H, W] in [0, 1], targets int64 [N]; eps is an L2 length over a whole image. The path is as long
    as the radius, so that only steps in one direction reach it. No randomness. Raises InputError for eps or steps out
    of range.
    """

    if not eps > 0:
        raise InputError(f"eps {eps}: expected a radius above 0")
    if steps < 1:
        raise InputError(f"steps {steps}: expected at least 1")

    def loss_fn(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return objectives.ce(network(x), y)

    with attacks.frozen(network):
        images = attacks.pgd(loss_fn, x, targets, eps=eps, alpha=eps / steps, steps=steps)
        with torch.no_grad():
            probability = objectives.target_logit(network(images).softmax(1), targets)
    return Attacked(images, probability, attacks.l2_norm(images - x))
