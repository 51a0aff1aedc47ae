#!/usr/bin/env python3
"""UNet and guided sampling beside OpenAI's guided-diffusion: the published 64-pixel model's widths, equal weights.

git clone https://github.com/openai/guided-diffusion peer
python benchmarks/sampling.py --guided-diffusion peer                       (CPU: 1 image, 2 steps)
python benchmarks/sampling.py --guided-diffusion peer --device cuda --images 32 --steps 25 --json sampling.json

Weights are random and the same on both sides, so is the noise. On a GPU the peer runs as its README has it: its UNet
in fp16, its classifier in fp32; our own in bf16. `small`: a narrow UNet, which waits for the CPU to start kernels.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from typing import Any

import peers
import torch

from pagboost import networks, rng, runtime
from pagboost.generators import guidance
from pagboost.networks.frozen import frozen_copy, sampled_copy
from pagboost.options.reading import read
from pagboost.options.samplers import Guided

SHAPE = {"full": {"model_channels": 192, "num_res_blocks": 3}, "small": {"model_channels": 64, "num_res_blocks": 1}}
SHARED = {
    "image_size": 64, "in_channels": 3, "channel_mult": [1, 2, 3, 4], "attention_resolutions": [32, 16, 8],
    "num_head_channels": 64, "resblock_updown": True, "attention_order": "new", "use_scale_shift_norm": True,
}  # fmt: skip
ENCODER = {"kind": "unet_encoder", **SHARED, "model_channels": 128, "num_res_blocks": 4, "num_classes": 1000,
           "attention_order": "legacy"}  # fmt: skip
PEER = "guided-diffusion, as it is"


def find(folder: str) -> Any:
    """Its functions that make models."""
    sys.path.insert(0, folder)
    return importlib.import_module("guided_diffusion.script_util")


def their_unet(found: Any, width: dict[str, int], half: bool, steps: int) -> tuple[torch.nn.Module, Any]:
    given = {
        **found.model_and_diffusion_defaults(), "image_size": 64, "num_channels": width["model_channels"],
        "num_res_blocks": width["num_res_blocks"], "num_head_channels": 64, "attention_resolutions": "32,16,8",
        "class_cond": True, "learn_sigma": True, "resblock_updown": True, "use_new_attention_order": True,
        "use_scale_shift_norm": True, "use_fp16": half, "noise_schedule": "cosine", "timestep_respacing": str(steps),
    }  # fmt: skip
    return found.create_model_and_diffusion(**given)


def their_classifier(found: Any) -> torch.nn.Module:
    return found.create_classifier(**{**found.classifier_defaults(), "classifier_depth": 4})


def their_sampling(found: Any, unet: Any, diffusion: Any, classifier: Any, y: torch.Tensor) -> Any:
    """Guided ancestral sampling as scripts/classifier_sample.py runs it, its noise drawn from our streams."""
    process = importlib.import_module("guided_diffusion.gaussian_diffusion")

    def towards(x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            chosen = classifier(x, t).log_softmax(-1)[range(len(x)), y]
            return torch.autograd.grad(chosen.sum(), x)[0]

    def sample() -> torch.Tensor:
        streams = own_streams(y)
        noise = streams.randn((3, 64, 64))
        process.th = types.SimpleNamespace(**vars(torch))
        process.th.randn_like = lambda x: streams.randn((3, 64, 64))
        arguments = {"cond_fn": towards, "model_kwargs": {"y": y}, "clip_denoised": True, "device": y.device}
        x = diffusion.p_sample_loop(unet, (len(y), 3, 64, 64), noise=noise, **arguments)
        return ((x + 1) / 2).clamp(0, 1)

    return sample


def own_streams(y: torch.Tensor) -> rng.SampleStreams:
    return rng.SampleStreams("benchmark", [0] * len(y), range(len(y)), y.device)


def compared(found: Any, width: str, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(0)
    size = {**SHARED, **SHAPE[width]}
    network = peers.lived_in(networks.build({"kind": "unet", "out_channels": 6, "num_classes": 1000, **size}))
    classifier = peers.lived_in(networks.build(ENCODER))
    half, count = device.type == "cuda", options.images
    theirs, diffusion = their_unet(found, SHAPE[width], half, options.steps)
    judge = their_classifier(found)
    judge.load_state_dict(classifier.state_dict())
    theirs.load_state_dict(network.state_dict())
    theirs, judge = theirs.to(device).eval(), judge.to(device).eval()
    if half:
        theirs.convert_to_fp16()
    network.to(device, memory_format=torch.channels_last)
    x, t, y = torch.randn(count, 3, 64, 64).to(device), torch.full((count,), 500.0).to(device), torch.arange(count)
    y = y.to(device)
    fast, asked = sampled_copy(network, device), frozen_copy(classifier.to(device), device)
    sampler = read(Guided, {"schedule": "cosine", "diffusion_steps": 1000, "steps": options.steps, "target": "noise",
                            "clip_x_0": True, "scale": 1.0}, "sampler")  # fmt: skip

    @torch.no_grad()
    def peer_forward() -> torch.Tensor:
        with peers.torch_defaults():
            return theirs(x, t, y).float()

    @torch.no_grad()
    def before() -> torch.Tensor:
        with runtime.autocast(device):
            return network(x, t, y).float()

    @torch.no_grad()
    def forward() -> torch.Tensor:
        with runtime.autocast(device):
            return fast(x, t, y).float()

    works = {PEER: peer_forward, "pagboost, the network as it is trained": before, "pagboost": forward}
    seconds = peers.side_by_side(works, device, options.repeats, options.clock)
    truth = works[PEER]()
    said = {
        name: f"{count / taken:8.2f} images/s   difference {float((works[name]() - truth).norm() / truth.norm()):.5f}"
        for name, taken in seconds.items()
    }
    peers.table(f"{width} UNet, forward pass of {count} images of 64 px", seconds, PEER, said)
    profile = peers.kernels(works["pagboost"]) if options.profile and device.type == "cuda" else {}
    sample = their_sampling(found, theirs, diffusion, judge, y)

    def theirs_guided() -> torch.Tensor:
        with peers.torch_defaults(), torch.no_grad():
            return sample()

    def guided() -> torch.Tensor:
        with torch.no_grad(), runtime.autocast(device):
            return guidance.sample_guided(fast, y, own_streams(y), (3, 64, 64), sampler, asked)

    works = {PEER: theirs_guided, "pagboost": guided}
    repeats = max(1, options.repeats // 2)
    drawn = peers.side_by_side(works, device, repeats, options.clock, warm=1)
    ends = {name: works[name]() for name in drawn}
    said = {
        name: f"{count / taken:8.3f} images/s   mean difference {float((ends[name] - ends[PEER]).abs().mean()):.5f}"
        for name, taken in drawn.items()
    }
    peers.table(f"{width} UNet, guided sampling, {options.steps} steps of {count} images", drawn, PEER, said)
    return {"forward": seconds, "guided": drawn, "said": said, "kernels": profile}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guided-diffusion", required=True, help="a checkout of it")
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--widths", nargs="+", choices=[*SHAPE], default=["full"])
    options = peers.options(parser)
    runtime.prepare(options.threads)
    device = torch.device(options.device)
    found: dict[str, Any] = {"machine": peers.machine(device)}
    made = find(options.guided_diffusion)
    for width in options.widths:
        peers.part(width, lambda width=width: compared(made, width, device, options), found)
    peers.written(options.json, found)


if __name__ == "__main__":
    main()
