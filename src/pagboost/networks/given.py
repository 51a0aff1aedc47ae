"""Networks as people name them on a command line: a weights file, or a function that returns one.

FILE.safetensors, FUNCTION, FUNCTION?{arguments as JSON}, or the options of a network of kind function: JSON, or
SCALE.yaml:models.NAME. Whoever names a function runs it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from msgspec import structs, to_builtins

from pagboost import artifacts, cli, functions, networks
from pagboost.errors import InputError
from pagboost.networks import probing
from pagboost.networks.function import FunctionFeatures
from pagboost.options.networks import Function
from pagboost.options.pretrained import Imported
from pagboost.options.reading import read

EXTRACTOR = Imported.kind  # what a function's network is where it gives features


class Given(NamedTuple):
    """A network in eval mode on the CPU, its description as networks.load returns it, and what tells it from others."""

    network: torch.nn.Module
    description: Mapping[str, Any]
    name: str
    sha256: str


def load(
    source: str | Path, kinds: Collection[str], images: tuple[int, int] | None = None, kind: str = "classifier"
) -> Given:
    """The network that `source` names.

    kinds: what the caller can use, as of networks.load. kind: what a function's network is where nothing declares it.
    images: (channels, size) of what it will see, where the caller knows: it is probed on such images (probing).
    Raises InputError as networks.load does, for whatever a function raises, and for a network that is not of its kind.
    """
    if (found := _function(str(source))) is None:
        network, description = networks.load(source, kinds)
        return Given(network, description, Path(source).stem, artifacts.file_hash(source))
    options, declared, seen = found
    kind = declared or kind
    if kind not in kinds:
        raise InputError(f"{source}: a model of kind {kind}, expected {' or '.join(sorted(kinds))}")
    if images is not None and seen is None:
        options = structs.replace(options, channels=images[0])
    size = images[1] if images is not None else options.input_size
    where = options.function
    if size is None:
        stated = json.dumps({"function": where, "arguments": options.arguments, "input_size": 224})
        raise InputError(f"{where}: nothing says the side of the images that it sees, expected input_size: '{stated}'")
    network, facts = networks.returned(options, where)
    dataset = {"channels": options.channels, "size": size}
    dataset["num_classes"] = probe(network, kind, size, where)
    description = networks.described({"kind": kind, "network": spec_of(options), "dataset": dataset, **facts}, where)
    versions = ", ".join(f"{name} {version}" for name, version in facts[networks.MADE_OF]["packages"].items())
    name = Path(where).name
    return Given(network, description, f"{name} ({versions})" if versions else name, identity(options, facts))


def probe(network: torch.nn.Module, kind: str, size: int, where: str) -> int:
    """The number of classes of a function's network: of logits; of an extractor 1, which nobody asks.

    Raises InputError for one that is not what it is to be, on images of `size` pixels a side.
    """
    if kind == EXTRACTOR:
        probing.check_features(FunctionFeatures(network, size).eval(), size, where)
        return 1
    return probing.check_logits(network, network.in_channels, size, where)


def spec_of(options: Function) -> dict[str, Any]:
    """The spec that networks.build makes it of."""
    return {"kind": Function.kind, **to_builtins(options)}


def identity(options: Function, facts: Mapping[str, Any]) -> str:
    """sha256 of what a function's network is: code or a package's version, arguments, weights; not its folder."""
    named = {**to_builtins(options), "function": Path(options.function).name, **facts}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def is_function(source: str | Path) -> bool:
    """Whether a function is named, and no file. Raises InputError for one that is named wrongly."""
    return _function(str(source)) is not None


def _function(text: str) -> tuple[Function, str, Any] | None:
    """(a network of kind function, what it is declared to be, the channels that are said) of text; None of a file."""
    if os.path.isfile(text):  # which JSON may be too long for
        return None
    if not (text.lstrip().startswith("{") or ".yaml:" in text or ".yml:" in text):
        call = functions.read(text)
        return None if call is None else (Function(function=call[0], arguments=call[1]), "", None)
    try:
        content = dict(cli.spec(text))
    except argparse.ArgumentTypeError as error:
        raise InputError(str(error)) from error
    role = (content.get("training") or {}).get("stands_for") if "network" in content else None
    kind = content.get("kind")
    if "network" in content:
        if kind != Imported.kind:
            raise InputError(f"{text}: a model of kind {kind}, expected {Imported.kind}, or the weights file of it")
        content = dict(content["network"] or {})
    if content.pop("kind", Function.kind) != Function.kind:
        raise InputError(f"{text}: expected a network of kind {Function.kind}")
    stated = (role or {}).get("kind", "") or (EXTRACTOR if kind == Imported.kind else "")
    return read(Function, content, "network"), stated, content.get("channels")
