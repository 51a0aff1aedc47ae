"""One call: several sample sets against references that are seen once, and whatever else is asked of each set."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.metrics import evaluation, memorisation, per_class, references, saved_features
from pagboost.metrics.class_labels import Labels
from pagboost.metrics.evaluation import made_with
from pagboost.metrics.features import Extractor, load_extractor
from pagboost.metrics.image_sets import ImageSet, in_channels, open_images
from pagboost.metrics.memorisation import Pair
from pagboost.metrics.public import PUBLIC
from pagboost.metrics.reference import Reference
from pagboost.metrics.references import Source
from pagboost.metrics.saved_features import SavedFeatures
from pagboost.metrics.scores import PLAIN, Options

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """What is computed of every set besides the metrics.

    first: {label: n}; memorisation: pairs of references; classes: {label: the labels of its images}, for FID per class;
    judge: whose agreement with the samples' labels is told; labels: the array that holds these; saved: features that
    need not be computed; keep: the folder that computed ones are written to; fld: whether memorisation asks for FLD.
    """

    options: Options = PLAIN
    first: Mapping[str, int] = field(default_factory=dict)
    memorisation: Sequence[Pair] = ()
    classes: Mapping[str, Labels] = field(default_factory=dict)
    judge: Extractor | None = None
    labels: str | None = None
    saved: Sequence[SavedFeatures] = ()
    keep: Path | None = None
    fld: bool = False


@dataclass(frozen=True)
class Scored:
    """Of one set: what goes into metrics.json ("protocols", "memorisation", "judge"), and the rows per class."""

    content: dict[str, Any]
    classes: list[dict[str, Any]]


def open_set(source: str, channels: int = 3) -> ImageSet:
    """Samples: saved features, or images as in open_images."""
    return SavedFeatures(source) if saved_features.is_saved(source) else open_images(source, channels)


def extractors_of(
    sets: Mapping[str, ImageSet],
    sources: Mapping[str, Source],
    names: Sequence[str] | None,
    weights: Mapping[str, str],
) -> list[Extractor]:
    """The extractors of these names, or those that the references ask for; weights: those of public ones, by name.

    Where all samples are saved features, and all references saved too, no network is needed, and none is loaded.
    """
    known = all(isinstance(samples, SavedFeatures) for samples in sets.values())
    if not names and known and all(references.kind_of(source) in ("saved", "opened") for source in sources.values()):
        stated = [samples.stated() for samples in sets.values()]
        return list({(one.sha256, one.resize): one for one in stated}.values())
    names = names or references.default_extractors(list(sources.values()))
    return [load_extractor(name, weights) for name in names]


def judge_of(name: str | None) -> Extractor | None:
    """The judge of a weights file, None where none is asked for.

    Raises InputError for a public extractor, whose outputs are numbered as no data set's classes.
    """
    if name in PUBLIC:
        raise InputError(f"--judge {name}: its outputs are no data set's classes, expected a .safetensors file")
    return load_extractor(name) if name else None


def kept_files(folder: Path | None, sets: Collection[str], extractors: Sequence[Extractor]) -> list[Path]:
    """The files that are written where features are kept."""
    return [kept_file(folder, name, one.name) for name in sets for one in extractors] if folder else []


def kept_file(folder: Path, name: str, extractor: str) -> Path:
    """Where the features of a set are written."""
    return folder / f"{name}_{Path(extractor).stem}.npz"


def classes_of(sources: Mapping[str, Source], opened: Mapping[str, Reference], key: str | None) -> dict[str, Labels]:
    """{label of an opened reference: the classes of its images}; the log names those that have none.

    key: the array that holds them, of an .npz that has it. Raises InputError where no reference has classes.
    """
    found = {label: references.labels_of(source, key) for label, source in sources.items()}
    for label, labels in found.items():
        if labels is None:
            log.info("per class: reference %s says no classes, and is left out", label)
    if not any(found.values()):
        per_class.needed(None, f"--reference {next(iter(sources.values()))}", "images")
    of_opened = {name: found[name.partition("/")[0]] for name in opened}
    return {name: labels for name, labels in of_opened.items() if labels is not None}


def score_all(
    sets: Mapping[str, ImageSet],
    extractors: Sequence[Extractor],
    opened: Mapping[str, Reference],
    asked: Asked,
    batch_size: int,
    device: torch.device,
) -> dict[str, Scored]:
    """{name: score(...)} of each set; what is wrong with any is said before any is looked at."""
    labels = {}
    for name, samples in sets.items():
        evaluation.checked(samples, extractors, opened, asked.first, asked.options)
        labels[name] = _labels(samples, asked)
        for extractor in [*_used(extractors, opened), *filter(None, [asked.judge])]:
            saved_features.check_by(samples, extractor)
    return {
        name: score(name, samples, labels[name], extractors, opened, asked, batch_size, device)
        for name, samples in sets.items()
    }


def content_of(scored: Mapping[str, Scored], sets: Mapping[str, ImageSet]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what metrics.json holds, what its provenance says of samples): of one set at the top, of several under "sets".

    samples_sha256 is of the images; features that were read in their place have a hash of their own.
    """
    hashes = {name: samples.sha256() for name, samples in sets.items()}
    read = {name: artifacts.file_hash(one.path) for name, one in sets.items() if isinstance(one, SavedFeatures)}
    if len(sets) > 1:
        content = {"sets": {name: one.content for name, one in scored.items()}}
        return content, {"samples_sha256": hashes} | ({"features_sha256": read} if read else {})
    (name,) = sets
    features = {"features_sha256": read[name]} if read else {}
    return scored[name].content, {"samples_sha256": hashes[name], **features}


