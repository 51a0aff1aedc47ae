"""A network that a function returns, weights and all: probed, described, never copied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from pagboost import networks
from pagboost.errors import InputError
from pagboost.guides.pretrained import check_role
from pagboost.networks import given
from pagboost.options.networks import Network
from pagboost.options.pretrained import Imported
from pagboost.options.reading import read
from pagboost.training import Data, Run, Trained


def imported(data: Data, network: Mapping, run: Run, inputs: Mapping[str, Path], options: Imported) -> Trained:
    """What the network's function returns, if it is what it is to stand for on images of the data's shape.

    Facts: what it stands for, what it is made of, and the hash of its weights, by which networks.load knows it again.
    Raises InputError for whatever the function raises, and for a network that cannot guide or measure (probing).
    """
    role = options.stands_for
    if role is not None:
        check_role(role, network, data.x.shape[1])
    declared = read(Network, network, "network")
    net, facts = networks.returned(declared)
    size = data.x.shape[2] if declared.input_size is None or role is not None else declared.input_size
    classes = given.probe(net, given.EXTRACTOR if role is None else role.kind, size, declared.function)
    if role is not None and classes != data.num_classes:
        raise InputError(
            f"{declared.function}: gives {classes} logits, expected {data.num_classes} (the data's classes)"
        )
    if role is not None:
        facts |= {"kind": role.kind, **msgspec.to_builtins(role)}
    return Trained(net, network, facts)
