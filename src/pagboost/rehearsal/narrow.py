"""Networks of the same kinds and layers, but few channels and classes: what a test has time for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLASSES = 10
NARROW: dict[str, Mapping[str, Any]] = {
    "resnet": {"layers": [1, 1, 1, 1], "width": 4},
    "unet": {"model_channels": 32, "num_res_blocks": 1},
    "unet_encoder": {"model_channels": 32, "num_res_blocks": 1},
}


def narrow(scale: Mapping[str, Any]) -> dict[str, Any]:
    """A scale whose networks have few channels, and at most CLASSES classes; what an extractor is stays."""
    classes = {name: min(dataset["num_classes"], CLASSES) for name, dataset in scale["datasets"].items()}
    datasets = {name: {**entry, "num_classes": classes[name]} for name, entry in scale["datasets"].items()}
    models = {name: _narrow(model, classes[model["dataset"]]) for name, model in scale["models"].items()}
    return {**scale, "datasets": datasets, "models": models}


def _narrow(model: Mapping[str, Any], classes: int) -> dict[str, Any]:
    result = dict(model)
    if "network" in model:
        result["network"] = _small(model["network"], classes)
    training = model["training"]
    others = {key: _small(training[key], classes) for key in ("discriminator", "encoder") if key in training}
    return {**result, "training": {**training, **others}}


def _small(network: Mapping[str, Any], classes: int) -> dict[str, Any]:
    small = {**network, **NARROW.get(network["kind"], {})}
    if network["kind"] == "resnet" and network.get("block", "bottleneck") == "bottleneck":
        small["bottleneck_width"] = network["bottleneck_width"]  # what tells a wide ResNet from another
    if "widths" in network:
        small["widths"] = [16] * len(network["widths"])
    if network.get("num_classes"):
        small["num_classes"] = min(network["num_classes"], classes)
    if network.get("num_head_channels"):
        small["num_head_channels"] = 32
    return small
