"""Training by a configuration entry: its kind names the recipe (registry.RECIPES)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pagboost import cli
from pagboost.errors import InputError
from pagboost.registry import RECIPES, named
from pagboost.training import Data, Run, Trained

# how many numbers a generator's network gives for each of an image's: IDDPM's (Sec. 3.1) a mean and a variance
OUTPUTS = {"edm": 1, "consistency_distillation": 1, "consistency_training": 1, "ddpm": 2}


def train(spec: Mapping[str, Any], data: Data, run: Run, inputs: Mapping[str, Path | list[Path]]) -> Trained:
    """Train the model that a configuration entry {kind, network, training} describes.

    Raises InputError for an unknown kind or option, and for a network that does not fit the data.
    """
    kind = spec.get("kind")
    if kind not in RECIPES:
        raise InputError(f"kind: {kind}, expected one of: {', '.join(RECIPES)}")
    if "training" not in spec:
        raise InputError("training: missing key, expected the options of the recipe")
    network = spec.get("network")
    if not isinstance(network, (Mapping, type(None))):
        raise InputError(f"network: {network!r}, expected a mapping with a kind")
    if not isinstance(spec["training"], Mapping):
        raise InputError(f"training: {spec['training']!r}, expected a mapping of the recipe's options")
    channels, size = data.x.shape[1], data.x.shape[2]
    fits = {"num_classes": data.num_classes, "in_channels": channels, "channels": channels}
    fits |= {"image_size": size, "size": size}
    if kind in OUTPUTS:
        fits["out_channels"] = OUTPUTS[kind] * channels
    for key, value in (network or {}).items():
        if key in fits and value not in (None, fits[key]):
            raise InputError(f"network.{key}: {value}, expected {fits[key]} (the data's)")
        if key in ("mean", "std") and isinstance(value, list) and len(value) != channels:
            raise InputError(f"network.{key}: {value}, expected {channels} (one per channel of the data)")
    recipe = named(RECIPES[kind])
    return cli.call(recipe, data, network, run, inputs, where="training", options=spec["training"])
