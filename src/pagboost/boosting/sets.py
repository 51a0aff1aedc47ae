"""What is boosted: an .npz, or pictures of a folder or archive, with the labels that there are, by guides' numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.boosting import classes
from pagboost.boosting.guide import Guide
from pagboost.boosting.streamed import Streamed
from pagboost.errors import InputError
from pagboost.files import npz
from pagboost.guides import declared
from pagboost.metrics.image_sets import ImageSet, SampleFile, check_there, open_images
from pagboost.networks.given import Given
from pagboost.options.boosts import GUIDES
from pagboost.sources import archives


@dataclass(frozen=True)
class Labelling:
    """What is said of labels on a command line: the array that holds them ("none": none), one for all, class names."""

    key: str | None = None
    label: int | None = None
    names: Sequence[str] | None = None


@dataclass(frozen=True)
class Opened:
    """Samples whose images are Streamed, and what is known of where they are from.

    names: of pictures, relative to their folder or archive, in order; None of an .npz. by_folder: whether labels are
    what the class folders of pictures say.
    """

    samples: SampleSet
    source: ImageSet
    names: tuple[str, ...] | None = None
    by_folder: bool = False

    def sha256(self) -> str:
        """What identifies images, labels and streams; an .npz of this project that was changed is an InputError."""
        return npz.identity(self.source.where) if self.names is None else self.source.sha256()

    def held(self) -> SampleSet:
        """The samples, all of their images in memory."""
        return self.samples.with_images(self.samples.images[:])


def with_guide(path: str | Path, guide: str, said: Labelling) -> tuple[Opened, Given, Guide]:
    """(samples to boost, the network that `guide` names, the guide that it is).

    Raises InputError for what is no such samples or no such network, and as `labelled` does.
    """
    opened = open_set(path, 3, said.key)
    height, _, channels = opened.samples.images.shape[1:]
    found = declared.load(guide, GUIDES, (channels, height))
    made = Guide.of(found.network, found.description)
    opened = labelled(opened, made, said) if made.channels == 3 else open_for(path, made, said)
    return opened, found, made


def check_names_used(names: Sequence[str] | None, by_folder: bool, where: str | Path) -> None:
    """Raise InputError for names of classes where nothing that was read has class folders (`by_folder`)."""
    if names is not None and not by_folder:
        raise InputError(f"--classes: {where} has no class folders, expected pictures in folders of these names")


def open_for(path: str | Path, guide: Guide, said: Labelling) -> Opened:
    """Samples with the labels that there are; pictures in the guide's channels."""
    return labelled(open_set(path, guide.channels, said.key), guide, said)


def open_set(path: str | Path, channels: int, key: str | None) -> Opened:
    """Samples of an .npz, with its labels, or pictures of a folder or archive, without (`labelled`).

    channels: as which pictures are read, 1 or 3. key: the array of an .npz that holds labels, or "none".
    Raises InputError naming the path for what holds no images, and a key where there are no arrays.
    """
    check_there(path)
    if not (Path(path).is_dir() or archives.is_packed(Path(path))):
        source = SampleFile(path)
        return Opened(artifacts.with_columns(Streamed(source), path, labels=key), source)
    if key not in (None, npz.NONE):
        raise InputError(f"--labels {key}: expected with an .npz ({path} holds pictures; {npz.NONE}: without labels)")
    pictures = open_images(path, channels)
    return Opened(SampleSet(Streamed(pictures)), pictures, tuple(pictures.names))


def labelled(opened: Opened, guide: Guide, said: Labelling) -> Opened:
    """With the labels that there are: one for all, else those of an .npz, else what lies around pictures says, if any.

    Raises InputError for a label that the guide has no class of, and for folders that are not its classes.
    """
    if said.label is not None:
        if said.label >= guide.num_classes:
            raise InputError(f"--label {said.label}: expected 0..{guide.num_classes - 1} (the guide's)")
        everywhere = np.full(len(opened.samples), said.label)
        return replace(opened, samples=replace(opened.samples, labels=everywhere))
    if opened.names is None or said.key == npz.NONE or (found := opened.source.labels()) is None:
        return opened
    numbers = classes.numbers(found, guide.num_classes, said.names)
    return replace(opened, samples=replace(opened.samples, labels=numbers), by_folder=bool(found.names))
