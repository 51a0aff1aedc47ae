"""What samples are compared with, told apart by content: saved features, an OpenAI batch, images, a data set's part."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import torch

from pagboost import artifacts, cli
from pagboost.errors import InputError, listed
from pagboost.metrics import published, reference
from pagboost.metrics.class_labels import Labels
from pagboost.metrics.comparison import USUAL, Also
from pagboost.metrics.features import Extractor, extract
from pagboost.metrics.image_sets import ImageSet, InMemory, in_channels, members, open_images
from pagboost.metrics.public import PUBLIC
from pagboost.metrics.reference import Reference
from pagboost.options.models import Dataset
from pagboost.options.reading import read
from pagboost.sources import archives, data

Source = str | ImageSet | Reference  # by name, as images in memory, or opened already
PART = re.compile(r"(?P<entry>.+\.ya?ml:[\w.]+)/(?P<split>\w+)")  # a data set's part: scale.yaml:datasets.NAME/SPLIT
EXPECTED = (
    "expected images (arr_0), an OpenAI reference batch (arr_0, mu, sigma, mu_s, sigma_s), statistics (mu, sigma), a "
    "reference made by make_reference.py, a folder or archive of pictures or SCALE.yaml:datasets.NAME/SPLIT"
)


def kind_of(source: Source) -> str:
    """What is there: part, folder, archive, saved, openai, statistics or images, or opened; InputError for all else."""
    if not isinstance(source, str):
        return "opened" if isinstance(source, Reference) else "images"
    if PART.fullmatch(source):
        return "part"
    if source and Path(source).is_dir():  # "" would be the folder that the script runs in
        return "folder"
    if not source or not Path(source).exists():
        raise InputError(f"{source}: no such file or folder, {EXPECTED}")
    if archives.is_packed(Path(source)):
        return "archive"
    found = set(members(Path(source)))
    if "facts" in found:
        return "saved"
    if "sample_facts" in found:
        raise InputError(f"{source}: features of samples, {EXPECTED}")
    if {"mu", "sigma", "mu_s", "sigma_s", "arr_0"} <= found:
        return "openai"
    if {"mu", "sigma"} <= found and "arr_0" not in found:
        return "statistics"
    if "arr_0" in found and not found & {"mu", "sigma", "mu_s", "sigma_s"}:
        return "images"
    raise InputError(f"{source}: has {listed(sorted(found)) or 'nothing'}, {EXPECTED}")


def name_of(source: Source) -> str:
    """What a reference is called unless it is given a label: the split of a data set's part, else the file's stem.

    A link has its own name, not that of what it leads to: in a download cache that is a hash.
    """
    if not isinstance(source, str):
        return source.facts.split if isinstance(source, Reference) else source.where
    part = PART.fullmatch(source)
    if part:
        return part["split"]
    path = Path(os.path.abspath(source))  # which names ".", ".." and what ends in "/" too, and follows no link
    return (path.name if path.is_dir() else path.stem) or "images"


def labelled(pairs: Sequence[tuple[str, str]], what: str = "--reference") -> dict[str, str]:
    """{label: source} of (label or "", source), given as `what`; raises InputError where two have one label."""
    result: dict[str, str] = {}
    for label, source in pairs:
        label = label or name_of(source)
        if label in result:
            raise InputError(f"{what} {source}: a second one labelled {label}, expected LABEL={source}")
        result[label] = source
    return result


def first_counts(pairs: Sequence[tuple[str, str]], opened: Mapping[str, Reference]) -> dict[str, int]:
    """{label of a reference: n} of (label, n), of all extractors where images are seen by several.

    Raises InputError for a label that no reference has, and for one that is given twice.
    """
    counts: dict[str, int] = {}
    for label, count in pairs:
        own = [name for name in opened if label in (name, name.partition("/")[0])]
        if not own:
            raise InputError(f"--first {label}={count}: expected a label of --reference: {listed(opened)}")
        if counts.keys() & set(own):
            raise InputError(f"--first {label}={count}: {label} has a number already, expected one")
        counts |= dict.fromkeys(own, int(count))
    return counts


def default_extractors(sources: Sequence[Source]) -> list[str]:
    """The way to use Inception that the references ask for: what they were made with, where they say so.

    Raises InputError for a saved reference of an extractor that only a weights file can give, and for statistics alone,
    which do not say what they were made with.
    """
    chosen = {}
    for source in sources:
        kind, name = kind_of(source), "inception"
        if kind in ("saved", "opened"):
            name = (reference.facts_of(source) if kind == "saved" else source.facts).extractor
            if name not in PUBLIC:
                where = name_of(source) if kind == "opened" else source
                raise InputError(f"{where}: made with extractor {name}, expected --extractor with its weights")
        if kind == "statistics":
            raise InputError(f"{source}: statistics that do not say what made them, expected the {published.STATED}")
        chosen["openai" if kind == "openai" else name] = True
    return list(chosen)


def open_real(source: str | ImageSet, channels: int) -> ImageSet:
    """The images of any kind of reference that has them; `channels` as in open_images."""
    if not isinstance(source, str):
        return in_channels(source, channels)
    return in_channels(_part(source), channels) if PART.fullmatch(source) else open_images(source, channels)


def labels_of(source: Source, key: str | None = None) -> Labels | None:
    """The classes of a reference's images, in their order; None where nothing says any, as of a saved reference.

    key: the array of an .npz that holds them, of those that have it (else arr_1).
    """
    kind = kind_of(source)
    if kind in ("saved", "statistics", "opened"):
        return None
    held = isinstance(source, str) and kind in ("images", "openai") and key in members(Path(source))
    return open_real(source, channels=3).labels(key if held else None)


@cache
def _part(source: str) -> ImageSet:
    """The images of a data set's part, made as prepare_data.py makes them."""
    entry, split = PART.fullmatch(source).group("entry", "split")
    try:
        options = cli.spec(entry)
    except argparse.ArgumentTypeError as error:
        raise InputError(str(error)) from None
    parts = data.prepare(read(Dataset, options, entry), entry)
    if split not in parts:
        raise InputError(f"{source}: no part {split}, expected one of: {', '.join(parts)}")
    return InMemory(parts[split].images, source, classes=parts[split].labels)


