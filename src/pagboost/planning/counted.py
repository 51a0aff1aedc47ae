"""The steps that a study of costs counts: networks, samplers and sizes as a scale declares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagboost.errors import InputError

STARTS_FROM = ("backbone", "joint")  # what a model without a network of its own has that of


def steps(scale: Mapping[str, Any], study: Mapping[str, Any]) -> dict[str, Any]:
    """{generator or boost: its step} (options.studies.Step) of a study's entry."""
    return {name: sampler_step(scale, name) for name in study["samplers"]} | {
        name: boosting_step(scale, name) for name in study["boosts"]
    }


def sampler_step(scale: Mapping[str, Any], generator: str) -> dict[str, Any]:
    """A generator's network and sampler, at the size of its images."""
    entry = scale["generators"][generator]
    guided = {"classifier": network(scale, entry["classifier"])} if "classifier" in entry else {}
    drawn = {"network": network(scale, entry["model"]), "sampler": entry["sampler"], "nfe": entry["nfe"]}
    return drawn | guided | _images(scale, entry["model"])


def boosting_step(scale: Mapping[str, Any], boost: str) -> dict[str, Any]:
    """A boost's guide, at the size that it was trained at."""
    guide = scale["boosts"][boost]["guide"]
    return {"network": network(scale, guide), **_images(scale, guide)}


def network(scale: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    """The network of a model, or of a checkpoint; a joint model's is that of what its training starts from."""
    entry = declared(scale, model)
    if "network" in entry:
        return entry["network"]
    start = next((entry["inputs"][role] for role in STARTS_FROM if role in entry.get("inputs", {})), None)
    if start is None:
        raise InputError(f"models.{model}: no network is declared, expected one whose cost can be counted")
    return network(scale, start)


def declared(scale: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    """A model's entry, by its own name or that of one of its checkpoints."""
    models = scale["models"]
    return models[model if model in models else model.rpartition("_at_")[0]]


def _images(scale: Mapping[str, Any], model: str) -> dict[str, int]:
    dataset = scale["datasets"][declared(scale, model)["dataset"]]
    return {key: dataset[key] for key in ("size", "num_classes")}
