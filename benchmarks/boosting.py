#!/usr/bin/env python3
"""Boosting beside MadryLab's `robustness`: one ResNet-50 at 64 pixels, L2, equal eps, alpha and steps, in one run.

pip download robustness --no-deps -d peer && unzip peer/*.whl -d peer
python benchmarks/boosting.py --robustness peer                         (CPU: 8 images)
python benchmarks/boosting.py --robustness peer --device cuda --images 64 256 --json boosting.json

Images lie inside (0, 1): where one touches the border, torch from 2.15 on gives clamp no gradient, and the peer's
normaliser clamps. Rates count the multiply-adds of forward pass and image gradient, each as two operations.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import peers
import torch

from pagboost import attacks, networks, objectives, runtime
from pagboost.machine import number_format
from pagboost.networks.folding import folded
from pagboost.networks.frozen import frozen_copy
from pagboost.networks.multiply_adds import multiply_adds

EPS, ALPHA, SIZE = 3.0, 0.5, 64
PEER = "robustness, as it is"


def operations() -> float:
    """Of a step, per image: forward pass and image gradient, as convolutions' formulas have it."""
    with torch.device("meta"):
        network = networks.build(peers.RN50).eval()
        x, y = torch.rand(1, 3, SIZE, SIZE), torch.zeros(1, dtype=torch.long)
    with attacks.frozen(network):
        return 2 * multiply_adds(lambda: attacks.gradient(lambda x, y: objectives.ce(network(x), y), x, y))


def pgd(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int) -> Callable[[], torch.Tensor]:
    """This project's boost of a batch, as boosting.walks runs it."""
    loss_fn = attacks.Repeated(lambda x, y: objectives.ce(network(x), y))

    def work() -> torch.Tensor:
        with attacks.frozen(network), runtime.autocast(x.device):
            return attacks.pgd(loss_fn, x, y, eps=EPS, alpha=ALPHA, steps=steps)

    return work


def end(network: torch.nn.Module, x: torch.Tensor, moved: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """The final metrics, by the network in fp32: mean loss, share of images in their class, mean L2 change."""
    with torch.no_grad():
        logits = network(moved)
    hit = float((logits.argmax(1) == y).float().mean())
    loss, change = objectives.ce(logits, y).mean(), attacks.l2_norm(moved - x).mean()
    return {"loss": float(loss), "hit": hit, "moved": float(change)}


def compared(found: Any, count: int, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(0)
    network = peers.lived_in(networks.build(peers.RN50)).to(device)
    x = (0.2 + 0.6 * torch.rand(count, 3, SIZE, SIZE)).to(device)
    y = torch.randint(10, (count,)).to(device)
    twin = peers.robust_twin(found, network, device).eval()
    lengths = {"constraint": "2", "eps": EPS, "step_size": ALPHA, "iterations": options.steps}

    def theirs() -> torch.Tensor:
        with peers.torch_defaults():
            return twin.attacker(x, y, targeted=True, use_best=False, **lengths)

    def theirs_in_bf16() -> torch.Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            return theirs()

    plain = folded(network).to(memory_format=torch.channels_last)
    works = {PEER: theirs, "pagboost, folded BatchNorm alone": pgd(plain, x, y, options.steps)}
    works["pagboost"] = pgd(frozen_copy(folded(network), device), x, y, options.steps)
    if device.type == "cuda":
        works["robustness, autocast to bf16"] = theirs_in_bf16
    elif number_format.computes_bf16():
        with number_format.bf16_on_cpu():
            works["pagboost, bf16"] = pgd(frozen_copy(folded(network), device), x, y, options.steps)
    seconds = peers.side_by_side(works, device, options.repeats, options.clock)
    work = operations() * count * options.steps / 1e12
    rate = peers.matrix_rate(device, torch.bfloat16 if device.type == "cuda" else torch.float32, options.clock)
    said, ends = {}, {}
    for name in seconds:
        ends[name] = end(network, x, works[name](), y)
        facts = "  ".join(f"{key} {value:.4f}" for key, value in ends[name].items())
        achieved = work / seconds[name]
        said[name] = f"{achieved:7.2f} TFLOP/s, {achieved / rate:6.1%} of the matrix rate {rate:.2f}   {facts}"
    peers.table(f"boosting {count} images of {SIZE} px, {options.steps} steps", seconds, PEER, said)
    profile = peers.kernels(works["pagboost"]) if options.profile and device.type == "cuda" else {}
    return {"seconds": seconds, "ends": ends, "tflop": work, "matrix_tflops": rate, "kernels": profile}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robustness", help="the folder that holds the package; left out: the installed one")
    parser.add_argument("--images", type=int, nargs="+", default=[8])
    parser.add_argument("--steps", type=int, default=3)
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
