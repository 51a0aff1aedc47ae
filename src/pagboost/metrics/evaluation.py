"""A sample set against references: every metric from one feature pass, one result per sampling seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.metrics import frechet, published
from pagboost.metrics.features import Extractor, Features, extract
from pagboost.metrics.image_sets import ImageSet
from pagboost.metrics.kernel import SCALE, SIGMA, SUBSETS
from pagboost.metrics.reference import Reference
from pagboost.metrics.scores import PLAIN, Options, evaluate, kid_size, reference_points


def evaluate_seeds(
    features: Features, seeds: np.ndarray, reference: Reference, where: str = "samples", options: Options = PLAIN
) -> dict[str, Any]:
    """Each sampling seed's images scored as a set of their own.

    {"protocol", "seeds": {seed: metrics}, "mean", "std"}, "intervals", "draws" and "fid_infinity_fit" by seed where
    asked for,
    and "not_available", {metric: reason}, where the reference cannot give all metrics (they are None).
    seeds: int64 [N], the seed of each image. std is over seeds (ddof = 1), None with one seed; `where` names the
    images in errors. Raises InputError for seeds of unequal size, and for too few images per seed.
    """
    n = per_seed(seeds, reference.facts.k or 0, options.splits, where)
    against = reference_points(reference, n, options)
    scores, names = {}, np.unique(seeds)
    for name in names:
        own = features if len(names) == 1 else features.subset(torch.from_numpy(np.flatnonzero(seeds == name)))
        scores[str(name)] = evaluate(own, reference, against, options)
    by_seed = {name: one.metrics for name, one in scores.items()}
    result = {"protocol": protocol(reference, n, options), "seeds": by_seed, **spread(by_seed)}
    missing = published.not_available(reference, features, options.also)
    if missing:
        result["not_available"] = missing
    if options.resamplings:
        result["intervals"] = {name: one.intervals for name, one in scores.items()}
        result["draws"] = {name: one.draws for name, one in scores.items()}
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


def protocol(reference: Reference, n: int, options: Options) -> dict[str, Any]:
    """What has to be equal for two results to be comparable; n is the number of images per seed.

    distance: what `fid` is called, where it is the Fréchet distance of another network's features than Inception's.
    Of statistics alone, the number of their images, k and KID's subsets are None; "statistics" tells that the extractor
    is what the user stated.
    """
    facts, alone = reference.facts, reference.points is None
    besides = {"distance": facts.distance} if facts.distance else {}
    if options.of_pairs.k:
        besides["density_k"] = None if alone else options.density_k
    if options.of_pairs.cmmd:
        besides |= {"cmmd_sigma": SIGMA, "cmmd_scale": SCALE}
    return {
        "extractor": facts.extractor,
        "extractor_sha256": facts.extractor_sha256,
        "input_size": facts.input_size,
        "resize": facts.resize,
        "reference": facts.split,
        "reference_n": None if alone else len(reference),
        "statistics": facts.statistics,
        "n": n,
        "k": facts.k,
        "splits": options.splits,
        "kid_subsets": None if alone else SUBSETS,
        "kid_size": None if alone else kid_size(reference, n),
        **besides,
    }


def spread(by_seed: Mapping[str, Mapping[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """{"mean", "std"} of each metric over seeds: the sample standard deviation, None with one seed.

    Both are None of a metric that is not available.
    """
    names = next(iter(by_seed.values()))
    values = {name: [metrics[name] for metrics in by_seed.values()] for name in names}
    there = {name: None not in one for name, one in values.items()}
    return {
        "mean": {name: float(np.mean(one)) if there[name] else None for name, one in values.items()},
        "std": {
            name: float(np.std(one, ddof=1)) if there[name] and len(one) > 1 else None for name, one in values.items()
        },
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
    rows = checked(samples, extractors, references, first or {}, options)
    result = {}
    for extractor in extractors:
        if any(made_with(reference, extractor) for reference in references.values()):
            features = extract(extractor, samples, batch_size, device)
            result |= of_features(features, samples, extractor, references, rows, options)
    return result


def checked(
    samples: ImageSet,
    extractors: Sequence[Extractor],
    references: Mapping[str, Reference],
    first: Mapping[str, int],
    options: Options,
) -> dict[str, np.ndarray]:
    """{label: rows of the samples that are scored under it} where these are not all; raises as evaluate_samples does.

    Asked before any image is looked at.
    """
    seeds = samples.seeds
    rows = {label: first_of_each_seed(seeds, count, label, samples.where) for label, count in first.items()}
    for label, reference in references.items():
        check_fits(samples, extractors, label, reference)
        per_seed(seeds[rows[label]] if label in rows else seeds, reference.facts.k or 0, options.splits, samples.where)
    return rows


def of_features(
    features: Features,
    samples: ImageSet,
    extractor: Extractor,
    references: Mapping[str, Reference],
    rows: Mapping[str, np.ndarray],
    options: Options,
) -> dict[str, dict[str, Any]]:
    """{label: evaluate_seeds(...)} of the references that an extractor made; features are its, of all samples."""
    result = {}
    for label, reference in references.items():
        if made_with(reference, extractor):
            published.check_dims(reference, features.features, extractor, label)
            chosen = rows.get(label)
            part = features if chosen is None else features.subset(torch.from_numpy(chosen))
            seeds = samples.seeds if chosen is None else samples.seeds[chosen]
            result[label] = evaluate_seeds(part, seeds, reference, samples.where, options)
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
    if facts.image_shape not in (None, samples.shape):
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
