"""Public weights in other projects' formats, turned into this project's: read as tensors, never executed."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import torch

from pagboost import artifacts, networks
from pagboost.errors import InputError, listed
from pagboost.generators.diffusion.schedule import make_schedule
from pagboost.options.trainings import Pretrained, Role
from pagboost.sources import download
from pagboost.training import Data, Run, Trained

log = logging.getLogger(__name__)

COUNTER = "num_batches_tracked"


def pretrained(
    data: Data,
    network: Mapping,
    run: Run,
    inputs: Mapping[str, Path],
    options: Pretrained,
) -> Trained:
    """The network of a public file of tensors (.pt, .pth), which names them as the network does; nothing is trained.

    A file whose hash is not stated is taken with a warning that says what to pin. Facts: what it stands for.
    Raises InputError for another hash, a file that holds more than tensors, missing, unknown or misshapen tensors, and
    a network that is not what it is to stand for.
    """
    role = options.stands_for
    if role is not None:
        check_role(role, network, data.x.shape[1])
    path = download.local(options.file, options.sha256, options.downloads, unpinned=True)
    digest = artifacts.file_hash(path)
    if options.sha256 is None:
        log.warning("%s: its content is not pinned, training.sha256 would be %s", path, digest)
    facts = {"file": Path(options.file).name, "sha256": digest}
    if role is not None:
        facts |= {"kind": role.kind, **msgspec.to_builtins(role)}
    return Trained(network_of(network, path), network, facts)


def network_of(spec: Mapping, path: Path) -> torch.nn.Module:
    """The network of a spec with the tensors of a public file, in eval mode.

    Raises InputError for a file that holds more than tensors, missing, unknown or misshapen tensors.
    """
    content = tensors_of(path)
    net = networks.build(spec)
    own = getattr(net, "model", net)  # where a wrapper normalises or resizes, the file is of the network inside
    # BatchNorm's batch counters are not in files of old PyTorch versions, and nothing that is evaluated uses them
    counters = {key: value for key, value in own.state_dict().items() if key.endswith(COUNTER)}
    tensors = {**counters, **content}
    if tensors.keys() != own.state_dict().keys():
        prefix = fitting_prefix(content, own.state_dict())
        if prefix is not None:
            named = sum(name.startswith(prefix) for name in content)
            raise InputError(
                f"{path}: {named} of its {len(content)} tensors are named {prefix}…, expected the names of a "
                f"{type(own).__name__}: they would fit without {prefix}"
            )
    artifacts.load_into(own, tensors, path)
    return net.eval()


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    """The tensors by name of a public file, on the CPU.

    Raises InputError for a file that cannot be read as tensors alone, and for one whose tensors lie deeper, or beside
    other things: it says what the file holds.
    """
    with artifacts.readable(path, "public weights (.pth of tensors)"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice on files of other kinds, which are refused in one line
        content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds {_described(content)}, expected tensors by name")
    if not content or not all(map(_is_tensor, content.values())):
        held = listed(f"{key} ({_described(value)})" for key, value in content.items() if not _is_tensor(value))
        loose = sum(map(_is_tensor, content.values()))
        beside = f" beside {loose} tensors" if loose else ""
        raise InputError(f"{path}: holds {held or 'nothing'}{beside}, expected tensors by name and nothing else")
    return {str(key): value for key, value in content.items()}


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def _described(value: object) -> str:
    """What an entry of a file is, in few words."""
    if isinstance(value, Mapping):
        tensors = sum(map(_is_tensor, value.values()))
        return f"{tensors} tensors by name" if tensors else f"{len(value)} entries, no tensors"
    return type(value).__name__


def fitting_prefix(names: Iterable[str], own: Iterable[str]) -> str | None:
    """What the names of a network's tensors begin with in a file (`module.`), batch counters aside.

    None where there is nothing that, taken away, leaves exactly the network's own names.
    """
    wanted = {name for name in own if not name.endswith(COUNTER)}
    found = [name for name in names if not name.endswith(COUNTER)]
    one = min(wanted)
    beginnings = sorted({name.removesuffix(one) for name in found if name.endswith(f".{one}")}, key=len)
    return next((p for p in beginnings if {n[len(p) :] for n in found if n.startswith(p)} == wanted), None)


def check_role(role: Role, network: Mapping, channels: int) -> None:
    """Raise InputError unless the network's spec is of the role's kind, and its forward process can be computed."""
    expected: dict[str, object] = {"kind": role.network}
    if role.outputs is not None:
        expected["out_channels"] = role.outputs * channels
    for key, value in expected.items():
        if network.get(key) != value:
            where = f"training.stands_for.kind: {role.kind}"
            raise InputError(f"network.{key}: {network.get(key)}, expected {value} ({where})")
    if hasattr(role, "schedule"):
        make_schedule(role.schedule, role.diffusion_steps)
