"""Class folders as a guide's classes: matched by names, or by their order where no class can be missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pagboost.errors import InputError, listed
from pagboost.metrics.class_labels import Labels


def numbers(labels: Labels, num_classes: int, names: Sequence[str] | None) -> np.ndarray:
    """The guide's number of each image's class, int64 [N]; numbers that come without names are taken as they are.

    names: of the guide's classes, in its order. Without them folders are numbered in the order of their names as text,
    as torchvision does, if there are as many as the guide has classes, and none is called by another number.
    Raises InputError where folders are not these classes: a set that lacks one would be boosted towards wrong ones.
    """
    if not labels.names:
        return labels.numbers
    if names is not None:
        return _by_name(labels, list(names), num_classes)
    known = f"{labels.where}: class folders {listed(labels.names)}"
    expected = "expected --classes, the guide's in its order (or --labels none: they are no classes)"
    if len(labels.names) != num_classes:
        raise InputError(f"{known}: {len(labels.names)}, and the guide has {num_classes} classes, {expected}")
    for number, name in enumerate(labels.names):
        if name.isdecimal() and int(name) != number:
            raise InputError(f"{known}: {name} would be class {number}, in the order of text, {expected}")
    return labels.numbers


def _by_name(labels: Labels, names: Sequence[str], num_classes: int) -> np.ndarray:
    if len(names) != num_classes or len(set(names)) != len(names):
        raise InputError(f"--classes: {len(set(names))} different names, expected the guide's {num_classes}")
    for name in labels.names:
        if name not in names:
            raise InputError(f"{labels.where}: class folder {name}, expected one of --classes: {listed(names)}")
    return np.array([names.index(name) for name in labels.names])[labels.numbers]
