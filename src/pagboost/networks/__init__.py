"""Networks by name: a spec `{"kind": ..., **options}` builds one, and weights carry the spec they were built from."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch.nn import init

from pagboost import artifacts, functions
from pagboost.errors import InputError
from pagboost.options import extractors as _  # noqa: F401  their kinds are networks too
from pagboost.options.kinds import Options, hints, named
from pagboost.options.networks import Function, Network
from pagboost.options.reading import read
from pagboost.options.types import Count, Number, Side

# Facts of weights that are not in their file: a function returns them (Function), and they are what they were.
STATE, MADE_OF = "state_sha256", "made_of"


def build(spec: Mapping[str, Any] | Network | None, where: str = "network") -> torch.nn.Module:
    """A freshly initialised network of a spec, or of options as read from one; where: the spec's path, for errors.

    Draws its weights from torch's global generator (seed it before).
    """
    options = spec if isinstance(spec, Network) else read(Network, {} if spec is None else spec, where)
    try:
        return named(options.uses)(options)
    except InputError:
        raise
    except (ArithmeticError, LookupError, ValueError) as error:  # what sizes that do not fit each other look like
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = f"no {options.kind} can be built of {msgspec.to_builtins(options)}"
        raise InputError(f"{where}: {what} ({reason}), expected sizes that fit") from error


def save(path: str | Path, network: torch.nn.Module, spec: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write a network's weights with its spec and facts (what it was trained as, on what, for how long).

    Where facts hold the hash of what a function returned (`returned`), they alone are written.
    """
    tensors = {} if STATE in facts else network.state_dict()
    artifacts.save_weights(path, tensors, {"network": dict(spec), **facts})


class Facts(dict):
    """What weights say of themselves; what is asked for and not there is an InputError that names their file."""

    def __init__(self, content: Mapping[str, Any], where: str) -> None:
        super().__init__(content)
        self.where = where

    def __missing__(self, key: str) -> Any:
        raise InputError(f"{self.where}: does not say {key}, expected weights that train.py wrote")


class _Stated(Options):
    """The facts that are computed with."""

    kind: str | None = None
    dataset: dict[str, Any] = msgspec.field(default_factory=dict)
    schedule: str | None = None
    diffusion_steps: Count | None = None
    target: str | None = None
    l0: Number | None = None


class _StatedImages(Options):
    """The same of the images that weights are made for."""

    channels: Count = 1
    size: Side = 1
    num_classes: Count = 1


def _check_types(known: type[Options], stated: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a fact of a wrong type; a description may say more than is known here."""
    read(known, {key: value for key, value in stated.items() if key in hints(known)}, where)


def described(description: Any, where: str) -> Facts:
    """The description of weights; InputError for a fact of a wrong type. Which facts are needed, their user knows."""
    if not isinstance(description, Mapping):
        raise InputError(f"{where}: its description is {description!r}, expected a mapping")
    _check_types(_Stated, description, where)
    if "dataset" not in description:
        return Facts(description, where)
    dataset = description["dataset"]
    _check_types(_StatedImages, dataset, f"{where}: dataset")
    return Facts({**description, "dataset": Facts(dataset, f"{where}: dataset")}, where)


@contextlib.contextmanager
def _undrawn() -> Iterator[None]:
    """Networks that are built within are not initialised, for weights that are loaded over them anyway."""
    drawn = {name: getattr(init, name) for name in dir(init) if name.endswith("_") and name[0] != "_"}
    try:
        for name in drawn:
            setattr(init, name, lambda tensor, *_, **__: tensor)
        yield
    finally:
        for name, function in drawn.items():
            setattr(init, name, function)


def unfilled(spec: Mapping[str, Any] | Network, where: str = "network") -> torch.nn.Module:
    """A network of a spec whose weights are whatever was in memory, for tensors that are all loaded over them.

    Not on the meta device: materialising from it imports a second's worth of torch, in every job.
    """
    with torch.random.fork_rng(devices=[]), _undrawn():
        return build(spec, where)


def returned(options: Function, where: str = "network") -> tuple[torch.nn.Module, dict[str, Any]]:
    """(network as a function returns it, in eval mode on the CPU; the facts that tell it from any other).

    The function runs, each time from the same state of torch's global generator. Raises InputError as it does, and for
    a module that is not there.
    """
    made_of = functions.made_of(options.function)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(options, where).eval()
    tensors = {key: value for key, value in network.state_dict().items() if isinstance(value, torch.Tensor)}
    return network, {STATE: artifacts.weights_hash(tensors, {}), MADE_OF: made_of}


def load(path: str | Path, kinds: Collection[str] | None = None) -> tuple[torch.nn.Module, dict[str, Any]]:
    """(network in eval mode on the CPU, description) of a weights file, loaded strictly.

    `kinds` lists what the caller can use, by the description's "kind" (the recipe it was trained with).
    Raises InputError naming the file for a foreign file, another kind, missing or misshapen tensors, NaN, a network
    whose function nobody has named here (functions.check_declared), or returns another one than it did.
    """
    tensors, description = artifacts.load_weights(path)
    description = described(description, str(path))
    if kinds is not None and description.get("kind") not in kinds:
        expected = " or ".join(sorted(kinds))  # a set's own order is another one in every run
        raise InputError(f"{path}: holds a model of kind {description.get('kind')}, expected {expected}")
    options = read(Network, description.get("network", {}), f"{path}: network")
    if isinstance(options, Function):
        functions.check_declared(options.function, options.arguments, str(path))
    if STATE in description:
        return _as_it_was(options, description, path), description
    network = unfilled(options, f"{path}: network")
    artifacts.load_into(network, tensors, path)
    return network.eval(), description


def _as_it_was(options: Network, description: Mapping[str, Any], path: str | Path) -> torch.nn.Module:
    """What a function returns, if it is what it returned when the file was written."""
    if not isinstance(options, Function):
        raise InputError(f"{path}: holds no weights of its {options.kind}, expected those that train.py wrote")
    again = "expected it as it was when the file was written (delete that, and what made it makes it again)"
    changed = functions.changed(description.get(MADE_OF), functions.made_of(options.function))
    if changed:
        raise InputError(f"{path}: {options.function} is another one by now: {', '.join(changed)}, {again}")
    network, facts = returned(options, f"{path}: network")
    if facts[STATE] != description[STATE]:
        raise InputError(f"{path}: {options.function} returns other weights than it did, {again}")
    return network
