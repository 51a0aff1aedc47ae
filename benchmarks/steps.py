#!/usr/bin/env python3
"""What a boosting step costs against a sampler step (Golan et al. 2024, Sec. 4.2: 0.02 s against 0.55 s).

python benchmarks/steps.py digits                (a scale; networks are built as it says, with random weights)
python benchmarks/steps.py digits --generators cd1 adm --boosts wrn_joint --threads 2
python benchmarks/steps.py benchmarks/imagenet64.yaml --generators ct1 --images 2        (the paper's own networks)

A boosting step is the guide's forward pass and its gradient with respect to the image; a sampler step is what drawing
an image costs over its number of network evaluations (nfe). Multiply-adds are those that ran: on a CPU a large ResNet
leaves out zeros around maps of a few pixels, which the table step_cost of golan2024 counts, the same on every machine.
Seconds are of this one: the ratio of a line compares what ran in one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from pagboost import attacks, networks, objectives, rng
from pagboost.generators import sampling
from pagboost.networks.folding import folded
from pagboost.networks.multiply_adds import multiply_adds
from pagboost.options.networks import Network
from pagboost.options.reading import read
from pagboost.options.samplers import Sampler
from pagboost.planning import configuration, counted

ROOT = Path(__file__).parents[1]
REPEATS = 3  # the fastest counts

Cost = tuple[float, float]  # (seconds, multiply-adds) per image


def cost(work: Callable[[], Any], images: int) -> Cost:
    """What a call costs per image: the fastest of some, and the multiply-adds of one."""
    counts = multiply_adds(work)  # libraries take their buffers before the clock starts
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken) / images, counts / images


def built(scale: Mapping[str, Any], model: str, device: torch.device) -> torch.nn.Module:
    """A model's network with random weights; a joint model's is its backbone's."""
    torch.manual_seed(0)
    return networks.build(counted.network(scale, model)).eval().to(device, memory_format=torch.channels_last)


def image_of(scale: Mapping[str, Any], model: str) -> tuple[int, int, int]:
    """(C, H, W) of a model's images."""
    size = scale["datasets"][counted.declared(scale, model)["dataset"]]["size"]
    return read(Network, counted.network(scale, model), "network").image_channels(), size, size


def sampler_step(scale: Mapping[str, Any], generator: str, images: int, device: torch.device) -> Cost:
    """One network evaluation of a generator, per image."""
    entry = scale["generators"][generator]
    options, shape = read(Sampler, entry["sampler"], "sampler"), image_of(scale, entry["model"])
    classes = scale["datasets"][counted.declared(scale, entry["model"])["dataset"]]["num_classes"]
    network = built(scale, entry["model"], device)
    classifier = built(scale, entry["classifier"], device) if "classifier" in entry else None

    def draw() -> None:
        sampling.generate(network, options, shape, classes, [0], images, images, device, classifier)

    seconds, counts = cost(draw, images)
    return seconds / entry["nfe"], counts / entry["nfe"]


def boosting_step(scale: Mapping[str, Any], boost: str, images: int, device: torch.device) -> Cost:
    """One gradient step of a boost at the size its guide was trained at, per image."""
    guide = scale["boosts"][boost]["guide"]
    network = folded(built(scale, guide, device))
    x = torch.rand(images, *image_of(scale, guide), generator=rng.generator("benchmark")).to(device)
    y = torch.zeros(images, dtype=torch.long, device=device)
    with attacks.frozen(network):
        return cost(lambda: attacks.gradient(lambda x, y: objectives.bce_real(network(x), y), x, y), images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", help="a name in config/scales, or a scale file")
    parser.add_argument("--generators", nargs="+", default=["ct1", "cd1"])
    parser.add_argument("--boosts", nargs="+", default=["rn50_joint", "wrn_joint"])
    parser.add_argument("--images", type=int, default=100, help="images of a batch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    scale, _ = configuration.with_bases(ROOT, configuration.scale_file(ROOT, options.scale))
    steps = {name: sampler_step(scale, name, options.images, device) for name in options.generators}
    boosts = {name: boosting_step(scale, name, options.images, device) for name in options.boosts}
    for what, costs in (("sampler", steps), ("boosting", boosts)):
        for name, (seconds, counts) in costs.items():
            millions = counts / 1e6
            print(f"{what} step, {name}: {1000 * seconds:.2f} ms, {millions:.2f} million multiply-adds an image")
    for generator, step in steps.items():
        for boost, one in boosts.items():
            seconds, counts = (b / a for a, b in zip(one, step, strict=True))
            print(
                f"sampler step of {generator} / boosting step of {boost}: {seconds:.2f}x the seconds, "
                f"{counts:.2f}x the multiply-adds (Golan: 27.5x the seconds)"
            )


if __name__ == "__main__":
    main()
