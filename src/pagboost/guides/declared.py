"""Networks as people name them on a command line: as in networks.given, and files of others by a model's entry.

SCALE.yaml:models.NAME of kind pretrained, or the same as JSON: {"kind": "pretrained", "network": …, "training": …}. The
file is read as by train.py, each time; nothing is kept of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from pagboost import cli, networks, recipes, training
from pagboost.errors import InputError
from pagboost.networks import given
from pagboost.networks.given import Given
from pagboost.options.models import Model
from pagboost.options.pretrained import Pretrained
from pagboost.options.reading import read


def load(source: str | Path, kinds: Collection[str], images: tuple[int, int]) -> Given:
    """The network that `source` names, as given.load returns it; images: (channels, size) of what it will see.

    A file of others is taken to be made for images of that size. Raises InputError as given.load and
    guides.pretrained do, and for an entry that does not say what the file stands for.
    """
    entry = _entry(str(source))
    if entry is None or entry.get("kind") != Pretrained.kind:
        return given.load(source, kinds, images)
    model = read(Model, entry, "")
    used_as = model.used_as()
    if used_as not in kinds:
        expected = f"expected training.stands_for of kind {' or '.join(sorted(kinds))}"
        raise InputError(f"{source}: a model of kind {used_as}, {expected}")
    classes = getattr(model.network, "num_classes", None) or 1
    dataset = {"channels": model.network.image_channels(), "size": images[1], "num_classes": classes}
    no_images = training.no_data(dataset["channels"], dataset["size"], classes)
    made = recipes.train(entry, no_images, training.Run(0, torch.device("cpu")), {})
    facts = {**made.facts, "network": dict(made.spec), "dataset": dataset}
    sha256 = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return Given(made.network, networks.described(facts, str(source)), Path(model.training.file).stem, sha256)


def _entry(text: str) -> Mapping[str, Any] | None:
    """The mapping that text names; None of a file and of a function's name."""
    if os.path.isfile(text) or not (text.lstrip().startswith("{") or ".yaml:" in text or ".yml:" in text):
        return None
    try:
        return cli.spec(text)
    except argparse.ArgumentTypeError as error:
        raise InputError(str(error)) from error
