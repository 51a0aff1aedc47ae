"""Losses on logits f(x) [N, C] for labels y [N]; each returns loss [N] and is always minimised.

Golan et al. 2024, Sec. 3.1-3.2, signs as stated in docs/deviations.md: a real image of class c has a high f_c.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from pagboost.errors import InputError
from pagboost.options.boosts import OBJECTIVES, REFERENCED
from pagboost.options.kinds import named

Objective = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def target_logit(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """f_c(x) [N]: the logit of each sample's own class."""
    return logits.gather(1, y[:, None]).squeeze(1)


def ce(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross entropy -log softmax(f)_c: BIGRoC's objective, Golan Eq. 9."""
    return F.cross_entropy(logits, y, reduction="none")


def bce_real(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """-log sigma(f_c): the loss of an image labelled real (Golan Eq. 7); minimising it raises realness."""
    return F.softplus(-target_logit(logits, y))


def bce_generated(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """-log(1 - sigma(f_c)): the loss of an image labelled generated (Golan Eq. 7); it grows with realness."""
    return F.softplus(target_logit(logits, y))


def ce_minus_bce(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Golan Eq. 11: cross entropy minus the loss of a generated image, which should grow."""
    return ce(logits, y) - bce_generated(logits, y)


def ce_bce_ref(l0: float) -> Objective:
    """Golan Eq. 12 towards Eq. 13's reference: CE + (softplus(f_c) - l0)^2 / 2.

    The printed sign of the square would push away from l0; the text says towards it (docs/deviations.md).
    """

    def objective(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return ce(logits, y) + 0.5 * (bce_generated(logits, y) - l0) ** 2

    return objective


def logit(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """-f_c: what SGLD descends, that is, it raises the logit (Golan Alg. 3, sign as in docs/deviations.md)."""
    return -target_logit(logits, y)


def none(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Zero, and so is its gradient: what a walk with noise does without a direction."""
    return 0 * target_logit(logits, y)


def objective(name: str, l0: float | None = None) -> Objective:
    """The objective of a name in options.boosts.OBJECTIVES.

    l0: what a joint model's weights carry. Raises InputError for `ce_bce_ref` without it.
    """
    found = named(OBJECTIVES[name])
    if name != REFERENCED:
        return found
    if l0 is None:
        raise InputError(f"objective {name}: the guide's weights carry no l0, expected those of a joint model")
    return found(l0)
