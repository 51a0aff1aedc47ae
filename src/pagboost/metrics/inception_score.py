"""Inception score (Salimans et al. 2016) from logits."""

from __future__ import annotations

import torch

from pagboost import rng
from pagboost.errors import InputError

SPLITS = 10  # the field's constant


def inception_score(logits: torch.Tensor, splits: int = SPLITS) -> float:
    """Mean over `splits` parts of exp E_x KL(p(y|x) || p(y)), logits [N, K], in float64; between 1 and K.

    A fixed shuffle comes first: a part of a class-sorted set would hold one class and score 1.
    Raises InputError for fewer samples than parts.
    """
    if len(logits) < splits:
        raise InputError(f"inception score: {len(logits)} samples, expected at least one for each of {splits} splits")
    order = torch.randperm(len(logits), generator=rng.generator("inception score"))
    log_p = logits.double().log_softmax(1)[order.to(logits.device)]
    return float(torch.stack([_score(part) for part in log_p.tensor_split(splits)]).mean())


def _score(log_p: torch.Tensor) -> torch.Tensor:
    """exp E_x KL(p(y|x) || p(y)) of one part, log_p [n, K]."""
    p = log_p.exp()
    marginal = p.mean(0)
    # xlogy: a class that no image has contributes 0, not 0 * log 0
    entropy_gap = (p * log_p).sum(1).mean() - torch.special.xlogy(marginal, marginal).sum()
    return entropy_gap.exp()
