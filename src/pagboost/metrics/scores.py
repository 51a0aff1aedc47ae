"""One set of features against a reference: every metric, its bootstrap interval, and FID without its bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from pagboost import runtime
from pagboost.metrics import bootstrap, comparison, extrapolation, frechet, inception_score
from pagboost.metrics.comparison import Points
from pagboost.metrics.features import Features
from pagboost.metrics.frechet import Gaussian
from pagboost.metrics.kernel import SIZE
from pagboost.metrics.reference import ROLE, Reference

INFINITY = float("inf")
BOUNDS = {"precision": (0, 1), "recall": (0, 1), "kid": (-INFINITY, INFINITY), "inception_score": (1, INFINITY)}


@dataclass(frozen=True)
class Options:
    """What is computed beyond the metrics' own definitions.

    splits: parts of the inception score; resamplings: replicates of the bootstrap intervals, 0 for none, 40 at least;
    fid_infinity: whether FID is extrapolated, at the cost of 15 distances.
    """

    splits: int = inception_score.SPLITS
    resamplings: int = 0
    fid_infinity: bool = False


PLAIN = Options()


@dataclass(frozen=True)
class Scores:
    """Of one set: {name: value}, {name: [low, high]} and what FID at infinity was read off, where these were asked for.

    Rounded to 9 decimals: the rest is rounding noise, which would make equal runs differ with the number of threads.
    """

    metrics: dict[str, float]
    intervals: dict[str, list[float]]
    fit: dict[str, list[float]]


def evaluate(features: Features, reference: Reference, against: Points, options: Options) -> Scores:
    """Every metric of one set of features against a reference of the same extractor; `against` = reference_points.

    fid, inception_score and its deviation over splits, precision, recall, kid and its deviation over subsets; sfid
    where the extractor has spatial features; fid_infinity where it is asked for. fid is the Fréchet distance between
    that extractor's features, whichever it is: the protocol names it.
    Raises InputError for fewer samples than the reference's k + 1 or than splits.
    """
    n, count = len(features), options.resamplings
    size, subsets = kid_size(reference, n), against.members.shape[1]
    own = comparison.points(
        features.features, "generated", k=reference.facts.k, subsets=subsets, size=size, replicates=count
    )
    pairs = comparison.compare(own, against)
    parts = inception_score.split_scores(features.logits, options.splits)
    metrics = {
        "inception_score": float(parts.mean()),
        "inception_score_std": float(parts.std(correction=0)),
        "precision": pairs.precision,
        "recall": pairs.recall,
        "kid": pairs.kid,
        "kid_std": pairs.kid_std,
    }
    replicates = dict(pairs.replicates)
    draws = bootstrap.resamplings(n, count) if count else None
    if count:
        replicates["inception_score"] = inception_score.replicates(features.logits, draws, options.splits)
    for name, seen, fitted in (
        ("fid", features.features, reference.gaussian),
        ("sfid", features.spatial, reference.spatial),
    ):
        if seen is not None and fitted is not None:
            metrics[name] = frechet.distance(frechet.statistics(seen), fitted)
            if count:
                replicates[name] = _distances(seen, fitted, draws, f"interval of {name}")
    fit = {}
    if options.fid_infinity:
        progress = partial(runtime.progress, label="fid at infinity")
        found = extrapolation.extrapolate(features.features, reference.gaussian, progress=progress)
        metrics["fid_infinity"], fit = found.infinity, {"sizes": found.sizes, "values": _rounded(found.values)}
    intervals = {
        name: _rounded(bootstrap.interval(metrics[name], drawn, bounds=BOUNDS.get(name, (0, INFINITY))))
        for name, drawn in replicates.items()
    }
    return Scores({name: round(value, 9) for name, value in metrics.items()}, intervals, fit)


def _distances(features: torch.Tensor, reference: Gaussian, draws: torch.Tensor, label: str) -> torch.Tensor:
    """frechet.replicates with a progress bar."""
    rows = runtime.progress(draws.split(1), label, len(draws))
    return torch.cat([frechet.replicates(features, reference, row) for row in rows])


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 9) for value in values]


def kid_size(reference: Reference, n: int) -> int:
    """How many samples each of KID's subsets holds: 1,000, or all where there are fewer."""
    return min(SIZE, n, len(reference))


def reference_points(reference: Reference, n: int) -> Points:
    """What sets of n samples are compared with."""
    return comparison.resized(reference.points, ROLE, kid_size(reference, n))
