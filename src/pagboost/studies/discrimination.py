"""Is a joint model a discriminator? Real images against generated ones, clean and attacked (Golan et al., Sec. 3.1).

As in `images`: one value per image and network. How real a network finds an image is f_c, the logit of its label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from msgspec.structs import asdict

from pagboost import attacks, images, objectives
from pagboost.artifacts import SampleSet
from pagboost.boosting.guide import check
from pagboost.errors import InputError
from pagboost.options import studies
from pagboost.options.trainings import Attack
from pagboost.studies.images import Bench, Study, first, first_of_set, first_shown, in_batches, rounded

EDGE = 1e-3  # of the radius: so near to it counts as on it


class Walked(NamedTuple):
    """How attacks ended, by image: images [N, C, H, W], sigma(f_c) [N], ||x_adv - x||_2 over eps [N], and whether the
    ball has changed the walk [N].
    """

    images: torch.Tensor
    realness: torch.Tensor
    path: torch.Tensor
    ball: torch.Tensor


def discrimination_study(bench: Bench, options: studies.Discrimination) -> Study:
    """Golan Sec. 3.1 on the first `count` real images, and as many generated ones of each set.

    One value per real image: auc, the share of all generated images that the network finds less real (f_c, ties
    half), whose mean is the area under the ROC curve, and auc_<set>; edge_real, path_real, ball_real of the attack
    that lowers f_c. One value per generated image, `count` of them, dealt out of the sets in turn: fooled, whether the
    attack that raises f_c, run to its end, finds one that looks more real than attacked real images do on average
    (where training stops it: sigma(f_c) above the mean, in settings: level); edge_, path_ and ball_generated.
    edge: whether the attack ended on the ball's edge; path: its distance over eps; ball: whether it would have ended
    elsewhere without the ball. Images are clipped to [0, 1], which may keep them from the edge.
    """
    count, shown = options.count, options.shown
    part, x, y = first(bench.samples, count, bench.device)
    sets = _sets(bench, count)
    fake = dealt(list(sets.values()), count)
    x_fake, y_fake = _on(bench, fake)
    done, quantities, levels = {}, {}, {}
    for name, guide in bench.networks.items():
        network, size = guide.network, bench.batch_size
        with attacks.frozen(network):
            real = _logits(network, x, y, size)
            against = {key: _logits(network, *_on(bench, one), size) for key, one in sets.items()}
            lowered = _attacked(network, x, y, options.real_attack, -1, size)
            raised = _attacked(network, x_fake, y_fake, options.generated_attack, 1, size)
        levels[name] = float(lowered.realness.mean())
        found = {"auc": auc(real, torch.cat(list(against.values())))}
        found |= {f"auc_{key}": auc(real, logits) for key, logits in against.items()}
        found["fooled"] = raised.realness > levels[name]
        for which, walked in (("real", lowered), ("generated", raised)):
            found |= {f"edge_{which}": walked.path >= 1 - EDGE, f"path_{which}": walked.path}
            found[f"ball_{which}"] = walked.ball
        for key, values in found.items():
            quantities.setdefault(key, {})[name] = rounded(values.float())
        ends = (lowered, raised)
        done[name] = {"images": torch.stack([walked.images[:shown] for walked in ends], 1)}
        done[name]["realness"] = torch.stack([walked.realness for walked in ends], 1)
    arrays = {"source": part.images[:shown], "labels": part.labels[:shown]}
    arrays |= {"generated": fake.images[:shown], "generated_labels": fake.labels[:shown]}
    settings = {key: asdict(getattr(options, key)) for key in ("real_attack", "generated_attack")}
    settings |= {"level": levels, "sets": list(sets)}
    return Study(arrays | first_shown(done, ("realness",), shown), quantities, settings, count)


def auc(real: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
    """The share [R] of generated scores [G] below each real one [R], ties half; its mean is Mann-Whitney's U / RG."""
    less, same = (relation(generated, real[:, None]) for relation in (torch.lt, torch.eq))
    return less.float().mean(1) + same.float().mean(1) / 2


def dealt(sets: Sequence[SampleSet], count: int) -> SampleSet:
    """`count` images of sets that are equally large: the first of each in turn, then the second, and so on."""
    images, labels = (np.stack([getattr(one, key) for one in sets], 1) for key in ("images", "labels"))
    return SampleSet(images.reshape(-1, *images.shape[2:]), labels.reshape(-1)).subset(slice(0, count))


def _sets(bench: Bench, count: int) -> dict[str, SampleSet]:
    """The first `count` images of each set; InputError where one does not fit the networks."""
    if not bench.sets:
        raise InputError("--set: missing, expected at least one of generated images for this kind of study")
    for name, samples in bench.sets.items():
        for guide in bench.networks.values():
            check(guide, samples, f"set {name}")
    return {name: first_of_set(bench, name, count) for name in bench.sets}


def _on(bench: Bench, samples: SampleSet) -> tuple[torch.Tensor, torch.Tensor]:
    """A set as (x in [0, 1], y) on the device."""
    return images.to_float(samples.images).to(bench.device), torch.from_numpy(samples.labels).to(bench.device)


@torch.no_grad()
def _logits(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, batch_size: int) -> torch.Tensor:
    """f_c [N] of images and their labels."""
    return in_batches(lambda x, y: (objectives.target_logit(network(x), y),), batch_size, x, y)[0]


def _attacked(
    network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, attack: Attack, sign: int, batch_size: int
) -> Walked:
    """PGD in L2 that lowers sign * softplus(-f_c): with 1 images look more real, with -1 less (Golan Sec. 3.1.2)."""

    def loss_fn(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return sign * objectives.bce_real(network(x), y)

    def walked(x: torch.Tensor, y: torch.Tensor) -> Walked:
        path = {"alpha": attack.alpha, "steps": attack.steps}
        end = attacks.pgd(loss_fn, x, y, eps=attack.eps, **path)
        free = end if attack.alpha * attack.steps <= attack.eps else attacks.pgd(loss_fn, x, y, **path)
        realness = torch.sigmoid(_logits(network, end, y, len(x)))
        ball = attacks.l2_norm(end - free) > EDGE * attack.eps
        return Walked(end, realness, attacks.l2_norm(end - x) / attack.eps, ball)

    return Walked(*in_batches(walked, batch_size, x, y))
