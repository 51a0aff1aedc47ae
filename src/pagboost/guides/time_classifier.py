"""Time-dependent classifiers log p(y | x_t, t) that guide a diffusion model, vanilla or robust (Kawar et al. 2023).

The two differ by the attack alone: same draws, same loss, same loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch

from pagboost import attacks, networks, training
from pagboost.generators.diffusion.schedule import make_schedule, q_sample
from pagboost.guides.augmentation import cropped, mirrored
from pagboost.machine.sending import sent
from pagboost.objectives import ce
from pagboost.options.trainings import FoolingAttack, TimeClassifier


def fooling(classifier: torch.nn.Module, until_fooled: bool) -> attacks.LossFn:
    """Minus cross entropy of x_t, and who is fooled; y int64 [N, 2]: labels and times."""

    def loss_fn(x: torch.Tensor, label_and_time: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        label, time = label_and_time.unbind(1)
        logits = classifier(x, time.float())
        return -ce(logits, label), (logits.argmax(1) != label) & until_fooled

    return loss_fn


def attack_until_fooled(
    classifier: torch.nn.Module,
    x_t: torch.Tensor,
    times: torch.Tensor,
    y: torch.Tensor,
    attack: FoolingAttack,
    loss_fn: attacks.LossFn | None = None,
) -> torch.Tensor:
    """Untargeted PGD on x_t [N, C, H, W] that leaves a sample where it is first misclassified (Kawar Sec. 4).

    Unless the attack says otherwise: then each takes all steps, the paper's ablation. The attack's lengths are in the
    units of x_t ([-1, 1] scale, not clipped): L2 over the image, or per pixel for "linf". times int64 [N]. No
    randomness. loss_fn: `fooling` of the classifier, where it is kept from attack to attack.
    """
    with attacks.frozen(classifier):
        # the time travels with the label, so that both follow a sample when stopped ones leave the batch
        labels = torch.stack([y, times], 1)
        lengths = {"eps": attack.eps, "alpha": attack.alpha, "steps": attack.steps, "norm": attack.norm}
        loss_fn = loss_fn or fooling(classifier, attack.until_fooled)
        return attacks.pgd(loss_fn, x_t, labels, **lengths, bounds=None)


def train_time_classifier(
    data: training.Data,
    network: Mapping[str, object],
    run: training.Run,
    inputs: Mapping[str, Path | list[Path]],
    options: TimeClassifier,
) -> training.Trained:
    """Train a classifier of x_t ~ q(x_t | x_0), t uniform, by cross entropy on x_t attacked until fooled (Kawar Eq. 5).

    No attack: vanilla. The learning rate goes linearly from `lr` to `lr_end`. schedule and diffusion_steps must be
    those of the diffusion model to guide. `inputs` is not used.
    Raises InputError for too few diffusion_steps.
    """
    generator = training.seeded(run, "time_classifier")
    model = networks.build(network).to(run.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=options.weight_decay, fused=True)
    steps = make_schedule(options.schedule, options.diffusion_steps, device=run.device)
    draw = training.Batches(data, options.batch_size, generator, run.device, run.team)
    trained = training.updated(run, model)
    fool = attacks.Repeated(fooling(model, options.attack is None or options.attack.until_fooled))

    def step(i: int) -> torch.Tensor:
        x, y = next(draw)
        x = cropped(x, options.enlarge, generator, run.team)
        x = mirrored(x, generator, run.team) if options.mirror else x
        t = sent(run.team.rows(torch.randint(len(steps), (options.batch_size,), generator=generator)), run.device)
        noise = run.team.rows(torch.randn((options.batch_size, *x.shape[1:]), generator=generator))
        noise = sent(noise, run.device)
        x_t = q_sample(steps, 2 * x - 1, t, noise)
        times = steps.timesteps[t]
        if options.attack is not None:
            x_t = attack_until_fooled(model, x_t, times, y, options.attack, fool)
        training.set_lr(optimizer, options.lr + (options.lr_end - options.lr) * i / options.iterations)
        loss = ce(trained(x_t, times.float()), y).mean()
        training.descend(loss, optimizer)
        return loss.detach()

    state = {"network": model, "optimizer": optimizer, "batches": draw}
    training.loop(step, options.iterations, run, "time classifier", state, generator)
    facts = {"iterations": options.iterations, "ema": None, "attack": msgspec.to_builtins(options.attack)}
    process = {"schedule": options.schedule, "diffusion_steps": options.diffusion_steps}
    return training.Trained(model.eval(), network, facts | process)
