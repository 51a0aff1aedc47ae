"""Training by a configuration entry: its kind names the options and the recipe that takes them (options.models)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.options.kinds import named
from pagboost.options.models import Model
from pagboost.options.networks import Network, unfit
from pagboost.options.reading import read
from pagboost.training import Data, Run, Trained


def train(spec: Mapping[str, Any], data: Data, run: Run, inputs: Mapping[str, Path | list[Path]]) -> Trained:
    """Train the model that a configuration entry {kind, network, training} describes.

    Raises InputError for an entry that is not as its kind says, and for a network that does not fit the data.
    """
    model = read(Model, spec, "")
    check_fits(getattr(model, "network", None), model.training.outputs, data)
    return named(model.training.uses)(data, spec.get("network"), run, inputs, model.training)


def check_fits(network: Network | None, outputs: int | None, data: Data) -> None:
    """Raise InputError unless what a network's options say of images and classes holds for the data.

    outputs: how many numbers a generator's network gives for each of an image's; None: unlike an image.
    """
    if network is None:
        return
    channels, size = data.x.shape[1], data.x.shape[2]
    if misfit := unfit(network, channels=channels, size=size, num_classes=data.num_classes, outputs=outputs):
        key, value, expected = misfit
        raise InputError(f"network.{key}: {value}, expected {expected} (the data's)")
