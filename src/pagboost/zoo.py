"""Public weights in other projects' formats, turned into this project's: read as tensors, never executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from pagboost import artifacts, download, networks
from pagboost.errors import InputError
from pagboost.training import Data, Run, Trained


def pretrained(
    data: Data,
    network: Mapping,
    run: Run,
    inputs: Mapping[str, Path],
    *,
    file: str,
    sha256: str,
    downloads: str = "downloads",
) -> Trained:
    """The network of a public .pth of tensors, which names them as the network's `model` does; nothing is trained.

    file: a path, or a URL that is kept in `downloads`; sha256: of the file, whole or its first 8 digits or more.
    Raises InputError for another hash, a file that holds more than tensors, missing, unknown or misshapen tensors.
    """
    path = download.local(file, sha256, downloads)
    with artifacts.readable(path, "public weights (.pth of tensors)"):
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(tensors, Mapping):
        raise InputError(f"{path}: holds {type(tensors).__name__}, expected tensors by name")
    net = networks.build(network)
    # BatchNorm's batch counters are not in files of old PyTorch versions, and nothing that is evaluated uses them
    counters = {key: value for key, value in net.model.state_dict().items() if key.endswith("num_batches_tracked")}
    artifacts.load_into(net.model, {**counters, **tensors}, path)
    return Trained(net.eval(), network, {"file": Path(file).name, "sha256": artifacts.file_hash(path)})
