"""What an extractor saw in a set of samples, as a file: read in place of looking again, never for other samples.

The file names its samples by their hash, and the extractor by name, hash of its weights and resize.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.metrics.class_labels import Labels
from pagboost.metrics.features import Extractor, Features, extract
from pagboost.metrics.image_sets import ImageSet, members
from pagboost.metrics.reference import check_finite

SAVED = "features of samples (made by evaluate.py --save-features)"
FACTS = "sample_facts"
PARTS = ("features", "logits", "spatial")


@dataclass(frozen=True)
class SampleFacts:
    """Of which samples they are (hash, shape [H, W, C]) and by which extractor; names: of classes, by number."""

    samples_sha256: str
    image_shape: tuple[int, ...]
    extractor: str
    extractor_sha256: str
    input_size: int
    in_channels: int
    resize: str
    names: tuple[str, ...] = ()


class SavedFeatures:
    """A set of samples whose features are known and whose images are not: an ImageSet without batches."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.where = Path(path), str(path)
        arrays = artifacts.load_arrays(self.path, [FACTS, "seeds"], SAVED)
        with artifacts.readable(self.path, SAVED):
            facts = json.loads(str(arrays[FACTS]))
            known = {field.name: facts[field.name] for field in fields(SampleFacts) if field.name in facts}
            listed = {key: tuple(known.get(key, ())) for key in ("image_shape", "names")}
            self.facts = SampleFacts(**known | listed)
        self.shape, self.seeds = self.facts.image_shape, arrays["seeds"]

    def __len__(self) -> int:
        return len(self.seeds)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        raise InputError(
            f"{self.where}: features by {self.facts.extractor} of images that are not here, expected the images for "
            "any other network"
        )

    def labels(self, key: str | None = None) -> Labels | None:
        if "labels" not in members(self.path):
            return None
        return Labels(artifacts.load_arrays(self.path, ["labels"], SAVED)["labels"], self.facts.names, self.where)

    def sha256(self) -> str:
        """Of the samples, not of this file."""
        return self.facts.samples_sha256

    def by(self, extractor: Extractor) -> bool:
        """Whether they are an extractor's."""
        return (self.facts.extractor_sha256, self.facts.resize) == (extractor.sha256, extractor.resize)

    def read(self, device: torch.device) -> Features:
        """They; raises InputError for NaN or infinity, and for arrays of different lengths."""
        held = members(self.path)
        arrays = artifacts.load_arrays(self.path, [part for part in PARTS if part in held], SAVED)
        check_finite(self.path, arrays)
        for key, array in arrays.items():
            if array.ndim != 2 or len(array) != len(self):
                raise InputError(f"{self.where}: {key} is {list(array.shape)}, expected [{len(self)}, D]")
        return Features(**{key: torch.from_numpy(array).to(device) for key, array in arrays.items()})

    def stated(self) -> Extractor:
        """The extractor by name alone, for what needs no network."""
        facts = self.facts
        return Extractor(facts.extractor, facts.extractor_sha256, Unloaded(facts))


class Unloaded:
    """An extractor's network that nobody needs to run."""

    def __init__(self, facts: SampleFacts) -> None:
        self.in_channels, self.input_size, self.resize = facts.in_channels, facts.input_size, facts.resize


def is_saved(path: str | Path) -> bool:
    """Whether a file is one of saved features."""
    return Path(path).suffix == ".npz" and Path(path).is_file() and FACTS in members(Path(path))


def save(path: Path, seen: Features, samples: ImageSet, extractor: Extractor, labels: Labels | None) -> None:
    """Write the features of all samples, their seeds, and their labels where these are known."""
    artifacts.save_arrays(path, arrays_of(seen, samples, extractor, labels))


def arrays_of(
    seen: Features, samples: ImageSet, extractor: Extractor, labels: Labels | None = None
) -> dict[str, np.ndarray]:
    """What a file of features holds; a row per sample of all but the facts."""
    network = extractor.network
    facts = SampleFacts(
        samples.sha256(),
        tuple(samples.shape),
        extractor.name,
        extractor.sha256,
        network.input_size,
        network.in_channels,
        extractor.resize,
        labels.names if labels else (),
    )
    arrays = {FACTS: np.array(json.dumps(asdict(facts), sort_keys=True)), "seeds": samples.seeds}
    tensors = {part: getattr(seen, part) for part in PARTS}
    arrays |= {part: tensor.cpu().numpy() for part, tensor in tensors.items() if tensor is not None}
    return arrays | ({"labels": labels.numbers} if labels else {})


def check_by(samples: ImageSet, extractor: Extractor) -> None:
    """Raise InputError for saved features by another extractor, whose images are not here to be looked at again."""
    if isinstance(samples, SavedFeatures) and not samples.by(extractor):
        facts = samples.facts
        raise InputError(
            f"{samples.where}: features by {facts.extractor} (sha256 {facts.extractor_sha256[:12]}, resize "
            f"{facts.resize}), expected those by {extractor.name} ({extractor.sha256[:12]}, {extractor.resize}), or "
            "the images"
        )


def seen(
    samples: ImageSet,
    extractor: Extractor,
    batch_size: int,
    device: torch.device,
    saved: Sequence[SavedFeatures] = (),
) -> Features:
    """What an extractor sees in samples: read where they are saved features, or some of `saved` are theirs.

    Raises InputError for features by another extractor.
    """
    check_by(samples, extractor)
    if isinstance(samples, SavedFeatures):
        return samples.read(device)
    for one in saved:
        if one.by(extractor) and one.sha256() == samples.sha256():
            return one.read(device)
    return extract(extractor, samples, batch_size, device)


def check_used(saved: Sequence[SavedFeatures], sets: Sequence[ImageSet], extractors: Sequence[Extractor]) -> None:
    """Raise InputError for saved features that are of none of the sets, or by none of the extractors."""
    hashes = {samples.sha256(): samples.where for samples in sets} if saved else {}
    for one in saved:
        if one.sha256() not in hashes:
            known = ", ".join(f"{where} ({digest[:12]})" for digest, where in hashes.items())
            raise InputError(
                f"{one.where}: features of other samples (sha256 {one.sha256()[:12]}), expected of {known}"
            )
        if not any(one.by(extractor) for extractor in extractors):
            known = ", ".join(f"{e.name} ({e.sha256[:12]}, resize {e.resize})" for e in extractors)
            raise InputError(
                f"{one.where}: features by {one.facts.extractor} ({one.facts.extractor_sha256[:12]}, resize "
                f"{one.facts.resize}), expected by {known}"
            )
