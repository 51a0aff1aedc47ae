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
from pagboost.metrics import reference
from pagboost.metrics.features import PUBLIC, Extractor, extract
from pagboost.metrics.image_sets import ImageSet, InMemory, in_channels, members, open_images
from pagboost.metrics.reference import Reference
from pagboost.options.models import Dataset
from pagboost.options.reading import read
from pagboost.sources import data

PART = re.compile(r"(?P<entry>.+\.ya?ml:[\w.]+)/(?P<split>\w+)")  # a data set's part: scale.yaml:datasets.NAME/SPLIT
DIMS, SPATIAL_DIMS = 2048, 2023  # pool3's and mixed_6/conv's, of OpenAI's statistics
EXPECTED = (
    "expected images (arr_0), an OpenAI reference batch (arr_0, mu, sigma, mu_s, sigma_s), a reference made by "
    "make_reference.py, a folder of pictures or SCALE.yaml:datasets.NAME/SPLIT"
)


def kind_of(source: str) -> str:
    """What is there: part, folder, saved, openai or images; raises InputError where it is none of these."""
    if PART.fullmatch(source):
        return "part"
    if source and Path(source).is_dir():  # "" would be the folder that the script runs in
        return "folder"
    if not source or not Path(source).exists():
        raise InputError(f"{source}: no such file or folder, {EXPECTED}")
    found = set(members(Path(source)))
    if "facts" in found:
        return "saved"
    if {"mu", "sigma", "mu_s", "sigma_s", "arr_0"} <= found:
        return "openai"
    if "arr_0" in found and not found & {"mu", "sigma", "mu_s", "sigma_s"}:
        return "images"
    raise InputError(f"{source}: has {listed(sorted(found)) or 'nothing'}, {EXPECTED}")


def name_of(source: str) -> str:
    """What a reference is called unless it is given a label: the split of a data set's part, else the file's stem.

    A link has its own name, not that of what it leads to: in a download cache that is a hash.
    """
    part = PART.fullmatch(source)
    if part:
        return part["split"]
    path = Path(os.path.abspath(source))  # which names ".", ".." and what ends in "/" too, and follows no link
    return (path.name if path.is_dir() else path.stem) or "images"


def labelled(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """{label: source} of (label or "", source); raises InputError where two have one label."""
    result: dict[str, str] = {}
    for label, source in pairs:
        label = label or name_of(source)
        if label in result:
            raise InputError(f"--reference {source}: a second one labelled {label}, expected LABEL={source}")
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


def default_extractors(sources: Sequence[str]) -> list[str]:
    """The way to use Inception that the references ask for: what they were made with, where they say so.

    Raises InputError for a saved reference of an extractor that only a weights file can give.
    """
    chosen = {}
    for source in sources:
        kind, name = kind_of(source), "inception"
        if kind == "saved":
            name = reference.facts_of(source).extractor
            if name not in PUBLIC:
                raise InputError(f"{source}: made with extractor {name}, expected --extractor with its weights")
        chosen["openai" if kind == "openai" else name] = True
    return list(chosen)


def open_real(source: str, channels: int) -> ImageSet:
    """The images of any kind of reference that has them; `channels` as in open_images."""
    return in_channels(_part(source), channels) if PART.fullmatch(source) else open_images(source, channels)


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
    return InMemory(parts[split].images, source)


def open_reference(
    source: str,
    extractors: Sequence[Extractor],
    k: int,
    batch_size: int,
    device: torch.device,
    *,
    split: str = "",
    shape: tuple[int, ...] | None = None,
) -> list[Reference]:
    """A saved reference, or the images' under each extractor, seen once by each; `split` names the images.

    Raises InputError for an OpenAI batch whose statistics are not Inception's, or with another extractor than one
    that resizes as theirs, and for images of another shape [H, W, C], where one is given, before they are looked at.
    """
    kind = kind_of(source)
    if kind == "saved":
        return [reference.load(source, device)]
    images = open_real(source, extractors[0].network.in_channels)
    if shape is not None and images.shape != shape:
        raise InputError(f"{source}: images [H, W, C] are {list(images.shape)}, expected the samples' {list(shape)}")
    reference.check_count(len(images), k, source)
    made = []
    for extractor in extractors:
        published = openai_statistics(source, extractor, device) if kind == "openai" else None
        seen = extract(extractor, images, batch_size, device)
        options = {"split": split or name_of(source), "image_shape": images.shape, "published": published}
        made.append(reference.make(seen, extractor, k=k, **options))
    return made


def openai_statistics(
    source: str, extractor: Extractor, device: torch.device
) -> tuple[reference.Gaussian, reference.Gaussian]:
    """(pool3's, spatial features') Gaussian of an OpenAI batch: of its full set, by OpenAI's evaluator."""
    if extractor.resize != "tensorflow":
        raise InputError(
            f"{source}: statistics of OpenAI's evaluator, extractor {extractor.name} resizes as {extractor.resize}, "
            "expected --extractor openai (TensorFlow's resize)"
        )
    pool3 = reference.gaussian(source, "mu", "sigma", device=device, dims=DIMS)
    return pool3, reference.gaussian(source, "mu_s", "sigma_s", device=device, dims=SPATIAL_DIMS)


def open_references(
    sources: Mapping[str, str],
    extractors: Sequence[Extractor],
    samples: ImageSet,
    k: int,
    batch_size: int,
    device: torch.device,
) -> dict[str, Reference]:
    """{label: reference} of {label: source} for these samples; images under several extractors: label/extractor each.

    A source that several labels name is opened once.
    """
    opened: dict[str, list[Reference]] = {}
    result = {}
    for label, source in sources.items():
        if source not in opened:
            opened[source] = open_reference(source, extractors, k, batch_size, device, shape=samples.shape)
        for one in opened[source]:
            several = len(extractors) > 1 and kind_of(source) != "saved"
            result[f"{label}/{one.facts.extractor}" if several else label] = one
    return result


def sha256(source: str) -> str:
    """What identifies a reference: the hash of its file, or of its images."""
    if PART.fullmatch(source) or Path(source).is_dir():
        return open_real(source, channels=3).sha256()
    return artifacts.file_hash(source)
