"""The joint classifier-discriminator of Golan et al. 2024: adversarially trained on real and generated images.

BatchNorm as in classifier: attacks in eval mode, the update in train mode; it sees real and generated images in one
concatenated batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from pagboost import artifacts, attacks, cli, images, networks, objectives, training
from pagboost.errors import InputError
from pagboost.guides.classifier import accuracy, attacked, augmented, chunks, one_cycle
from pagboost.registry import named


def steady(*, eps: float, alpha: float, steps: int) -> dict[str, float]:
    """The real images' attack: the same in every iteration."""
    return {"eps": eps, "alpha": alpha, "steps": steps}


def growing(i: int, *, eps: float, alpha: float, steps: int, grow_every: int, max_steps: int) -> dict[str, float]:
    """The generated images' attack in iteration i: one step more after each `grow_every`, up to `max_steps`."""
    return steady(eps=eps, alpha=alpha, steps=min(steps + i // grow_every, max_steps))


def attack_real(net: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, attack: Mapping) -> torch.Tensor:
    """Real images made to look less real: f_c lowered by ascending softplus(-f_c) (Golan Sec. 3.1.2)."""
    return attacked(net, lambda x, y: -objectives.bce_real(net(x), y), x, y, **attack)


def attack_generated(
    net: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, attack: Mapping, stop_above: float
) -> torch.Tensor:
    """Generated images made to look real: f_c raised, each image until sigma(f_c) exceeds `stop_above`.

    Golan Sec. 3.1.2: the attack halts where the model finds a perturbed fake more real than perturbed real images.
    """

    def loss_fn(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = net(x)
        realness = torch.sigmoid(objectives.target_logit(logits, y)).detach()
        return objectives.bce_real(logits, y), realness > stop_above

    return attacked(net, loss_fn, x, y, **attack)


@torch.no_grad()
def mean_realness(net: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Mean sigma(f_c) of a batch in eval mode: the early stop's threshold when x are attacked real images."""
    with attacks.frozen(net):
        return float(torch.sigmoid(objectives.target_logit(net(x), y)).mean())


def joint_loss(logits: torch.Tensor, y: torch.Tensor, real: int) -> torch.Tensor:
    """CE + BCE over a batch whose first `real` images are real and the rest generated (Golan Eq. 7, 9), scalar."""
    discrimination = torch.cat(
        [
            objectives.bce_real(logits[:real], y[:real]),
            objectives.bce_generated(logits[real:], y[real:]),
        ]
    )
    return (objectives.ce(logits, y) + discrimination).mean()


@torch.no_grad()
def reference_level(net: torch.nn.Module, data: training.Data, device: torch.device) -> float:
    """l0 of Golan Eq. 13: the mean over real images of softplus(f_c), the function Eq. 12 compares with it."""
    levels = [objectives.bce_generated(net(x.to(device)), y.to(device)).double().sum() for x, y in chunks(data)]
    return float(sum(levels)) / len(data.x)


def train_joint(
    data: training.Data,
    network: Mapping | None,
    run: training.Run,
    inputs: Mapping[str, Path | list[Path]],
    *,
    iterations: int,
    batch_size: int,
    generated_batch_size: int,
    lr: float,
    weight_decay: float,
    shift: int,
    sizes: Sequence[int],
    fresh_head: bool,
    real_attack: Mapping | None,
    generated_attack: Mapping | None,
) -> training.Trained:
    """The joint classifier-discriminator of Golan Sec. 3.1, from a robust backbone and files of generated samples.

    inputs: "backbone" (weights), "fakes" (sample files). `real_attack` {eps, alpha, steps}; `generated_attack`
    {eps, alpha, steps, grow_every, max_steps}: `steps` grows by one every `grow_every` iterations. Both null: the
    non-robust ablation. L2, [0, 1] pixel units. Facts: l0 (Eq. 13).
    Raises InputError for missing inputs, and for inputs that do not fit the data.
    """
    for role in ("backbone", "fakes"):
        if role not in inputs:
            raise InputError(
                f"inputs: {', '.join(inputs) or 'none'}, expected a backbone (weights) and fakes (samples)"
            )
    generator = training.seeded(run, "joint")
    net, description = networks.load(inputs["backbone"], {"classifier"})
    if description["dataset"]["num_classes"] != data.num_classes:
        classes = description["dataset"]["num_classes"]
        raise InputError(f"{inputs['backbone']}: has {classes} classes, expected {data.num_classes} (the data's)")
    if fresh_head:
        named("pagboost.networks.resnet:fresh_head")(net)
    net.to(run.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
    fakes = generated_data(inputs["fakes"], data)
    real_stream, fake_stream = (
        augmented(training.batches(part, size, generator, run.device), shift, (), generator)
        for part, size in ((data, batch_size), (fakes, generated_batch_size))
    )

    def step(i: int) -> torch.Tensor:
        (x, y), (x_fake, y_fake) = next(real_stream), next(fake_stream)
        if sizes:
            size = sizes[int(torch.randint(len(sizes), (), generator=generator))]
            x, x_fake = (images.resize(part, size).clamp(0, 1) for part in (x, x_fake))
        if real_attack is not None:
            x = attack_real(net, x, y, cli.call(steady, where="training.real_attack", options=real_attack))
        if generated_attack is not None:
            options = cli.call(growing, i, where="training.generated_attack", options=generated_attack)
            x_fake = attack_generated(net, x_fake, y_fake, options, mean_realness(net, x, y))
        net.train()
        training.set_lr(optimizer, one_cycle(i, iterations, lr))
        labels = torch.cat([y, y_fake])
        loss = joint_loss(net(torch.cat([x, x_fake])), labels, len(y))
        training.descend(loss, optimizer)
        return loss.detach()

    training.loop(step, iterations, run, "joint", {"network": net, "optimizer": optimizer}, generator)
    net.eval()
    facts = {"l0": reference_level(net, data, run.device), "train_accuracy": accuracy(net, data, run.device)}
    return training.Trained(net, description["network"], facts)


def generated_data(paths: Sequence[Path], like: training.Data) -> training.Data:
    """All generated samples of several labelled files as one pool, images and classes as those of `like`."""
    num_classes, (c, h, w) = like.num_classes, like.x.shape[1:]
    sets = [artifacts.load_samples(path, num_classes) for path in paths]
    for path, samples in zip(paths, sets, strict=True):
        if samples.labels is None:
            raise InputError(f"{path}: has no labels (arr_1), expected a class for each generated image")
        if samples.images.shape[1:] != (h, w, c):
            raise InputError(f"{path}: images are {list(samples.images.shape[1:])}, expected {[h, w, c]} (the data's)")
    x = torch.cat([images.as_stored(samples.images) for samples in sets])
    return training.Data(x, torch.cat([torch.from_numpy(samples.labels) for samples in sets]), num_classes)
