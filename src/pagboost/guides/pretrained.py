"""Public weights in other projects' formats, turned into this project's: read as tensors, never executed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch

from pagboost import artifacts, networks
from pagboost.errors import InputError
from pagboost.generators.diffusion.schedule import make_schedule
from pagboost.guides.joint import reference_level
from pagboost.options.pretrained import Layout, Normalisation, Pretrained, Referenced, Role
from pagboost.sources import download, tensor_files, tensor_names
from pagboost.sources.stored import Stored
from pagboost.training import Data, Run, Trained

log = logging.getLogger(__name__)

CARRIED = ("file", "sha256", networks.STATE, networks.MADE_OF)  # facts of a model that stay true once its l0 is known


def pretrained(
    data: Data,
    network: Mapping,
    run: Run,
    inputs: Mapping[str, Path],
    options: Pretrained,
) -> Trained:
    """The network of a public file, whose tensors are named as `options` say; nothing is trained, no image is seen.

    A file whose hash is not stated is taken with a warning that says what to pin. Facts: what it stands for.
    Raises InputError for another hash, a file that cannot be read as tensors, missing, unknown or misshapen tensors,
    and a network that is not what it is to stand for.
    """
    role = options.stands_for
    if role is not None:
        check_role(role, network, data.x.shape[1])
    path = download.local(options.file, options.sha256, options.downloads)
    digest = artifacts.file_hash(path)
    if options.sha256 is None:
        log.warning("%s: its content is not pinned, training.sha256 would be %s", path, digest)
    facts = {"file": Path(options.file).name, "sha256": digest}
    if role is not None:
        facts |= {"kind": role.kind, **msgspec.to_builtins(role)}
    net, spec = with_tensors(network, path, options)
    return Trained(net, spec, facts)


def network_of(spec: Mapping[str, Any], path: Path) -> torch.nn.Module:
    """The network of a spec with the tensors of a public file that names them as the network does, in eval mode.

    Raises InputError for a file that cannot be read as tensors, missing, unknown or misshapen tensors.
    """
    return with_tensors(spec, path, Layout())[0]


def with_tensors(spec: Mapping[str, Any], path: Path, layout: Layout) -> tuple[torch.nn.Module, dict[str, Any]]:
    """(the network of a spec with the tensors of a public file, in eval mode; the spec, its normalisation the file's).

    Names and shapes are compared before a number is read. Raises InputError as `network_of` does, and for numbers that
    are not finite.
    """
    found, normaliser = tensor_names.of_network(tensor_files.read(path), layout, str(path))
    spec = normalised(spec, layout, normaliser, path)
    net = networks.unfilled(spec)
    own = getattr(net, "model", net)  # where a wrapper normalises or resizes, the file is of the network inside
    if hasattr(net, "of_file"):  # it knows the names, or the parts, that files of others have
        found = net.of_file(found)
    wanted = own.state_dict()
    # BatchNorm's batch counters are not in files of old PyTorch versions, and nothing that is evaluated uses them
    absent = {k: v for k, v in wanted.items() if k.endswith(tensor_names.COUNTER) and k not in found}
    tensor_names.check(found, {k: v for k, v in wanted.items() if k not in absent}, type(own).__name__, str(path))
    with artifacts.readable(path, tensor_files.WHAT):
        tensors = {key: value.read() for key, value in found.items()}
    artifacts.load_into(own, {**tensors, **absent}, path)
    artifacts.check_finite(own.state_dict(), path)
    return net.eval(), spec


def normalised(spec: Mapping[str, Any], layout: Layout, normaliser: Mapping[str, Stored], path: Path) -> dict[str, Any]:
    """The spec with what the layout says in place of its mean and std: given numbers, the file's, or none at all."""
    if layout.normaliser is None:
        return dict(spec)
    if "mean" not in spec or "std" not in spec:
        where = f"expected null (network.kind: {spec.get('kind')} has no mean and std)"
        raise InputError(f"training.normaliser: {msgspec.to_builtins(layout.normaliser)}, {where}")
    if isinstance(layout.normaliser, Normalisation):
        return {**spec, **msgspec.to_builtins(layout.normaliser)}
    if layout.normaliser == "none":
        channels = len(spec["mean"])
        return {**spec, "mean": [0.0] * channels, "std": [1.0] * channels}
    with artifacts.readable(path, tensor_files.WHAT):
        # seven digits are those of float32: the network's own tensors come out equal to the file's
        mean, std = ([round(float(n), 7) for n in normaliser[k].read().flatten()] for k in ("new_mean", "new_std"))
    return {**spec, "mean": mean, "std": std}


def check_role(role: Role, network: Mapping, channels: int) -> None:
    """Raise InputError unless the network's spec is of the role's kind, and its forward process can be computed."""
    where = f"training.stands_for.kind: {role.kind}"
    if network.get("kind") not in role.networks:
        raise InputError(f"network.kind: {network.get('kind')}, expected {' or '.join(role.networks)} ({where})")
    if role.outputs is not None and network.get("out_channels") != role.outputs * channels:
        expected = role.outputs * channels
        raise InputError(f"network.out_channels: {network.get('out_channels')}, expected {expected} ({where})")
    if hasattr(role, "schedule"):
        make_schedule(role.schedule, role.diffusion_steps)


def referenced(
    data: Data,
    network: None,
    run: Run,
    inputs: Mapping[str, Path],
    options: Referenced,
) -> Trained:
    """A joint model from elsewhere with the l0 that it has on the data (Golan Eq. 13); its weights are as they were.

    Facts: l0, and over how many images it is a mean. Raises InputError for another kind of model, one that has its l0,
    and one made for other images.
    """
    if "joint" not in inputs:
        raise InputError(f"inputs: {', '.join(inputs) or 'none'}, expected joint (weights)")
    net, description = networks.load(inputs["joint"], {"joint"})
    if "l0" in description:
        raise InputError(f"{inputs['joint']}: has an l0 of its own, expected a joint model from elsewhere")
    made_for = {"channels": data.x.shape[1], "size": data.x.shape[2], "num_classes": data.num_classes}
    if description["dataset"] != made_for:
        raise InputError(f"{inputs['joint']}: made for {description['dataset']}, expected {made_for} (the data's)")
    used = data.first(options.count)
    net.to(run.device, memory_format=torch.channels_last)
    facts = {key: description[key] for key in CARRIED if key in description}
    facts |= {"kind": "joint", "l0": reference_level(net, used, run.device), "l0_images": len(used.x)}
    return Trained(net, description["network"], facts)
