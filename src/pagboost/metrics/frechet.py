"""Fréchet distance between Gaussians fitted to features: FID (Heusel et al. 2017) for any extractor's features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

ROWS = 512  # features in float64 at a time
PANEL = 512  # columns of a covariance at a time: what lies below the diagonal is copied, not computed


@dataclass(frozen=True)
class Gaussian:
    """Mean mu [D] and covariance sigma [D, D], float64, as given, or of `thin` [D, N], a root of it that is known.

    Of a root alone sigma is made when it is asked for: it is much larger, and distances do without.
    """

    mu: torch.Tensor
    given: torch.Tensor | None = None
    thin: torch.Tensor | None = None

    @cached_property
    def sigma(self) -> torch.Tensor:
        """The covariance."""
        return self.thin @ self.thin.T if self.given is None else self.given

    @cached_property
    def trace(self) -> torch.Tensor:
        """The sum of the variances."""
        return self.given.trace() if self.thin is None else self.thin.square().sum()

    @cached_property
    def root(self) -> torch.Tensor:
        """root_of(self), computed once, as references serve many sets."""
        return root_of(self)


def root_of(gaussian: Gaussian) -> torch.Tensor:
    """A [D, R] with A A^T = sigma, R its numerical rank.

    Directions that carry only rounding noise are left out: the square root in the distance would raise their 1e-16
    to 1e-8 each.
    """
    if gaussian.thin is not None:
        return gaussian.thin
    noise = len(gaussian.mu) * torch.finfo(torch.float64).eps
    factor, failed = torch.linalg.cholesky_ex(gaussian.sigma)
    if not failed and factor.diagonal().amin().square() > noise * gaussian.sigma.diagonal().amax():
        return factor
    eigenvalues, eigenvectors = torch.linalg.eigh(gaussian.sigma)
    kept = eigenvalues > noise * eigenvalues.amax()
    return eigenvectors[:, kept] * eigenvalues[kept].sqrt()


def statistics(features: torch.Tensor, counts: torch.Tensor | None = None) -> Gaussian:
    """Mean and unbiased covariance of features [N, D], N >= 2, in float64; row i counts counts[i] times, else once."""
    if counts is not None:
        counts = counts.to(features.device)
        features, counts = features[counts > 0], counts[counts > 0].double()
    else:
        counts = torch.ones(len(features), dtype=torch.float64, device=features.device)
    n, dims = counts.sum(), features.shape[1]
    parts = list(zip(features.split(ROWS), counts.split(ROWS), strict=True))
    # one place for all parts in turn: those of their own left holes in memory that added up to the features' size
    place = torch.empty(min(ROWS, len(features)), dims, dtype=torch.float64, device=features.device)

    def double(rows: torch.Tensor) -> torch.Tensor:
        return place[: len(rows)].copy_(rows)

    mu = torch.stack([weight @ double(rows) for rows, weight in parts]).sum(0) / n
    scaled = (double(rows).sub_(mu).mul_((weight / (n - 1)).sqrt()[:, None]) for rows, weight in parts)
    if len(features) <= dims:
        thin = torch.cat([rows.clone() for rows in scaled]).T
        return Gaussian(mu, thin=thin)
    sigma = torch.zeros(dims, dims, dtype=torch.float64, device=features.device)
    panels = [slice(start, min(start + PANEL, dims)) for start in range(0, dims, PANEL)]
    for rows in scaled:
        for panel in panels:
            sigma[: panel.stop, panel].addmm_(rows[:, : panel.stop].T, rows[:, panel])
    for panel in panels:
        sigma[panel, : panel.start] = sigma[: panel.start, panel].T
    return Gaussian(mu, sigma)


def distance(a: Gaussian, b: Gaussian) -> float:
    """|mu_a - mu_b|^2 + tr(S_a) + tr(S_b) - 2 tr (S_a S_b)^(1/2), squared units of the features; never negative.

    With S_a = A A^T and S_b = B B^T, S_a S_b has the non-zero eigenvalues of M M^T and M^T M, M = A^T B: a symmetric
    eigenproblem as large as the smaller rank, so that no general matrix square root, complex residue or added ridge
    is needed where fewer samples than dimensions leave S singular. b, the reference, keeps its root.
    """
    squared = (a.mu - b.mu).square().sum() + a.trace + b.trace
    own = root_of(a)
    del a  # each is as large as D x D: what the caller does not keep is freed before the next one is made
    reference = b.root
    del b
    product = own.T @ reference
    del own, reference
    gram = product @ product.T if product.shape[0] <= product.shape[1] else product.T @ product
    del product
    squared -= 2 * torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().sum()
    return float(squared.clamp_min(0))


def replicates(features: torch.Tensor, reference: Gaussian, counts: torch.Tensor) -> torch.Tensor:
    """Distance [R] of R resamplings of features [N, D] to a reference, counts [R, N] times each row.

    Each costs a weighted covariance and an eigenproblem, about as much as the distance itself.
    """
    return torch.tensor([distance(statistics(features, row), reference) for row in counts], dtype=torch.float64)
