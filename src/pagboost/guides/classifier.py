"""The robust classifier of BIGRoC (Ganz and Elad 2022), and what every adversarial training shares.

One rule for BatchNorm everywhere: attacks run in eval mode (running statistics used, never moved), the update runs in
train mode on the attacked batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from pagboost import attacks, networks, objectives, training
from pagboost.guides.augmentation import augmented
from pagboost.networks.frozen import fuses
from pagboost.networks.fused import Fused
from pagboost.options.trainings import Classifier, RampedAttack


def misclassify(network: torch.nn.Module) -> attacks.LossFn:
    """The untargeted attack's loss: minus cross entropy."""
    return lambda x, y: -objectives.ce(network(x), y)


def attacked(
    network: torch.nn.Module, loss_fn: attacks.LossFn, x: torch.Tensor, y: torch.Tensor, **options
) -> torch.Tensor:
    """The end of a PGD attack on a frozen network; options are those of attacks.pgd_walk."""
    if isinstance(network, Fused):
        network.refresh()
    with attacks.frozen(network):
        return attacks.pgd(loss_fn, x, y, **options)


def attacked_form(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """What attacks on a network in training ask: its fused form where it has one (networks.frozen), else itself."""
    return Fused(network, device) if fuses(network, device) else network


def ramped(i: int, iterations: int, attack: RampedAttack) -> dict[str, object]:
    """An attack's options as attacks.pgd_walk takes them, in iteration i: lengths grow over the share `ramp` of all."""
    grown = min(1.0, (i + 1) / max(1.0, attack.ramp * iterations))
    return {"eps": grown * attack.eps, "alpha": grown * attack.alpha, "steps": attack.steps, "norm": attack.norm}


def one_cycle(i: int, iterations: int, lr: float, warmup: float = 0.2) -> float:
    """Learning rate of iteration i: linear warm-up over the first `warmup` share, then half a cosine to zero."""
    done = (i + 1) / iterations
    return lr * min(done / warmup, 0.5 * (1 + math.cos(math.pi * max(0.0, done - warmup) / (1 - warmup))))


def train_classifier(
    data: training.Data,
    network: Mapping,
    run: training.Run,
    inputs: Mapping[str, Path],
    options: Classifier,
) -> training.Trained:
    """A classifier by cross entropy; with an attack, on attacked images only (Madry et al. 2018).

    The attack's eps and alpha are in [0, 1] pixel units. `inputs` is not used.
    """
    generator = training.seeded(run, "classifier")
    net = networks.build(network).to(run.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=options.lr, weight_decay=options.weight_decay, fused=True)
    draw = training.Batches(data, options.batch_size, generator, run.device, run.team)
    stream = augmented(draw, options.shift, options.sizes, generator, run.team)
    trained = training.updated(run, net)
    target = attacked_form(net, run.device)
    loss_fn = attacks.Repeated(misclassify(target))

    def step(i: int) -> torch.Tensor:
        x, y = next(stream)
        if options.attack is not None:
            x = attacked(target, loss_fn, x, y, **ramped(i, options.iterations, options.attack))
        net.train()
        training.set_lr(optimizer, one_cycle(i, options.iterations, options.lr))
        loss = objectives.ce(trained(x), y).mean()
        training.descend(loss, optimizer)
        return loss.detach()

    state = {"network": net, "optimizer": optimizer, "batches": draw}
    training.loop(step, options.iterations, run, "classifier", state, generator)
    return training.Trained(net.eval(), network, {"train_accuracy": accuracy(net, data, run.device)})


@torch.no_grad()
def accuracy(net: torch.nn.Module, data: training.Data, device: torch.device) -> float:
    """Share of images whose largest logit is their label's."""
    hits = [(net(x.to(device)).argmax(1).cpu() == y).sum() for x, y in chunks(data)]
    return float(sum(hits)) / len(data.x)


def chunks(data: training.Data, size: int = 500) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """All of some data in order, as (x float32 in [0, 1], y) of at most `size` images each."""
    return (data.batch(slice(start, start + size)) for start in range(0, len(data.x), size))
