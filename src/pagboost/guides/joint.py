"""The joint classifier-discriminator of Golan et al. 2024: adversarially trained on real and generated images.

BatchNorm as in classifier: attacks in eval mode, the update in train mode; it sees real and generated images in one
concatenated batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from msgspec.structs import asdict

from pagboost import artifacts, attacks, images, networks, objectives, training
from pagboost.errors import InputError
from pagboost.guides.augmentation import augmented
from pagboost.guides.classifier import accuracy, attacked, attacked_form, chunks, one_cycle
from pagboost.machine.team import ALONE, Team
from pagboost.options.kinds import named
from pagboost.options.trainings import Attack, GrowingAttack, Joint, RealAttack


def grown(attack: GrowingAttack, i: int) -> Attack:
    """The generated images' attack in iteration i: one step more after each `grow_every`, up to `max_steps`."""
    steps = min(attack.steps + i // attack.grow_every, attack.max_steps)
    return Attack(eps=attack.eps, alpha=attack.alpha, steps=steps)


def started(x: torch.Tensor, attack: RealAttack, generator: torch.Generator, team: Team = ALONE) -> torch.Tensor:
    """Where an attack on x [N, C, H, W] in [0, 1] starts: at x, or at uniform noise pulled into the ball around x."""
    if not attack.random_start:
        return x
    noise = team.rows(torch.rand((team.whole(len(x)), *x.shape[1:]), generator=generator)).to(x.device)
    return x + attacks.project_l2(noise - x, attack.eps)


def lowering(net: torch.nn.Module) -> attacks.LossFn:
    """The loss of an attack on real images, which descends what training minimises with the other sign."""
    return lambda x, y: -objectives.bce_real(net(x), y)


def attack_real(
    net: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    attack: RealAttack,
    generator: torch.Generator,
    team: Team = ALONE,
    loss_fn: attacks.LossFn | None = None,
) -> torch.Tensor:
    """Real images made to look less real: f_c lowered by ascending softplus(-f_c) (Golan Sec. 3.1.2).

    loss_fn: `lowering` of the network, where it is kept from attack to attack.
    """
    lengths = {"eps": attack.eps, "alpha": attack.alpha, "steps": attack.steps}
    start = started(x, attack, generator, team)
    return attacked(net, loss_fn or lowering(net), start, y, centre=x, **lengths)


def raising(net: torch.nn.Module) -> attacks.LossFn:
    """The loss of an attack on generated images, and who stops; y [N, 2]: labels, and sigma(f_c) to stop above."""

    def loss_fn(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        label, stop_above = y[:, 0].long(), y[:, 1].float()
        logits = net(x)
        realness = torch.sigmoid(objectives.target_logit(logits, label)).detach()
        return objectives.bce_real(logits, label), realness > stop_above

    return loss_fn


def attack_generated(
    net: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    attack: Attack,
    stop_above: float,
    loss_fn: attacks.LossFn | None = None,
) -> torch.Tensor:
    """Generated images made to look real: f_c raised, each image until sigma(f_c) exceeds `stop_above` (1: never).

    Golan Sec. 3.1.2: the attack halts where the model finds a perturbed fake more real than perturbed real images.
    loss_fn: `raising` of the network, where it is kept from attack to attack.
    """
    y = torch.stack([y.double(), torch.full(y.shape, stop_above, dtype=torch.float64, device=y.device)], 1)
    return attacked(net, loss_fn or raising(net), x, y, **asdict(attack))


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
    options: Joint,
) -> training.Trained:
    """The joint classifier-discriminator of Golan Sec. 3.1, from a robust backbone and files of generated samples.

    inputs: "backbone" (weights), "fakes" (sample files). Attacks are L2, in [0, 1] pixel units; without both: the
    non-robust ablation. The network is the backbone's. Facts: l0 (Eq. 13).
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
    if options.fresh_head:
        named("pagboost.networks.resnet:fresh_head")(net)
    net.to(run.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=options.lr, weight_decay=options.weight_decay, fused=True)
    fakes = generated_data(inputs["fakes"], data)
    reals = training.Batches(data, options.batch_size, generator, run.device, run.team)
    generated = training.Batches(fakes, options.generated_batch_size, generator, run.device, run.team)
    real_stream, fake_stream = (augmented(one, options.shift, (), generator, run.team) for one in (reals, generated))
    trained, target = training.updated(run, net), attacked_form(net, run.device)
    lower, higher = attacks.Repeated(lowering(target)), attacks.Repeated(raising(target))

    def step(i: int) -> torch.Tensor:
        (x, y), (x_fake, y_fake) = next(real_stream), next(fake_stream)
        if options.sizes:
            size = options.sizes[int(torch.randint(len(options.sizes), (), generator=generator))]
            x, x_fake = (images.resize(part, size).clamp(0, 1) for part in (x, x_fake))
        if options.real_attack is not None:
            x = attack_real(target, x, y, options.real_attack, generator, run.team, lower)
        if options.generated_attack is not None:
            early = options.generated_attack.early_stop
            stop_above = run.team.mean(mean_realness(net, x, y)) if early else 1.0
            attack = grown(options.generated_attack, i)
            x_fake = attack_generated(target, x_fake, y_fake, attack, stop_above, higher)
        net.train()
        training.set_lr(optimizer, one_cycle(i, options.iterations, options.lr))
        labels = torch.cat([y, y_fake])
        loss = joint_loss(trained(torch.cat([x, x_fake])), labels, len(y))
        training.descend(loss, optimizer)
        return loss.detach()

    state = {"network": net, "optimizer": optimizer, "real batches": reals, "generated batches": generated}
    training.loop(step, options.iterations, run, "joint", state, generator)
    net.eval()
    facts = {"l0": reference_level(net, data, run.device), "train_accuracy": accuracy(net, data, run.device)}
    return training.Trained(net, description["network"], facts)


def generated_data(paths: Sequence[Path], like: training.Data) -> training.Data:
    """All generated samples of several labelled files as one pool, images and classes as those of `like`.

    One file's stay in it, as those of training.load_data do; those of several are held in memory.
    """
    num_classes, (c, h, w) = like.num_classes, like.x.shape[1:]
    sets = [artifacts.load_samples(path, num_classes, mapped=True) for path in paths]
    for path, samples in zip(paths, sets, strict=True):
        if samples.labels is None:
            raise InputError(f"{path}: has no labels (arr_1), expected a class for each generated image")
        if samples.images.shape[1:] != (h, w, c):
            raise InputError(f"{path}: images are {list(samples.images.shape[1:])}, expected {[h, w, c]} (the data's)")
    x, y = [images.as_stored(samples.images) for samples in sets], [torch.from_numpy(one.labels) for one in sets]
    if len(sets) == 1:
        return training.Data(x[0], y[0], num_classes, sets[0].images)
    return training.Data(torch.cat(x), torch.cat(y), num_classes)
