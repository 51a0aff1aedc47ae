"""Multiply-adds of networks, by their specs: a network of any size is counted in seconds, whatever the machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch

from pagboost import networks
from pagboost.networks.multiply_adds import multiply_adds

Shape = tuple[int, int, int]  # of an image [C, H, W]

# a gradient at the image costs about as much as the forward pass, one at the weights twice as much
FORWARD, AT_IMAGE, AT_WEIGHTS = 1, 2, 3


def forward(network: Mapping[str, Any], shape: Shape) -> float:
    """Those of one image, or of one latent, forward through a network of a spec."""
    return _counted(json.dumps(network, sort_keys=True), shape)


def weights(network: Mapping[str, Any]) -> int:
    """How many numbers a network's weights are."""
    return _weights(json.dumps(network, sort_keys=True))


@cache
def _weights(text: str) -> int:
    """Built on the CPU: memory that nobody writes is not taken."""
    return sum(value.numel() for value in networks.unfilled(json.loads(text)).state_dict().values())


@cache
def _counted(text: str, shape: Shape) -> float:
    """On the meta device nothing is computed; it has no autocast, and a network that asks for it runs on the CPU."""
    spec = json.loads(text)
    if "group_size" in spec:  # of a batch; here there is one image
        spec["group_size"] = 1
    inputs = _inputs(spec, shape)
    try:
        return _counted_on(networks.unfilled(spec).eval().requires_grad_(False).to("meta"), inputs)
    except RuntimeError:
        here = [one if one is None else torch.zeros_like(one, device="cpu") for one in inputs]
        return _counted_on(networks.unfilled(spec).eval(), here)


def _counted_on(net: torch.nn.Module, inputs: Sequence[torch.Tensor | None]) -> float:
    call = net.features if _measures(net) else net
    with torch.no_grad():
        return multiply_adds(lambda: call(*inputs))


def _measures(net: torch.nn.Module) -> bool:
    """Whether a network is an extractor alone, which has no other output than features."""
    return type(net).forward is torch.nn.Module.forward


def _inputs(spec: Mapping[str, Any], shape: Shape) -> tuple[torch.Tensor | None, ...]:
    """One of each of what a network takes: images or latents, times, labels."""
    kind, classes = spec["kind"], spec.get("num_classes")
    label = torch.zeros(1, dtype=torch.long, device="meta") if classes else None
    if kind.endswith("_generator") or kind == "vae_decoder":
        first = torch.zeros(1, spec["z_dim"], device="meta")
        return (first,) if kind in ("vae_decoder", "mimicry_generator") and not classes else (first, label)
    image = torch.zeros(1, *shape, device="meta")
    if kind == "unet":
        return (image, torch.zeros(1, device="meta"), *([label] if classes else []))
    if kind == "unet_encoder":
        return image, torch.zeros(1, device="meta")
    return (image, label) if kind.endswith("_discriminator") else (image,)
