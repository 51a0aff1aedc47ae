"""Networks by name: a spec `{"kind": ..., **options}` builds one, and weights carry the spec they were built from."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from pagboost import artifacts, cli
from pagboost.errors import InputError
from pagboost.registry import NETWORKS, named


def build(spec: Mapping[str, Any] | None, where: str = "network") -> torch.nn.Module:
    """A freshly initialised network; draws its weights from torch's global generator (seed it before)."""
    if not isinstance(spec, (Mapping, type(None))):
        raise InputError(f"{where}: {spec!r}, expected a mapping with a kind")
    options = dict(spec or {})
    kind = options.pop("kind", None)
    if kind not in NETWORKS:
        raise InputError(f"{where}.kind: {kind}, expected one of: {', '.join(NETWORKS)}")
    try:
        return cli.call(named(NETWORKS[kind]), where=where, options=options)
    except InputError:
        raise
    except (ArithmeticError, LookupError, ValueError) as error:  # what sizes that do not fit each other look like
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{where}: no {kind} can be built of {options} ({reason}), expected sizes that fit") from error


def save(path: str | Path, network: torch.nn.Module, spec: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write a network's weights with its spec and facts (what it was trained as, on what, for how long)."""
    artifacts.save_weights(path, network.state_dict(), {"network": dict(spec), **facts})


class Facts(dict):
    """What weights say of themselves; what is asked for and not there is an InputError that names their file."""

    def __init__(self, content: Mapping[str, Any], where: str) -> None:
        super().__init__(content)
        self.where = where

    def __missing__(self, key: str) -> Any:
        raise InputError(f"{self.where}: does not say {key}, expected weights that train.py wrote")


def _facts(description: Any, where: str) -> Facts:
    """The description of weights; InputError for a fact of a wrong type. Which facts are needed, their user knows."""
    if not isinstance(description, Mapping):
        raise InputError(f"{where}: its description is {description!r}, expected a mapping")
    stated = {key: value for key, value in description.items() if key in inspect.signature(_stated).parameters}
    cli.call(_stated, where=where, options=stated)
    if "dataset" not in description:
        return Facts(description, where)
    dataset = description["dataset"]
    images = {key: value for key, value in dataset.items() if key in inspect.signature(_images).parameters}
    cli.call(_images, where=f"{where}: dataset", options=images)
    return Facts({**description, "dataset": Facts(dataset, f"{where}: dataset")}, where)


def _stated(
    *,
    kind: str | None = None,
    dataset: Mapping[str, Any] = {},
    schedule: str | None = None,
    diffusion_steps: int | None = None,
    target: str | None = None,
    l0: float | None = None,
) -> None:
    """Types of the facts that are computed with."""


def _images(*, channels: int = 1, size: int = 1, num_classes: int = 1) -> None:
    """The same of the images that weights are made for."""


def load(path: str | Path, kinds: Collection[str] | None = None) -> tuple[torch.nn.Module, dict[str, Any]]:
    """(network in eval mode on the CPU, description) of a weights file, loaded strictly.

    `kinds` lists what the caller can use, by the description's "kind" (the recipe it was trained with).
    Raises InputError naming the file for a foreign file, another kind, missing or misshapen tensors, NaN.
    """
    tensors, description = artifacts.load_weights(path)
    description = _facts(description, str(path))
    if kinds is not None and description.get("kind") not in kinds:
        expected = " or ".join(sorted(kinds))  # a set's own order is another one in every run
        raise InputError(f"{path}: holds a model of kind {description.get('kind')}, expected {expected}")
    # Not on the meta device: materialising from it imports a second's worth of torch, in every job.
    with torch.random.fork_rng(devices=[]):
        network = build(description.get("network", {}), f"{path}: network")
    artifacts.load_into(network, tensors, path)
    return network.eval(), description
