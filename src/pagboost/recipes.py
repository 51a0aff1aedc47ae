"""Training by a configuration entry: its kind names the recipe (registry.RECIPES)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pagboost import cli
from pagboost.errors import InputError
from pagboost.registry import RECIPES, named
from pagboost.training import Data, Run, Trained


def train(spec: Mapping[str, Any], data: Data, run: Run, inputs: Mapping[str, Path | list[Path]]) -> Trained:
    """Train the model that a configuration entry {kind, network, training} describes.

    Raises InputError for an unknown kind or option, and for a network that does not fit the data.
    """
    kind = spec.get("kind")
    if kind not in RECIPES:
        raise InputError(f"kind: {kind}, expected one of: {', '.join(RECIPES)}")
    if "training" not in spec:
        raise InputError("training: missing key, expected the options of the recipe")
    channels, size = data.x.shape[1], data.x.shape[2]
    fits = {"num_classes": data.num_classes, "in_channels": channels, "channels": channels}
    fits |= {"image_size": size, "size": size}
    for key, value in (spec.get("network") or {}).items():
        if key in fits and value not in (None, fits[key]):
            raise InputError(f"network.{key}: {value}, expected {fits[key]} (the data's)")
    recipe = named(RECIPES[kind])
    return cli.call(recipe, data, spec.get("network"), run, inputs, where="training", options=spec["training"])
