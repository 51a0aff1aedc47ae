"""Random weights in the layouts of others' files: what `options.pretrained.Layout` undoes is done here.

Numbers are bfloat16, which halves the disk that they take, and keep activations of order 1 through many layers.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from pagboost import artifacts, networks, rng
from pagboost.options.pretrained import Layout, Pretrained
from pagboost.options.reading import read
from pagboost.sources.tensor_names import COUNTER

BLOCK = 1 << 20  # random numbers that are drawn; larger tensors repeat them
DTYPE = torch.bfloat16
Content = dict[str, Any]


def random_tensors(network: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Random numbers under the names and in the shapes of a network's file: those of what a wrapper normalises for."""
    with torch.device("meta"):
        net = networks.build(network)
    own = getattr(net, "model", net).state_dict()
    block = torch.randn(BLOCK, generator=rng.generator("rehearsal"))
    return {name: _filled(name, value, block) for name, value in own.items()}


def _filled(name: str, like: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
    """Weights keep the variance of what they see, behind a ReLU; norms are near 1, biases near 0."""
    if not like.is_floating_point():
        return torch.zeros(like.shape, dtype=like.dtype)
    count = like.numel()
    noise = block.repeat(-(-count // BLOCK))[:count].view(like.shape)
    if name.endswith("running_var"):
        filled = 1 + 0.1 * noise.abs()
    elif like.dim() > 1:
        filled = noise * math.sqrt(2 / (count / like.shape[0]))
    else:
        filled = 0.1 * noise + name.endswith("weight")
    return filled.to(DTYPE)


def content(tensors: Mapping[str, torch.Tensor], layout: Layout, network: Mapping[str, Any]) -> Content:
    """What a file holds whose tensors `layout` leads to: under its names, within its mappings, beside what it ignores.

    Ignored beginnings hold the same tensors again, as the robustness library's attacker does.
    """
    back = {ours: theirs for theirs, ours in layout.rename.items()}
    beginning = "".join(layout.strip)
    names = {name: beginning + ".".join(back.get(part, part) for part in name.split(".")) for name in tensors}
    found: Content = {theirs: tensors[name] for name, theirs in names.items()}
    if layout.normaliser == "file":
        before = beginning.removesuffix("model.")
        for part, key in (("new_mean", "mean"), ("new_std", "std")):
            found[f"{before}normalizer.{part}"] = torch.tensor(network[key]).view(-1, 1, 1)
    for ignored in layout.ignore:
        if ignored.endswith("."):
            found |= {f"{ignored}{name}": value for name, value in tensors.items()}
        else:
            found[ignored] = torch.zeros(1)
    for key in reversed(layout.select.split(".") if layout.select else []):
        # beside them, what torch.load refuses with weights_only
        found = {key: found, "epoch": 1, "owner": argparse.Namespace(made_for="a rehearsal")}
    return found


def write(path: Path, entry: Mapping[str, Any], known: dict[str, Path]) -> None:
    """The file of a model of kind pretrained; a hard link to one of `known` that has the same layout and network."""
    layout = read(Pretrained, entry["training"], "training")
    same = repr((path.suffix, layout.select, layout.ignore, layout.strip, layout.rename, layout.normaliser))
    same += repr(sorted((key, value) for key, value in entry["network"].items() if key not in ("dropout", "resize")))
    if same in known:
        path.unlink(missing_ok=True)
        os.link(known[same], path)
        return
    tensors = random_tensors(entry["network"])
    if entry["network"]["kind"] == "inception":  # converted before there were such
        tensors = {name: value for name, value in tensors.items() if not name.endswith(COUNTER)}
    found = content(tensors, layout, entry["network"])
    with artifacts.atomic(path) as temporary:
        if path.suffix == ".safetensors":
            save_file({name: value.clone() for name, value in found.items()}, temporary)
        else:  # checkpoints of trainings are of before PyTorch 1.6
            torch.save(found, temporary, _use_new_zipfile_serialization=layout.select is None)
    known[same] = path
