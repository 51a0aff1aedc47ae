"""A sample set against references: every metric from one feature pass, one result per sampling seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.metrics import frechet
from pagboost.metrics.features import Extractor, Features, extract
from pagboost.metrics.image_sets import ImageSet
from pagboost.metrics.kernel import SUBSETS
from pagboost.metrics.reference import Reference
from pagboost.metrics.scores import PLAIN, Options, evaluate, kid_size, reference_points


def evaluate_seeds(
    features: Features, seeds: np.ndarray, reference: Reference, where: str = "samples", options: Options = PLAIN
) -> dict[str, Any]:
    """Each sampling seed's images scored as a set of their own.

    {"protocol", "seeds": {seed: metrics}, "mean", "std"}, "intervals" and "fid_infinity_fit" by seed where asked for.
    seeds: int64 [N], the seed of each image. std is over seeds (ddof = 1), None with one seed; `where` names the
    images in errors. Raises InputError for seeds of unequal size, and for too few images per seed.
    """
    n = per_seed(seeds, reference.facts.k, options.splits, where)
    against = reference_points(reference, n)
    scores, names = {}, np.unique(seeds)
    for name in names:
        own = features if len(names) == 1 else features.subset(torch.from_numpy(np.flatnonzero(seeds == name)))
        scores[str(name)] = evaluate(own, reference, against, options)
    by_seed = {name: one.metrics for name, one in scores.items()}
    result = {"protocol": protocol(reference, n, options.splits), "seeds": by_seed, **spread(by_seed)}
    if options.resamplings:
        result["intervals"] = {name: one.intervals for name, one in scores.items()}
        result["protocol"]["resamplings"] = options.resamplings
    if options.fid_infinity:
        result["fid_infinity_fit"] = {name: one.fit for name, one in scores.items()}
    return result


def per_seed(seeds: np.ndarray, k: int, splits: int, where: str) -> int:
    """Images per sampling seed; InputError unless all seeds have as many, and enough for every metric."""
    names, counts = np.unique(seeds, return_counts=True)
    n, needed = int(counts[0]), max(k + 1, splits, 2)
    for name, count in zip(names, counts, strict=True):
        if count != n:
            raise InputError(
                f"{where}: seed {name} has {count} images and seed {names[0]} has {n}, expected as many for every seed "
                "(metrics depend on their number)"
            )
    if n < needed:
        raise InputError(f"{where}: {n} images per seed, expected at least {needed} (k + 1 and {splits} splits)")
    return n


def protocol(reference: Reference, n: int, splits: int) -> dict[str, Any]:
    """What has to be equal for two results to be comparable; n is the number of images per seed."""
    facts = reference.facts
    return {
        "extractor": facts.extractor,
        "extractor_sha256": facts.extractor_sha256,
        "input_size": facts.input_size,
        "resize": facts.resize,
        "reference": facts.split,
        "reference_n": len(reference),
        "statistics": facts.statistics,
        "n": n,
        "k": facts.k,
        "splits": splits,
        "kid_subsets": SUBSETS,
        "kid_size": kid_size(reference, n),
    }


def spread(by_seed: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """{"mean", "std"} of each metric over seeds: the sample standard deviation, None with one seed."""
    names = next(iter(by_seed.values()))
    values = {name: [metrics[name] for metrics in by_seed.values()] for name in names}
    return {
        "mean": {name: float(np.mean(one)) for name, one in values.items()},
        "std": {name: float(np.std(one, ddof=1)) if len(one) > 1 else None for name, one in values.items()},
    }


def evaluate_samples(
    samples: ImageSet,
    extractors: Sequence[Extractor],
    references: Mapping[str, Reference],
    batch_size: int,
    device: torch.device,
    first: Mapping[str, int] | None = None,
    options: Options = PLAIN,
) -> dict[str, dict[str, Any]]:
    """{label of a reference: evaluate_seeds(...)}, with one feature pass per extractor that a reference needs.

    `first`: {label: n} scores the first n images of each seed only under that label (FID depends on n).
    Raises InputError for a reference of an extractor that was not given, or of images of another shape, and where a
    seed has fewer images than asked for.
    """
    seeds = samples.seeds
    rows = {label: first_of_each_seed(seeds, count, label, samples.where) for label, count in (first or {}).items()}
    for label, reference in references.items():
        check_fits(samples, extractors, label, reference)
        per_seed(seeds[rows[label]] if label in rows else seeds, reference.facts.k, options.splits, samples.where)
    result = {}
    for extractor in extractors:
        own = {label: r for label, r in references.items() if made_with(r, extractor)}
        if own:
            features = extract(extractor, samples, batch_size, device)
            for label, reference in own.items():
                chosen = rows.get(label)
                part = features if chosen is None else features.subset(torch.from_numpy(chosen))
                of_part = seeds if chosen is None else seeds[chosen]
                result[label] = evaluate_seeds(part, of_part, reference, samples.where, options)
    return result


def made_with(reference: Reference, extractor: Extractor) -> bool:
    """Whether a reference shows images as this extractor sees them."""
    facts = reference.facts
    return (facts.extractor_sha256, facts.resize) == (extractor.sha256, extractor.resize)


def check_fits(samples: ImageSet, extractors: Sequence[Extractor], label: str, reference: Reference) -> None:
    """Raise InputError unless a reference is of one of the extractors, and of images of the samples' shape."""
    facts = reference.facts
    if not any(made_with(reference, extractor) for extractor in extractors):
        given = ", ".join(f"{e.name} ({e.sha256[:12]}, resize {e.resize})" for e in extractors)
        raise InputError(
            f"reference {label}: made with extractor {facts.extractor} (sha256 {facts.extractor_sha256[:12]}, "
            f"resize {facts.resize}), expected one of those given: {given}"
        )
    if facts.image_shape != samples.shape:
        raise InputError(
            f"{samples.where}: images [H, W, C] are {list(samples.shape)}, "
            f"expected {list(facts.image_shape)} as in reference {label}"
        )


def first_of_each_seed(seeds: np.ndarray, count: int, label: str, where: str) -> np.ndarray:
    """Rows of the first `count` images of each sampling seed, in file order; InputError where a seed has fewer."""
    rows = [np.flatnonzero(seeds == seed) for seed in np.unique(seeds)]
    for seed, own in zip(np.unique(seeds), rows, strict=True):
        if len(own) < count:
            raise InputError(f"{where}: seed {seed} has {len(own)} images, expected at least {count} ({label}'s n)")
    return np.sort(np.concatenate([own[:count] for own in rows]))


def fid_scorer(
    extractor: Extractor, reference: Reference, batch_size: int, device: torch.device
) -> Callable[[SampleSet], float]:
    """score(samples) -> FID of a whole sample set against one reference: what numbers of steps are chosen by."""

    def score(samples: SampleSet) -> float:
        features = extract(extractor, samples.images, batch_size, device)
        return frechet.distance(frechet.statistics(features.features), reference.gaussian)

    return score
