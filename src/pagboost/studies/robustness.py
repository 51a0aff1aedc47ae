"""Studies of robustness: are the classifiers robust that should be, and the others not? The papers do not show it.

As in `images` and `times`: one value per image and network, 1 where it is told right and 0 where an attack fools it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pagboost import attacks, rng
from pagboost.errors import InputError
from pagboost.generators.diffusion.schedule import make_schedule, q_sample
from pagboost.guides import robustness
from pagboost.options import studies
from pagboost.studies import images, times
from pagboost.studies.images import Study, first, first_shown, in_batches, pictures, rounded

UNIT = (0.0, 1.0)  # what a classifier of images sees; x_t has no bounds


def robustness_study(bench: images.Bench, options: studies.Robustness) -> Study:
    """The first `count` images [0, 1], as they are and attacked inside balls of each radius `eps`, clipped to [0, 1].

    One value per image: accuracy, and accuracy_pgd_<eps>, accuracy_apgd_<eps>, accuracy_robust_<eps> of
    `robustness.resisted`. Pictures, and whether each is told right, are of APGD at each radius.
    """
    part, x, y = first(bench.samples, options.count, bench.device)
    shown, columns, apgd = options.shown, *_columns(options)
    done = {}
    for name, guide in bench.networks.items():
        told, moved = _attacked(guide.network, x, y, options, UNIT, bench.batch_size)
        done[name] = {"told": told, "images": moved[:shown], "resisted": told[:, apgd]}
    quantities = {
        key: {name: rounded(found["told"][:, i]) for name, found in done.items()} for i, key in enumerate(columns)
    }
    arrays = {"source": part.images[:shown], "labels": part.labels[:shown], "eps": np.array(options.eps)}
    arrays |= first_shown(done, ("resisted",), shown)
    return Study(arrays, quantities, _settings(options), options.count)


def time_robustness_study(bench: times.Bench, options: studies.TimeRobustness) -> Study:
    """x_t ~ q(x_t | x) of the first `count` images at each of `timesteps`, the same for every network, as
    `robustness_study`; x_t and eps are in the [-1, 1] scale and not clipped.

    One value per image: the same quantities, each the mean over timesteps, and <quantity>_at_<t>. Pictures are of
    APGD at the largest radius at each time.
    """
    if bench.samples.labels is None:
        raise InputError("images have no labels, expected a class for each")
    part, x, y = first(bench.samples, options.count, bench.device)
    shown, timesteps, columns, apgd = options.shown, options.timesteps, *_columns(options)
    x_t = _noised(bench, 2 * x - 1, part.streams(), timesteps)
    widest = int(np.argmax(options.eps))
    done = {}
    for name, classifier in bench.classifiers.items():
        network, size = classifier.network, bench.batch_size
        found = [_attacked(network, x_t[:, i], y, options, None, size, t) for i, t in enumerate(timesteps)]
        told = torch.stack([right for right, _ in found], 1)
        moved = torch.stack([attacked[:shown, widest] for _, attacked in found], 1)
        done[name] = {"told": told, "images": (moved + 1) / 2, "resisted": told[:, :, apgd[widest]]}
    values = {name: found["told"] for name, found in done.items()}
    quantities = {}
    for i, key in enumerate(columns):
        quantities[key] = {name: rounded(told[..., i].mean(1)) for name, told in values.items()}
    for j, time in enumerate(timesteps):
        for i, key in enumerate(columns):
            quantities[f"{key}_at_{time}"] = {name: rounded(told[:, j, i]) for name, told in values.items()}
    arrays = {"source": part.images[:shown], "labels": part.labels[:shown], "timesteps": np.array(timesteps)}
    arrays |= {"noisy": pictures((x_t[:shown] + 1) / 2), **first_shown(done, ("resisted",), shown)}
    return Study(arrays, quantities, _settings(options) | {"timesteps": timesteps}, options.count)


def _columns(options: studies.Robustness | studies.TimeRobustness) -> tuple[list[str], list[int]]:
    """(what is measured of each image, which of it APGD's are, by radius)."""
    columns = robustness.names(options.eps)
    return columns, [i for i, key in enumerate(columns) if "_apgd_" in key]


def _attacked(
    network: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    options: studies.Robustness | studies.TimeRobustness,
    bounds: robustness.Bounds,
    batch_size: int,
    time: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`robustness.resisted` of one network, as float; of x_t at `time` where the network is one of (x_t, t)."""

    def logits_fn(x: torch.Tensor) -> torch.Tensor:
        return (network(x) if time is None else network(x, x.new_full((len(x),), float(time)))).float()

    def resisted(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        attack = {"eps": options.eps, "steps": options.steps, "norm": options.norm, "bounds": bounds}
        return robustness.resisted(logits_fn, x, y, **attack)

    with attacks.frozen(network):
        told, moved = in_batches(resisted, batch_size, x, y)
    return told.float(), moved


def _noised(
    bench: times.Bench, x: torch.Tensor, streams: tuple[np.ndarray, np.ndarray], timesteps: Sequence[int]
) -> torch.Tensor:
    """x_t [N, T, C, H, W] of x in the [-1, 1] scale, an image's noise at each time from a stream of its own."""
    schedule = make_schedule(*bench.process, device=bench.device)
    for time in timesteps:
        if time >= len(schedule):
            raise InputError(f"study.timesteps: {time}, expected times in 0..{len(schedule) - 1}")

    def at(time: int) -> torch.Tensor:
        noise = rng.SampleStreams(f"robustness at {time}", *streams, bench.device).randn(tuple(x.shape[1:]))
        return q_sample(schedule, x, torch.full((len(x),), time, device=bench.device), noise)

    return torch.stack([at(time) for time in timesteps], 1)


def _settings(options: studies.Robustness | studies.TimeRobustness) -> dict[str, object]:
    """What the attacks ran with; alpha: PGD's step, by radius."""
    alpha = [robustness.PATH * eps / options.steps for eps in options.eps]
    return {"eps": options.eps, "norm": options.norm, "steps": options.steps, "alpha": alpha}
