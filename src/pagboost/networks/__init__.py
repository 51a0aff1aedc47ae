"""Networks by name: a spec `{"kind": ..., **options}` builds one, and weights carry the spec they were built from."""

from __future__ import annotations

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


def load(path: str | Path, kinds: Collection[str] | None = None) -> tuple[torch.nn.Module, dict[str, Any]]:
    """(network in eval mode on the CPU, description) of a weights file, loaded strictly.

    `kinds` lists what the caller can use, by the description's "kind" (the recipe it was trained with).
    Raises InputError naming the file for a foreign file, another kind, missing or misshapen tensors, NaN.
    """
    tensors, description = artifacts.load_weights(path)
    if kinds is not None and description.get("kind") not in kinds:
        expected = " or ".join(sorted(kinds))  # a set's own order is another one in every run
        raise InputError(f"{path}: holds a model of kind {description.get('kind')}, expected {expected}")
    # Not on the meta device: materialising from it imports a second's worth of torch, in every job.
    with torch.random.fork_rng(devices=[]):
        network = build(description.get("network", {}), f"{path}: network")
    artifacts.load_into(network, tensors, path)
    return network.eval(), description
