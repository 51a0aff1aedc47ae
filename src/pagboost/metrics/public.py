"""Public networks that are extractors by name: what is built, and where its weights come from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pagboost.errors import InputError
from pagboost.guides import pretrained
from pagboost.metrics import clip, dinov2, efficientnet
from pagboost.sources import download

BASE = {"width": 768, "depth": 12, "heads": 12}  # ViT-B
INCEPTION = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"


@dataclass(frozen=True)
class Public:
    """A network's spec; what its weights are called (--weights NAME=…), their file, and its hash where it is known."""

    spec: Mapping[str, Any]
    weights: str
    file: str
    sha256: str | None = None

    @property
    def variable(self) -> str:
        """What of the environment names other weights: a path or a URL."""
        return f"PAGBOOST_{self.weights.upper()}"


def _inception(resize: str) -> Public:
    return Public({"kind": "inception", "resize": resize}, "inception", INCEPTION)


PUBLIC = {
    "inception": _inception("pytorch"),
    "openai": _inception("tensorflow"),
    "clean": _inception("clean"),
    "efficientnet_lite0": Public(
        {"kind": "efficientnet_lite0"}, "efficientnet_lite0", efficientnet.FILE, efficientnet.SHA256
    ),
    "dinov2": Public({"kind": "dinov2"}, "dinov2", dinov2.FILE),  # as dgm-eval
    "edm2": Public({"kind": "dinov2", "resize": "torch"}, "dinov2", dinov2.FILE),
    "dinov2_vitb14": Public({"kind": "dinov2", **BASE}, "dinov2_vitb14", dinov2.FILE.replace("vitl14", "vitb14")),
    "clip": Public({"kind": "clip"}, "clip", clip.FILE),
}
NONE: Mapping[str, str] = {}
WEIGHTS = dict.fromkeys(public.weights for public in PUBLIC.values())  # their names, each once


def weights_given(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """{name: PATH or URL} of (name, PATH or URL); raises InputError for a name that no weights have, and one twice."""
    given: dict[str, str] = {}
    for name, source in pairs:
        if name not in WEIGHTS:
            raise InputError(f"--weights {name}={source}: expected one of: {', '.join(WEIGHTS)}")
        if name in given:
            raise InputError(f"--weights {name}={source}: {name} has weights already, expected one file")
        given[name] = source
    return given


def weights_file(name: str, given: Mapping[str, str] = NONE) -> Path:
    """The weights of a public extractor: as given by their name, else as the environment says, else the public ones.

    A URL's copy is kept in torch.hub's checkpoints. A hash in the name (net-0123abcd.pth, or #net-0123abcd.pth behind a
    URL) is checked. Raises InputError for another hash, a missing file, and where nothing can be downloaded.
    """
    public = PUBLIC[name]
    source = given.get(public.weights) or os.environ.get(public.variable) or public.file
    named = re.search(r"-([0-9a-f]{8,64})\.\w+$", source)
    promised = (source == public.file and public.sha256) or (named and named[1])
    try:
        return download.local(source, promised or None, Path(torch.hub.get_dir()) / "checkpoints")
    except InputError as error:
        where = f"--weights {public.weights}=PATH|URL or {public.variable}"
        raise InputError(f"{error}; weights of {public.weights} come from {where}") from None


def network(name: str, path: Path) -> torch.nn.Module:
    """A public extractor's network with the weights of a file, in eval mode; raises InputError for any other file."""
    return pretrained.network_of(PUBLIC[name].spec, path)
