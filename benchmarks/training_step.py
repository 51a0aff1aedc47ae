#!/usr/bin/env python3
"""An adversarial training step beside MadryLab's `robustness`: ResNet-50, 64 pixels, 16 images, 4 attack steps, L2.

python benchmarks/training_step.py --robustness peer                    (see benchmarks/boosting.py)
python benchmarks/training_step.py --robustness peer --device cuda --images 16 128 --json training_step.json

Theirs: the attack on the model in eval mode, then its SGD step; ours as guides.classifier trains, with AdamW. Both
start from the same weights and see the same batch. After the steps both losses on it are printed.
"""

from __future__ import annotations

import argparse
import copy
from typing import Any

import peers
import torch

from pagboost import attacks, networks, objectives, runtime, training
from pagboost.guides import classifier
from pagboost.machine import number_format

EPS, ALPHA, SIZE = 1.0, 0.3, 64
PEER = "robustness, as it is"


def compared(found: Any, count: int, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(0)
    network = networks.build(peers.RN50).to(device)
    x, y = torch.rand(count, 3, SIZE, SIZE).to(device), torch.randint(10, (count,)).to(device)
    works: dict[str, Any] = {PEER: theirs(found, copy.deepcopy(network), x, y, options.steps)}
    if device.type == "cuda":
        step = theirs(found, copy.deepcopy(network), x, y, options.steps)
        works["robustness, autocast to bf16"] = lambda: in_bf16(step)
    works["pagboost, neither fused nor recorded"] = ours(copy.deepcopy(network), x, y, options.steps, plain=True)
    works["pagboost"] = ours(copy.deepcopy(network), x, y, options.steps, plain=False)
    if device.type == "cpu" and number_format.computes_bf16():
        with number_format.bf16_on_cpu():
            works["pagboost, attacks in bf16"] = ours(copy.deepcopy(network), x, y, options.steps, plain=False)
    seconds = peers.side_by_side(works, device, options.repeats, options.clock)
    said = {name: f"loss {float(works[name]()):.4f}" for name in seconds}
    peers.table(f"training step, {count} images of {SIZE} px, {options.steps} attack steps", seconds, PEER, said)
    profile = peers.kernels(works["pagboost"]) if options.profile and device.type == "cuda" else {}
    return {"seconds": seconds, "said": said, "kernels": profile}


def in_bf16(step: Any) -> torch.Tensor:
    with torch.autocast("cuda", torch.bfloat16):
        return step()


def theirs(found: Any, network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int) -> Any:
    """One iteration of the library's loop, without its counters of accuracy."""
    model = peers.robust_twin(found, network, x.device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    attack = {"constraint": "2", "eps": EPS, "step_size": ALPHA, "iterations": steps, "use_best": False}

    def step() -> torch.Tensor:
        with peers.torch_defaults():
            output, _ = model(x, target=y, make_adv=True, **attack)
            loss = torch.nn.functional.cross_entropy(output, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.detach()

    return step


def ours(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int, plain: bool) -> Any:
    """One iteration of guides.classifier; plain: without fused attacks and graphs."""
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=5e-4, fused=True)
    target = network if plain else classifier.attacked_form(network, x.device)
    trained = network if plain else training.updated(training.Run(0, x.device), network)
    loss_fn = classifier.misclassify(target)
    loss_fn = loss_fn if plain else attacks.Repeated(loss_fn)

    def step() -> torch.Tensor:
        with runtime.autocast(x.device):
            moved = classifier.attacked(target, loss_fn, x, y, eps=EPS, alpha=ALPHA, steps=steps)
            network.train()
            loss = objectives.ce(trained(moved), y).mean()
            training.descend(loss, optimizer)
        return loss.detach()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robustness", help="the folder that holds the package; left out: the installed one")
    parser.add_argument("--images", type=int, nargs="+", default=[16])
    parser.add_argument("--steps", type=int, default=4)
    options = peers.options(parser)
    runtime.prepare(options.threads)
    device = torch.device(options.device)
    found: dict[str, Any] = {"machine": peers.machine(device)}
    attacker = peers.find_robustness(options.robustness)
    for count in options.images:
        peers.part(f"{count} images", lambda count=count: compared(attacker, count, device, options), found)
    peers.written(options.json, found)


if __name__ == "__main__":
    main()
