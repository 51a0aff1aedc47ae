"""Classifier guidance of a diffusion sampler (Dhariwal & Nichol 2021; with a robust classifier: Kawar et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pagboost import rng
from pagboost.attacks import Repeated, frozen, gradient
from pagboost.errors import InputError
from pagboost.generators.diffusion import ddpm
from pagboost.objectives import ce
from pagboost.options.samplers import Guided

# (x_t [N, C, H, W], times [N]) -> log p(condition | x_t, t) [N]
LogProbability = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def class_log_probability(classifier: torch.nn.Module, y: torch.Tensor) -> LogProbability:
    """log p(y | x_t, t) [N] of a time-dependent classifier(x_t, times) -> logits, for labels y [N]."""
    return lambda x_t, times: -ce(classifier(x_t, times).float(), y)


def classes_log_probability(classifier: torch.nn.Module, labels: torch.Tensor, weights: torch.Tensor) -> LogProbability:
    """sum_j w_j log p(y_j | x_t, t) [N] for labels int64 [N, M] and weights [M] or [N, M]: several in one image.

    Classifier guidance allows these where classes do not exclude each other (Kawar Sec. 6); one pass serves them all.
    Raises InputError for weights that do not fit the labels.
    """
    if labels.dim() != 2 or weights.shape not in (labels.shape, labels.shape[1:]):
        raise InputError(
            f"weights: {list(weights.shape)} for labels {list(labels.shape)}, expected [M] or [N, M] for labels [N, M]"
        )

    def log_probability(x_t: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        log_p = classifier(x_t, times).float().log_softmax(1)
        return (weights * log_p.gather(1, labels)).sum(1)

    return log_probability


def guide(log_probability: LogProbability, scale: float) -> ddpm.Guide | None:
    """scale * grad_{x_t} log p(condition | x_t, t): what `ddpm.ancestral` multiplies by the variance and adds.

    x_t is in the [-1, 1] scale, not clipped. Each sample's gradient is its own, whatever the batch. Scale 0 is None,
    no guide: the classifier is not asked.
    """
    if not scale:
        return None
    repeated = Repeated(log_probability)
    return lambda x_t, times: scale * gradient(repeated, x_t, times)[0]


def classifier_guidance(
    classifier: torch.nn.Module, y: torch.Tensor, scale: float, weights: torch.Tensor | None = None
) -> ddpm.Guide | None:
    """The guide towards classes y [N]; scale 1 is the plain Bayes rule, more sharpens p(y | x_t) (s in Kawar).

    With weights, y [N, M] are several classes for each image, see `classes_log_probability`.
    """
    if weights is None:
        return guide(class_log_probability(classifier, y), scale)
    return guide(classes_log_probability(classifier, y, weights), scale)


def sample_guided(
    network: torch.nn.Module,
    y: torch.Tensor,
    streams: rng.SampleStreams,
    shape: tuple[int, int, int],
    options: Guided,
    classifier: torch.nn.Module,
) -> torch.Tensor:
    """Images [N, *shape] in [0, 1] of classes y: `ddpm.sample_ddpm` guided by a classifier of the same schedule.

    class_offsets: guide towards several classes in one image, y + each offset (mod the number of classes), each with
    the weight 1; unless given, towards y alone. The diffusion network is asked for y.
    Raises InputError for a number of steps out of range.
    """
    if options.class_offsets is None:
        towards = classifier_guidance(classifier, y, options.scale)
    else:
        offsets = torch.tensor(options.class_offsets, device=y.device)
        labels = (y[:, None] + offsets) % classifier.num_classes
        towards = classifier_guidance(classifier, labels, options.scale, torch.ones(len(offsets), device=y.device))
    with frozen(classifier):
        return ddpm.sample_ddpm(network, y, streams, shape, options, towards)
