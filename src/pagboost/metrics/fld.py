"""FLD, the feature likelihood divergence (Jiralerspong et al. 2023): how likely images are if samples are all there is.

A Gaussian around each of m samples makes a density of features x [D], normalised by test images' mean and deviation:

    p(x) = 1/m sum_j N(x | x_j, s_j^2 I)
    s maximises the mean over training images x_i of log(p(x_i) + L(x_i)),  L(x) = N(0.9 (x - mean) | 0, s_0^2 I)
    FLD(images) = 100 (mean of -log p(images) - C) / D,  C that of a perfect generator: half of the training images
    gap = FLD(train) - FLD(test), in which C cancels

s_j falls to nothing around a sample that copies a training image, which is then likely and test images are not: the gap
is below 0. L, fitted too, keeps training images that no sample is near to from widening everything. How s is found is
the authors' (marcojira/fld): Adam from each sample's nearest training image on, a few dozen passes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from pagboost import rng
from pagboost.metrics.pairwise import TILE, Pairs

SAMPLES = 10_000  # at most: the authors' standard
BATCH, PASSES, LR = 10_000, 50, 0.5  # of the fit
STEADY, LOOKED_BACK, FIRST_PASSES = 5e-4, 5, 6  # it ends where the last losses differ by less, not among the first
NEAREST = 1e-3  # squared: keeps s of a copy above 0
SHRUNK = 0.9  # of L
CLAMP = 40.0  # of log s^2
NEAR = 30  # times the error bound, which is far above most errors: closer pairs are looked at in float64
COPIES = -1000  # a gap below it is of copies: rounding decides how far below
KEPT = 1 << 29  # distances that a fit holds in memory; more are computed in each pass

log = logging.getLogger(__name__)

Normalised = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Mixture:
    """Centres [M, D] and the logarithms [M] of their Gaussians' variances."""

    centres: torch.Tensor
    log_variances: torch.Tensor


def divergences(samples: torch.Tensor, train: torch.Tensor, test: torch.Tensor, baseline: float) -> dict[str, float]:
    """fld_train, fld_test and fld_gap of features [N, D] of samples; baseline: C, see `perfect`.

    Of more than SAMPLES a seeded part is taken.
    """
    normalised = normaliser(test)
    fitted = fit(normalised(some(samples, "samples")), normalised(train))
    own, new = (nll(fitted, normalised(images)) for images in (train, test))
    if 100 * (own - new) < COPIES:
        log.warning("FLD: a gap of %.3g, samples copy training images; how far below says nothing", 100 * (own - new))
    return {"fld_train": 100 * (own - baseline), "fld_test": 100 * (new - baseline), "fld_gap": 100 * (own - new)}