def score(
    name: str,
    samples: ImageSet,
    labels: Labels | None,
    extractors: Sequence[Extractor],
    opened: Mapping[str, Reference],
    asked: Asked,
    batch_size: int,
    device: torch.device,
) -> Scored:
    """One set against all references; its features are computed, or read, once for each extractor.

    Raises InputError as evaluation.evaluate_samples does, and for saved features where images are needed.
    """
    rows = evaluation.checked(samples, extractors, opened, asked.first, asked.options)
    used, resamplings = _used(extractors, opened), asked.options.resamplings
    content: dict[str, Any] = {"protocols": {}}
    agreeing, classes = None, []
    if asked.judge:
        same = [extractor for extractor in used if _same(extractor, asked.judge)]
        used = [*(same or [asked.judge]), *(extractor for extractor in used if extractor not in same)]
    for extractor in used:  # a judge is the first, and need not be the extractor of any reference
        own = {label: one for label, one in opened.items() if made_with(one, extractor)}
        looked = samples
        if not isinstance(samples, SavedFeatures):  # of a judge of colours, grey images are RGB
            looked = in_channels(samples, extractor.network.in_channels)
        seen = saved_features.seen(looked, extractor, batch_size, device, asked.saved)
        if asked.judge and _same(extractor, asked.judge):
            agreeing = per_class.agreement(seen.logits, labels, asked.judge.name)
            facts = {"judge": asked.judge.name, "judge_sha256": asked.judge.sha256, "n": len(samples)}
            content["judge"] = facts | per_class.judged(agreeing, samples.seeds, resamplings)
        if own and asked.keep and not isinstance(samples, SavedFeatures):
            saved_features.save(kept_file(asked.keep, name, extractor.name), seen, samples, extractor, labels)
        content["protocols"] |= evaluation.of_features(seen, samples, extractor, own, rows, asked.options)
        for pair in (pair for pair in asked.memorisation if pair.train in own):
            found = memorisation.of_seeds(seen.features, samples.seeds, pair, resamplings, asked.fld)
            content.setdefault("memorisation", {})[pair.train] = found
        for label in (label for label in own if label in asked.classes):
            about = {"set": name, "reference": label, "extractor": extractor.name}
            about |= {"distance": own[label].facts.distance} if own[label].facts.distance else {}
            real = (own[label].features, asked.classes[label])
            part = rows.get(label, np.arange(len(samples)))
            classes += [about | row for row in _by_class(seen.features, labels, samples.seeds, agreeing, part, *real)]
    return Scored(content, classes)


def _by_class(
    features: torch.Tensor,
    labels: Labels,
    seeds: np.ndarray,
    agreeing: np.ndarray | None,
    part: np.ndarray,
    real: torch.Tensor,
    real_labels: Labels,
) -> Iterator[dict[str, Any]]:
    """per_class.rows of a part of the samples, int64 [n]."""
    own = features[torch.from_numpy(part).to(features.device)]
    told = None if agreeing is None else agreeing[part]
    return per_class.rows(own, labels.subset(part), seeds[part], real, real_labels, told)


def _used(extractors: Sequence[Extractor], opened: Mapping[str, Reference]) -> list[Extractor]:
    """The extractors that some reference was made with."""
    return [extractor for extractor in extractors if any(made_with(one, extractor) for one in opened.values())]


def _same(one: Extractor, other: Extractor) -> bool:
    return (one.sha256, one.resize) == (other.sha256, other.resize)


def _labels(samples: ImageSet, asked: Asked) -> Labels | None:
    """The samples' classes, numbered as the first reference's, which a judge's are too.

    Where nobody needs them they are kept with features, if they are there and in no doubt.
    """
    if asked.judge or asked.classes:
        found = per_class.needed(samples.labels(asked.labels), samples.where, "samples")
        return found.numbered_as(next(iter(asked.classes.values()), found))
    if not asked.keep:
        return None
    try:
        return samples.labels(asked.labels)
    except InputError as error:
        log.info("features are kept without labels: %s", error)
        return None