def open_reference(
    source: Source,
    extractors: Sequence[Extractor],
    k: int,
    batch_size: int,
    device: torch.device,
    *,
    split: str = "",
    shape: tuple[int, ...] | None = None,
    also: Also = USUAL,
) -> list[Reference]:
    """A saved reference, or the images' under each extractor, seen once by each; `split` names the images.

    also: what is asked for besides, from the same pass over pairs; a saved reference gets it where it is needed.

    Raises InputError for an OpenAI batch whose statistics are not Inception's, or with another extractor than one
    that resizes as theirs, and for images of another shape [H, W, C], where one is given, before they are looked at.
    """
    kind = kind_of(source)
    if kind == "saved":
        return [reference.load(source, device)]
    if kind == "opened":
        return [reference.moved(source, device)]
    if kind == "statistics":
        if len(extractors) > 1:
            given = ", ".join(extractor.name for extractor in extractors)
            raise InputError(
                f"{source}: statistics alone, with extractors {given}, expected the one {published.STATED}"
            )
        return [published.statistics_alone(source, extractors[0], device, split or name_of(source))]
    images = open_real(source, extractors[0].network.in_channels)
    if shape is not None and images.shape != shape:
        found, wanted = list(images.shape), list(shape)
        raise InputError(f"{images.where}: images [H, W, C] are {found}, expected the samples' {wanted}")
    reference.check_count(len(images), k, images.where)
    made = []
    for extractor in extractors:
        full_set = published.openai_statistics(source, extractor, device) if kind == "openai" else None
        seen = extract(extractor, images, batch_size, device)
        options = {"split": split or name_of(source), "image_shape": images.shape, "published": full_set, "also": also}
        made.append(reference.make(seen, extractor, k=k, **options))
    return made


def open_references(
    sources: Mapping[str, Source],
    extractors: Sequence[Extractor],
    samples: ImageSet,
    k: int,
    batch_size: int,
    device: torch.device,
    also: Also = USUAL,
) -> dict[str, Reference]:
    """{label: reference} of {label: source} for these samples; images under several extractors: label/extractor each.

    A source that several labels name is opened once.
    """
    opened: dict[str | int, list[Reference]] = {}
    result = {}
    for label, source in sources.items():
        key = source if isinstance(source, str) else id(source)
        if key not in opened:
            opened[key] = open_reference(source, extractors, k, batch_size, device, shape=samples.shape, also=also)
        for one in opened[key]:
            several = len(extractors) > 1 and kind_of(source) not in ("saved", "opened")
            result[f"{label}/{one.facts.extractor}" if several else label] = one
    return result


def sha256(source: str) -> str:
    """What identifies a reference: the hash of its file, or of its images."""
    if PART.fullmatch(source) or Path(source).is_dir():
        return open_real(source, channels=3).sha256()
    return artifacts.file_hash(source)
