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
    return float(split_scores(logits, splits).mean())


def split_scores(logits: torch.Tensor, splits: int = SPLITS) -> torch.Tensor:
    """The score of each part [splits], float64; their standard deviation (ddof = 0) is what papers print after ±."""
    return _scores(logits, splits, torch.ones(1, len(logits)))[:, 0]


def replicates(logits: torch.Tensor, counts: torch.Tensor, splits: int = SPLITS) -> torch.Tensor:
    """inception_score [R] of R resamplings of logits [N, K], counts [R, N] times each row; parts stay as they are.

    Costs one matrix product [R, N] x [N, K].
    """
    return _scores(logits, splits, counts).nanmean(0)


def _scores(logits: torch.Tensor, splits: int, counts: torch.Tensor) -> torch.Tensor:
    """[splits, R]: each part's score under each weighting; NaN for a part that a weighting leaves empty."""
    if len(logits) < splits:
        raise InputError(f"inception score: {len(logits)} samples, expected at least one for each of {splits} splits")
    order = torch.randperm(len(logits), generator=rng.generator("inception score"))
    parts = order.to(logits.device).tensor_split(splits)
    return torch.stack([_score(logits[part], counts.to(logits.device)[:, part].double()) for part in parts])


def _score(logits: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """exp E_x KL(p(y|x) || p(y)) [R] of one part, logits [n, K], under weights [R, n]."""
    log_p = logits.double().log_softmax(1)
    p = log_p.exp()
    weights = weights / weights.sum(1, keepdim=True)
    marginal = weights @ p
    # xlogy: a class that no image has contributes 0, not 0 * log 0
    entropy_gap = weights @ (p * log_p).sum(1) - torch.special.xlogy(marginal, marginal).sum(1)
    return entropy_gap.exp()
