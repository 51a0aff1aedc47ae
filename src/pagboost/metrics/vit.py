"""Vision transformers that measure: timm's network, how images are brought to it, and what other projects' files hold.

A ViT's tensors are called by timm's names here, which are those of DINOv2's own files too. Files of transformers and of
OpenAI or OpenCLIP call them otherwise, and cut some of them otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn

from pagboost.metrics.names import DISTANCE
from pagboost.networks import onednn
from pagboost.networks.copies import replaced, twin
from pagboost.options.extractors import ViT
from pagboost.sources import packages
from pagboost.sources.stored import Stored

PATCH = 14
RESIZERS = 8  # threads
SIZES = {"width": "embed_dim", "depth": "depth", "heads": "num_heads"}  # and what timm calls them
CALLED = {(1024, 24, 16): "", (768, 12, 12): "-B", (384, 12, 6): "-S"}


def network(options: ViT, size: int, **others: object) -> nn.Module:
    """timm's ViT of patches of 14, for images of `size`; its weights are whatever torch starts from."""
    library = packages.optional("timm.models.vision_transformer", "extractors")
    sizes = {theirs: getattr(options, own) for own, theirs in SIZES.items()}
    return library.VisionTransformer(img_size=size, patch_size=PATCH, weight_init="skip", **sizes, **others)


def distance(name: str, options: ViT) -> str:
    """What the Fréchet distance of a ViT's features is called: FD-NAME of ViT-L, of others with their size."""
    size = CALLED.get(tuple(getattr(options, key) for key in SIZES), f"-{options.width}x{options.depth}")
    return f"{DISTANCE}{name}{size}"


def fixed(network: nn.Module, device: torch.device) -> nn.Module:
    """The same function of weights that stay, which are not copied: on a CPU, linear layers are oneDNN's products."""
    if not onednn.fuses(device):
        return network
    return replaced(twin(network).eval(), nn.Linear, onednn.FixedLinear)


def by_pillow(x: torch.Tensor, size: int) -> torch.Tensor:
    """x [N, 3, H, W] in [0, 1], of 256 levels, to [N, 3, size, size] of 256 levels: Pillow's antialiased bicubic.

    On the CPU, image by image, as torchvision's Resize does of a picture.
    """
    if x.shape[-2:] == (size, size):
        return x
    stored = x.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()

    def resized(picture: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC))

    with ThreadPoolExecutor(min(RESIZERS, torch.get_num_threads())) as pool:
        pictures = np.stack(list(pool.map(resized, stored)))
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).to(x.device) / 255


# -- files of other projects


@dataclass(frozen=True)
class Naming:
    """How a project calls a ViT's tensors: a name that its files alone have, what is none of the ViT's, and (pattern,
    timm's name) one after the other, of whole names' parts.
    """

    mark: str
    ignored: tuple[str, ...]
    parts: tuple[tuple[str, str], ...]


def renamed(found: Mapping[str, Stored], namings: Sequence[Naming]) -> dict[str, Stored]:
    """A file's tensors under timm's names, queries, keys and values in one; files of no known naming as they are."""
    naming = next((one for one in namings if one.mark in found), None)
    if naming is None:
        return dict(found)
    result = {}
    for name, tensor in found.items():
        if not name.startswith(naming.ignored):
            for pattern, own in naming.parts:
                name = re.sub(pattern, own, name)
            result[name] = tensor
    return _joined(result)


def _joined(found: Mapping[str, Stored]) -> dict[str, Stored]:
    """attn.q, attn.k and attn.v as attn.qkv, a tensor below the other, as timm has them."""
    result = {}
    for name, tensor in found.items():
        split = re.fullmatch(r"(.*\.attn\.)([qkv])(\.\w+)", name)
        if split is None:
            result[name] = tensor
        elif split[2] == "q":
            parts = [found.get(f"{split[1]}{part}{split[3]}") for part in "qkv"]
            if all(part is not None and part.shape == tensor.shape for part in parts):
                shape = (3 * tensor.shape[0], *tensor.shape[1:]) if tensor.shape else ()
                result[f"{split[1]}qkv{split[3]}"] = Stored(shape, tensor.dtype, _below(parts))
    return result


def _below(parts: Sequence[Stored]) -> Callable[[], torch.Tensor]:
    return lambda: torch.cat([part.read() for part in parts])


def shaped(tensor: Stored, shape: tuple[int, ...]) -> Stored:
    """The same numbers in another shape, where they are as many."""
    if math.prod(tensor.shape) != math.prod(shape):
        return tensor
    return Stored(shape, tensor.dtype, lambda: tensor.read().reshape(shape))


def turned(tensor: Stored) -> Stored:
    """A matrix transposed; anything else as it is."""
    return Stored(tensor.shape[::-1], tensor.dtype, lambda: tensor.read().T) if len(tensor.shape) == 2 else tensor
