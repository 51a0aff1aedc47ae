"""One set of features against a reference: every metric, its bootstrap interval, and FID without its bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from pagboost import runtime
from pagboost.metrics import bootstrap, comparison, density, extrapolation, frechet, inception_score, published
from pagboost.metrics.comparison import Also, Points
from pagboost.metrics.features import Features
from pagboost.metrics.frechet import Gaussian
from pagboost.metrics.kernel import SIZE
from pagboost.metrics.reference import ROLE, Reference

INFINITY = float("inf")
BOUNDS = {"precision": (0, 1), "recall": (0, 1), "coverage": (0, 1)}  # of the others: 0 and infinity
BOUNDS |= {"kid": (-INFINITY, INFINITY), "inception_score": (1, INFINITY)}


@dataclass(frozen=True)
class Options:
    """What is computed beyond the metrics' own definitions.

    splits: parts of the inception score; resamplings: replicates of the bootstrap intervals, 0 for none, 40 at least;
    fid_infinity: whether FID is extrapolated, at the cost of 15 distances; also: names of flags.ALSO that are asked
    for, with density's and coverage's k.
    """

    splits: int = inception_score.SPLITS
    resamplings: int = 0
    fid_infinity: bool = False
    also: tuple[str, ...] = ()
    density_k: int = density.K

    @property
    def of_pairs(self) -> Also:
        """What `also` asks of pairs of points."""
        balls = {"density", "coverage"} & {*self.also}
        return Also(self.density_k if balls else None, "cmmd" in self.also)


PLAIN = Options()


@dataclass(frozen=True)
class Scores:
    """Of one set: {name: value}, {name: [low, high]} and what FID at infinity was read off, where these were asked for.

    draws: {name: the metric under each resampling}, which intervals are made of. The r-th resamplings of two sets of
    equal size are of the same images: a difference of two sets has an interval too.

    A value is None where the reference cannot give it. Rounded to 9 decimals: the rest is rounding noise, which would
    make equal runs differ with the number of threads.
    """

    metrics: dict[str, float | None]
    intervals: dict[str, list[float]]
    fit: dict[str, list[float]]
    draws: dict[str, list[float]]


def evaluate(features: Features, reference: Reference, against: Points | None, options: Options) -> Scores:
    """Every metric of one set of features against a reference of the same extractor; `against` = reference_points.

    fid, inception_score and its deviation over splits, precision, recall, kid and its deviation over subsets; sfid
    where the extractor has spatial features; fid_infinity and those of options.also where they are asked for. fid is
    the Fréchet distance between that extractor's features, whichever it is: the protocol names it. What
    published.not_available names is None.
    Raises InputError for fewer samples than the reference's k + 1 or than splits.
    """
    n, count = len(features), options.resamplings
    metrics: dict[str, float | None] = {}
    if features.logits is not None:
        parts = inception_score.split_scores(features.logits, options.splits)
        metrics |= {"inception_score": float(parts.mean()), "inception_score_std": float(parts.std(correction=0))}
    metrics |= dict.fromkeys(published.not_available(reference, features, options.also))
    replicates = {}
    if against is not None:
        own = comparison.points(
            features.features,
            "generated",
            k=reference.facts.k,
            subsets=against.members.shape[1],
            size=kid_size(reference, n),
            replicates=count,
            also=Also(cmmd=options.of_pairs.cmmd),
        )
        pairs = comparison.compare(own, against, also=options.of_pairs)
        metrics |= {name: getattr(pairs, name) for name in ("precision", "recall", "kid", "kid_std")}
        metrics |= {name: pairs.also[name] for name in options.also}
        replicates |= {name: drawn for name, drawn in pairs.replicates.items() if name in metrics}
    draws = bootstrap.resamplings(n, count) if count else None
    if count and features.logits is not None:
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
    rounded = {name: None if value is None else round(value, 9) for name, value in metrics.items()}
    return Scores(rounded, intervals, fit, {name: _rounded(drawn.tolist()) for name, drawn in replicates.items()})


def _distances(features: torch.Tensor, reference: Gaussian, draws: torch.Tensor, label: str) -> torch.Tensor:
    """frechet.replicates with a progress bar."""
    rows = runtime.progress(draws.split(1), label, len(draws))
    return torch.cat([frechet.replicates(features, reference, row) for row in rows])


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 9) for value in values]


def kid_size(reference: Reference, n: int) -> int:
    """How many samples each of KID's subsets holds: 1,000, or all where there are fewer."""
    return min(SIZE, n, len(reference))


def reference_points(reference: Reference, n: int, options: Options = PLAIN) -> Points | None:
    """What sets of n samples are compared with; None where the reference is statistics alone."""
    if reference.points is None:
        return None
    resized = comparison.resized(reference.points, ROLE, kid_size(reference, n))
    return comparison.completed(resized, options.of_pairs)
