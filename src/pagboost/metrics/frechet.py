"""Fréchet distance between Gaussians fitted to features: FID (Heusel et al. 2017) for any extractor's features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch


@dataclass(frozen=True)
class Gaussian:
    """Mean mu [D] and covariance sigma [D, D], float64."""

    mu: torch.Tensor
    sigma: torch.Tensor

    @cached_property
    def root(self) -> torch.Tensor:
        """A with A A^T = sigma, [D, D]; sigma may be rank-deficient. Computed once, as references serve many sets."""
        eigenvalues, eigenvectors = torch.linalg.eigh(self.sigma)
        return eigenvectors * eigenvalues.clamp_min(0).sqrt()


def statistics(features: torch.Tensor) -> Gaussian:
    """Mean and unbiased covariance of features [N, D], N >= 2, in float64."""
    x = features.double()
    mu = x.mean(0)
    centred = x - mu
    return Gaussian(mu, centred.T @ centred / (len(x) - 1))


def distance(a: Gaussian, b: Gaussian) -> float:
    """|mu_a - mu_b|^2 + tr(S_a) + tr(S_b) - 2 tr (S_a S_b)^(1/2), squared units of the features; never negative.

    With S_b = A A^T, S_a S_b has the eigenvalues of the symmetric A^T S_a A, so that no general matrix square root,
    complex residue or added ridge is needed where fewer samples than dimensions leave S singular.
    """
    product = b.root.T @ a.sigma @ b.root
    trace_root = torch.linalg.eigvalsh(product).clamp_min(0).sqrt().sum()
    squared = (a.mu - b.mu).square().sum() + a.sigma.trace() + b.sigma.trace() - 2 * trace_root
    return float(squared.clamp_min(0))
