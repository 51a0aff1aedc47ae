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
from pagboost.metrics.inception_score import SPLITS, inception_score
from pagboost.metrics.precision_recall import precision_recall
from pagboost.metrics.reference import Reference


def evaluate(features: Features, reference: Reference, splits: int = SPLITS) -> dict[str, float]:
    """fid, inception_score, precision and recall of one set of features against a reference of the same extractor.

    fid is the Fréchet distance between that extractor's features, whichever it is: the protocol names it. Rounded to
    9 decimals: the rest is rounding noise, which would make equal runs differ with the number of threads.
    Raises InputError for fewer samples than the reference's k + 1 or than `splits`.
    """
    precision, recall = precision_recall(features.features, reference.features, reference.radii, reference.facts.k)
    metrics = {
        "fid": frechet.distance(frechet.statistics(features.features), reference.gaussian),
        "inception_score": inception_score(features.logits, splits),
        "precision": precision,
        "recall": recall,
    }
    return {name: round(value, 9) for name, value in metrics.items()}


def evaluate_seeds(
    features: Features, seeds: np.ndarray, reference: Reference, where: str = "samples", splits: int = SPLITS
) -> dict[str, Any]:
    """{"protocol", "seeds": {seed: metrics}, "mean", "std"}: each sampling seed's images scored as a set of their own.

    seeds: int64 [N], the seed of each image. std is over seeds (ddof = 1), None with one seed; `where` names the
    images in errors. Raises InputError for seeds of unequal size, and for too few images per seed.
    """
    names, counts = np.unique(seeds, return_counts=True)
    n, needed = int(counts[0]), max(reference.facts.k + 1, splits)
    for name, count in zip(names, counts, strict=True):
        if count != n:
            raise InputError(
                f"{where}: seed {name} has {count} images and seed {names[0]} has {n}, expected as many for every seed "
                "(metrics depend on their number)"
            )
    if n < needed:
        raise InputError(f"{where}: {n} images per seed, expected at least {needed} (k + 1 and {splits} splits)")
    by_seed = {
        str(name): evaluate(features.subset(torch.from_numpy(np.flatnonzero(seeds == name))), reference, splits)
        for name in names
    }
    return {"protocol": protocol(reference, n, splits), "seeds": by_seed, **spread(by_seed)}


def protocol(reference: Reference, n: int, splits: int = SPLITS) -> dict[str, Any]:
    """What has to be equal for two results to be comparable; n is the number of images per seed."""
    facts = reference.facts
    return {
        "extractor": facts.extractor,
        "extractor_sha256": facts.extractor_sha256,
        "input_size": facts.input_size,
        "reference": facts.split,
        "reference_n": len(reference),
        "n": n,
        "k": facts.k,
        "splits": splits,
    }


def spread(by_seed: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """{"mean", "std"} of each metric over seeds: the sample standard deviation, None with one seed."""
    names = next(iter(by_seed.values()))
    values = {name: [metrics[name] for metrics in by_seed.values()] for name in names}
    return {
        "mean": {name: float(np.mean(value)) for name, value in values.items()},
        "std": {name: float(np.std(value, ddof=1)) if len(value) > 1 else None for name, value in values.items()},
    }


def evaluate_samples(
    samples: SampleSet,
    extractors: Sequence[Extractor],
    references: Mapping[str, Reference],
    batch_size: int,
    device: torch.device,
    where: str = "samples",
    first: Mapping[str, int] | None = None,
) -> dict[str, dict[str, Any]]:
    """{label of a reference: evaluate_seeds(...)}, with one feature pass per extractor that a reference needs.

    `first`: {label: n} scores the first n images of each seed only under that label (FID depends on n).
    Raises InputError for a reference of an extractor that was not given, or of images of another shape, and where a
    seed has fewer images than asked for.
    """
    shape = samples.images.shape[1:]
    given = {extractor.sha256: extractor.name for extractor in extractors}
    for label, reference in references.items():
        facts = reference.facts
        if facts.extractor_sha256 not in given:
            raise InputError(
                f"reference {label}: made with extractor {facts.extractor} (sha256 {facts.extractor_sha256[:12]}), "
                f"expected one of those given: {', '.join(f'{name} ({sha[:12]})' for sha, name in given.items())}"
            )
        if facts.image_shape != shape:
            raise InputError(
                f"{where}: images [H, W, C] are {list(shape)}, "
                f"expected {list(facts.image_shape)} as in reference {label}"
            )
    seeds, _ = samples.streams()
    rows = {label: first_of_each_seed(seeds, count, label, where) for label, count in (first or {}).items()}
    every = np.arange(len(seeds))
    result = {}
    for extractor in extractors:
        own = {label: r for label, r in references.items() if r.facts.extractor_sha256 == extractor.sha256}
        if own:
            features = extract(extractor, samples.images, batch_size, device, where)
            for label, reference in own.items():
                chosen = rows.get(label, every)
                part = features.subset(torch.from_numpy(chosen))
                result[label] = evaluate_seeds(part, seeds[chosen], reference, where)
    return result


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