def perfect(train: torch.Tensor, test: torch.Tensor, n: int) -> float:
    """C of n samples: -log p per dimension of test images around a seeded half of the training images, n at most.

    Fitted to the other half, it is what samples of the training images' own distribution would have.
    """
    normalised = normaliser(test)
    shuffled = train[torch.randperm(len(train), generator=rng.generator("fld", "halves", len(train))).to(train.device)]
    size = min(n, SAMPLES, len(train) // 2)
    return nll(fit(normalised(shuffled[:size]), normalised(shuffled[size:])), normalised(test))


def normaliser(test: torch.Tensor) -> Normalised:
    """features -> (features - mean) / deviation of the test images'; those that are constant there are not scaled."""
    mean, deviation = test.mean(0), test.std(0)
    scale = torch.where(deviation > 0, deviation, 1)
    return lambda features: (features - mean) / scale


def some(features: torch.Tensor, role: str) -> torch.Tensor:
    """Seeded SAMPLES of features [N, D], all where there are no more."""
    if len(features) <= SAMPLES:
        return features
    draws = rng.generator("fld", role, len(features))
    return features[torch.randperm(len(features), generator=draws)[:SAMPLES].to(features.device)]


def nll(mixture: Mixture, x: torch.Tensor) -> float:
    """Mean over x [N, D] of -log p(x), per dimension."""
    total, dims = 0.0, x.shape[1]
    for rows in _tiles(len(x), len(mixture.centres)):
        lls = _log_normal(_squared(x[rows], mixture.centres), mixture.log_variances, dims)
        total -= float(lls.logsumexp(1).double().sum())
    return (total / len(x) + math.log(len(mixture.centres))) / dims


def fit(centres: torch.Tensor, x: torch.Tensor) -> Mixture:
    """The mixture around centres [M, D] whose variances make images x [N, D] likely; seeded batches."""
    order = torch.randperm(len(x), generator=rng.generator("fld", "batches", len(x))).to(x.device)
    x, mean, dims = x[order], x.mean(0), x.shape[1]
    kept = None
    if len(x) * len(centres) <= KEPT:
        kept = torch.cat([_squared(x[rows], centres) for rows in _tiles(len(x), len(centres))])

    def squared(rows: slice) -> torch.Tensor:
        return _squared(x[rows], centres) if kept is None else kept[rows]

    nearest = torch.full_like(centres[:, 0], math.inf)
    for rows in _tiles(len(x), len(centres)):
        nearest = torch.minimum(nearest, squared(rows).amin(0))
    variances = ((nearest + NEAREST) / dims).log()
    around = variances.new_zeros(())  # log s_0^2
    away = SHRUNK**2 * (x - mean).square().sum(1)
    steps = torch.optim.Adam([variances, around], lr=LR)
    losses: list[float] = []
    for _ in range(PASSES):
        batch_losses = []
        for start in range(0, len(x), BATCH):
            rows = slice(start, min(start + BATCH, len(x)))
            loss, variances.grad, around.grad = _gradient(squared, rows, away, variances, around, dims)
            steps.step()
            variances.clamp_(-CLAMP, CLAMP)
            batch_losses.append(loss)
        losses.append(sum(batch_losses) / len(batch_losses))
        last = losses[-LOOKED_BACK:]
        if len(losses) > FIRST_PASSES and max(abs(losses[-1] - loss) for loss in last) < STEADY:
            break
    return Mixture(centres, variances)


def _gradient(
    squared: Callable[[slice], torch.Tensor],
    rows: slice,
    away: torch.Tensor,
    variances: torch.Tensor,
    around: torch.Tensor,
    dims: int,
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """The loss -log(p + L) of a batch, mean per dimension, and its gradients by log s^2 [M] and log s_0^2."""
    n, m = rows.stop - rows.start, len(variances)
    total, by_variance, by_around = 0.0, variances.new_zeros(m, dtype=torch.float64), 0.0
    for part in _tiles(n, m, rows.start):
        distances = squared(part)
        lls = _log_normal(distances, variances, dims).sub_(math.log(m))
        base = _log_normal(away[part], around, dims)
        whole = torch.logaddexp(lls.logsumexp(1), base)
        total -= float(whole.double().sum())
        shares = lls.sub_(whole[:, None]).exp_()  # of an image's likelihood, each Gaussian's
        by_variance -= shares.mul_(distances / (2 * variances.exp()) - dims / 2).double().sum(0)
        by_around -= float(((base - whole).exp() * (away[part] / (2 * around.exp()) - dims / 2)).double().sum())
    scale = 1 / (n * dims)
    return total * scale, (by_variance * scale).to(variances.dtype), around.new_tensor(by_around * scale)


def _log_normal(squared: torch.Tensor, log_variances: torch.Tensor, dims: int) -> torch.Tensor:
    """log N at squared distances from the centre."""
    return squared / (-2 * log_variances.exp()) - dims / 2 * (log_variances + math.log(2 * math.pi))


def _squared(x: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Squared distances [N, M]; those of copies and near copies from differences in float64."""
    pairs = Pairs(x, centres)
    collected = _Collected(pairs)
    pairs.visit(collected)
    return collected.result


class _Collected:
    """Consumer: all squared distances."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.result = torch.empty(len(pairs.a), len(pairs.b), dtype=pairs.dtype, device=pairs.a.device)

    def take(self, rows: slice, columns: slice, product: torch.Tensor) -> None:
        squared = self.pairs.squared(rows, columns, product)
        i, j = (squared < NEAR * self.pairs.error(rows, columns)).nonzero(as_tuple=True)
        squared[i, j] = self.pairs.exact(i + rows.start, j + columns.start).square_().to(squared.dtype)
        self.result[rows, columns] = squared


def _tiles(n: int, m: int, start: int = 0) -> list[slice]:
    """Rows `start` to start + n in parts of at most TILE pairs with m others."""
    size = max(1, TILE // m)
    return [slice(start + i, min(start + i + size, start + n)) for i in range(0, n, size)]
