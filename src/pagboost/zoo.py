"""Public weights in other projects' formats, turned into this project's: read as tensors, never executed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from pagboost import artifacts, cli, download, networks
from pagboost.diffusion import ddpm
from pagboost.diffusion.schedule import make_schedule
from pagboost.errors import InputError
from pagboost.training import Data, Run, Trained

log = logging.getLogger(__name__)


def pretrained(
    data: Data,
    network: Mapping,
    run: Run,
    inputs: Mapping[str, Path],
    *,
    file: str,
    sha256: str | None,
    downloads: str = "downloads",
    stands_for: Mapping[str, object] | None = None,
) -> Trained:
    """The network of a public file of tensors (.pt, .pth), which names them as the network does; nothing is trained.

    file: a path, or a URL that is kept in `downloads`; sha256: of the file, whole or its first 8 digits or more (null:
    whatever it holds, with a warning that says what to pin). stands_for: what it was trained as, where it is to be used
    as more than an extractor: {kind: ddpm, schedule, diffusion_steps, target}, {kind: time_classifier, schedule,
    diffusion_steps} or {kind: classifier}.
    Raises InputError for another hash, a file that holds more than tensors, missing, unknown or misshapen tensors, and
    a network that is not what it is to stand for.
    """
    if stands_for is not None:
        check_role(stands_for, network, data.x.shape[1])
    path = download.local(file, sha256, downloads, unpinned=True)
    digest = artifacts.file_hash(path)
    if sha256 is None:
        log.warning("%s: its content is not pinned, training.sha256 would be %s", path, digest)
    return Trained(
        network_of(network, path), network, {"file": Path(file).name, "sha256": digest, **(stands_for or {})}
    )


def network_of(spec: Mapping, path: Path) -> torch.nn.Module:
    """The network of a spec with the tensors of a public file, in eval mode.

    Raises InputError for a file that holds more than tensors, missing, unknown or misshapen tensors.
    """
    with artifacts.readable(path, "public weights (.pth of tensors)"):
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(tensors, Mapping):
        raise InputError(f"{path}: holds {type(tensors).__name__}, expected tensors by name")
    net = networks.build(spec)
    own = getattr(net, "model", net)  # where a wrapper normalises or resizes, the file is of the network inside
    # BatchNorm's batch counters are not in files of old PyTorch versions, and nothing that is evaluated uses them
    counters = {key: value for key, value in own.state_dict().items() if key.endswith("num_batches_tracked")}
    artifacts.load_into(own, {**counters, **tensors}, path)
    return net.eval()


def check_role(stands_for: Mapping[str, object], network: Mapping, channels: int) -> None:
    """Raise InputError unless stands_for says all that its users need, and the network's spec is of that kind."""
    where, options = "training.stands_for", dict(stands_for)
    kind = options.pop("kind", None)
    if kind not in ROLES:
        raise InputError(f"{where}.kind: {kind}, expected one of: {', '.join(ROLES)}")
    cli.call(ROLES[kind], network, channels, where=where, options=options)


def _diffusion(network: Mapping, channels: int, *, schedule: str, diffusion_steps: int, target: str) -> None:
    _spec("ddpm", network, kind="unet", out_channels=2 * channels)  # a mean and a variance, IDDPM Sec. 3.1
    make_schedule(schedule, diffusion_steps)
    ddpm.check_target(target)


def _time_classifier(network: Mapping, channels: int, *, schedule: str, diffusion_steps: int) -> None:
    _spec("time_classifier", network, kind="unet_encoder")
    make_schedule(schedule, diffusion_steps)


def _classifier(network: Mapping, channels: int) -> None:
    _spec("classifier", network, kind="resnet")


def _spec(role: str, network: Mapping, **expected: object) -> None:
    for key, value in expected.items():
        if network.get(key) != value:
            raise InputError(f"network.{key}: {network.get(key)}, expected {value} (training.stands_for.kind: {role})")


ROLES = {"ddpm": _diffusion, "time_classifier": _time_classifier, "classifier": _classifier}
