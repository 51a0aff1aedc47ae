"""Studies: a method on held-out images under several networks, one value per image and network (BIGRoC Fig. 2, Sec. 4).

Claims compare networks image by image on these values; figures show the images of the first few.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pagboost import attacks, images, runtime
from pagboost.artifacts import SampleSet
from pagboost.boosting import walks
from pagboost.boosting.walks import Guide
from pagboost.errors import InputError
from pagboost.options import studies
from pagboost.options.kinds import named
from pagboost.studies import interpolation, targeted


@dataclass(frozen=True)
class Bench:
    """What a study is made on: labelled images in their stored order, networks by name, and a judge trained apart.

    sets: generated images to look at, by name; pools: others of the same generators. seen: real images that networks
    were trained on. scorer: a joint model that says how real it finds an image.
    """

    samples: SampleSet
    networks: Mapping[str, Guide]
    judge: tuple[str, Guide] | None
    batch_size: int
    device: torch.device
    sets: Mapping[str, SampleSet] = field(default_factory=dict)
    seen: SampleSet | None = None
    scorer: tuple[str, Guide] | None = None
    pools: Mapping[str, SampleSet] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """arrays: images and numbers for figures, of the first `shown` images. quantities: {name: {network: [value per
    image]}}, of all n. settings: what the method ran with. unit: what there are n of, where these are no images.
    """

    arrays: dict[str, np.ndarray]
    quantities: dict[str, dict[str, list[float]]]
    settings: dict[str, Any]
    n: int
    unit: str = studies.IMAGE


def run(options: studies.Study, bench: Bench) -> Study:
    """The study that a configuration entry describes.

    Raises InputError for networks that do not fit the images or each other.
    """
    if hasattr(options, "networks"):
        check_any(bench.networks)
    guides = {**bench.networks, **dict(filter(None, (bench.judge, bench.scorer)))}
    for name, guide in guides.items():
        walks.check(guide, bench.samples, f"images for {name}")
        guide.network.to(bench.device, memory_format=torch.channels_last)
    check_classes(guides)
    return named(options.uses)(bench, options)


def targeted_study(bench: Bench, options: studies.Targeted) -> Study:
    """BIGRoC Fig. 2: the first `count` images, attacked towards every class by each network.

    eps is an L2 length at images of `pixels` values and is carried over to these at equal change per value. One value
    per image, over the targets other than its own class: l2, the mean effective norm; probability, the mean
    probability the attacked network gives the target; agreement, the share of targets that the judge predicts too.
    """
    if bench.judge is None:
        raise InputError("study.judge: missing, expected a network trained apart from the attacked ones")
    judge_name, judge = bench.judge
    if judge_name in bench.networks:
        raise InputError(f"study.judge: {judge_name} is attacked itself, expected a network trained apart")
    steps, shown = options.steps, options.shown
    part, x, y = first(bench.samples, options.count, bench.device)
    radius = images.equal_change(options.eps, x[0].numel(), options.pixels)
    done = {name: _attacked(bench, guide, x, radius, steps) for name, guide in bench.networks.items()}
    others = (torch.arange(judge.num_classes, device=bench.device) != y[:, None]).float()
    quantities = {
        key: {name: rounded((result[key] * others).sum(1) / others.sum(1)) for name, result in done.items()}
        for key in ("l2", "probability", "agreement")
    }
    settings = {"eps": radius, "alpha": radius / steps, "steps": steps, "norm": "l2", "judge": judge_name}
    arrays = {"source": part.images[:shown], "labels": part.labels[:shown]}
    return Study(arrays | first_shown(done, ("probability", "l2"), shown), quantities, settings, options.count)


def _attacked(bench: Bench, guide: Guide, x: torch.Tensor, eps: float, steps: int) -> dict[str, torch.Tensor]:
    """Each image attacked towards each class: images [S, T, C, H, W]; probability, l2, agreement [S, T]."""
    classes = guide.num_classes
    judge = bench.judge[1].network

    def attack(x: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        result = targeted.targeted_attack(guide.network, x, targets, eps=eps, steps=steps)
        with torch.no_grad():
            agreed = judge(result.images).argmax(1) == targets
        return result.images, result.probability, result.l2, agreed.float()

    targets = torch.arange(classes, device=x.device).repeat(len(x))
    values = in_batches(attack, bench.batch_size, x.repeat_interleave(classes, 0), targets)
    names = ("images", "probability", "l2", "agreement")
    return {name: value.unflatten(0, (len(x), classes)) for name, value in zip(names, values, strict=True)}


def interpolation_study(bench: Bench, options: studies.Interpolation) -> Study:
    """BIGRoC Sec. 4, Fig. 6: `pairs` source images led to target images of another class (see `paired`).

    One value per pair: distance, ||x - x_t||_2 / ||x_s - x_t||_2 in pixels at the largest k, and the same at each k
    (distance_0_125).
    """
    ks, shown = options.ks, options.shown
    chosen = [bench.samples.subset(rows) for rows in paired(bench.samples.labels, options.pairs)]
    source, target = (images.to_float(part.images).to(bench.device) for part in chosen)
    path = {"ks": ks, "weights": options.weights, "steps": options.steps}
    done = {name: _led(bench, name, source, target, **path) for name in bench.networks}
    initial, furthest = attacks.l2_norm(source - target), int(np.argmax(ks))
    at = {"distance": furthest} | {f"distance_{f'{k:g}'.replace('.', '_')}": i for i, k in enumerate(ks)}
    quantities = {
        key: {name: rounded(result["distance"][:, i] / initial) for name, result in done.items()}
        for key, i in at.items()
    }
    arrays = {"source": chosen[0].images[:shown], "target": chosen[1].images[:shown], "ks": np.array(ks)}
    settings = path | {"alpha_over_eps": interpolation.PATH / options.steps}
    return Study(arrays | first_shown(done, ("distance",), shown), quantities, settings, options.pairs)


def _led(
    bench: Bench, name: str, source: torch.Tensor, target: torch.Tensor, *, ks: Sequence[float], **options: Any
) -> dict[str, torch.Tensor]:
    """Every pair under one network: images [P, n, C, H, W] and distance [P, n], in pixels, to the target."""
    network = bench.networks[name].network
    feature_maps = interpolation.features_of(network, name)

    def lead(source: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor]:
        return (interpolation.interpolate(feature_maps, source, target, ks=ks, **options).transpose(0, 1),)

    with attacks.frozen(network):
        (moved,) = in_batches(lead, max(1, bench.batch_size // max(1, len(ks))), source, target)
    distance = attacks.l2_norm((moved - target[:, None]).flatten(0, 1))
    return {"images": moved, "distance": distance.unflatten(0, moved.shape[:2])}


def check_any(networks: Collection[Any]) -> None:
    """Raise InputError where a study has no network to look at."""
    if not networks:
        raise InputError("--network: missing, expected at least one for this kind of study")


def check_classes(networks: Mapping[str, Any]) -> None:
    """Raise InputError unless all networks (by name, with num_classes) tell equally many classes apart."""
    classes = {name: network.num_classes for name, network in networks.items()}
    if len(set(classes.values())) > 1:
        raise InputError(f"networks tell different numbers of classes apart ({classes}), expected one data set")


def paired(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (source, target) [count] each: image i, and the first image from number `count` on of another class
    that no earlier pair took. Nothing is picked by eye.

    Raises InputError if the images do not suffice.
    """
    free = list(range(count, len(labels)))
    targets = []
    for i in range(count):
        target = next((j for j in free if labels[j] != labels[i]), None) if i < len(labels) else None
        if target is None:
            raise InputError(f"study.pairs: {count}, expected fewer: pair {i} of {len(labels)} images finds no target")
        free.remove(target)
        targets.append(target)
    return np.arange(count), np.array(targets, np.int64)


def first(samples: SampleSet, count: int, device: torch.device) -> tuple[SampleSet, torch.Tensor, torch.Tensor]:
    """The first `count` images, as stored and as (x, y) on the device; InputError where there are fewer."""
    if count > len(samples):
        raise InputError(f"study.count: {count}, expected at most {len(samples)}, the number of images")
    part = samples.subset(slice(0, count))
    return part, images.to_float(part.images).to(device), torch.from_numpy(part.labels).to(device)


def first_of_set(bench: Bench, name: str, count: int) -> SampleSet:
    """The first `count` images of a set as stored; InputError where there are fewer, or no such set."""
    if name not in bench.sets:
        raise InputError(f"--set: no {name}, expected one of that name among: {', '.join(bench.sets) or 'none'}")
    if count > len(bench.sets[name]):
        raise InputError(f"study.count: {count}, expected at most {len(bench.sets[name])}, the images of set {name}")
    return bench.sets[name].subset(slice(0, count))


def in_batches(
    function: Callable[..., tuple[torch.Tensor, ...]], batch_size: int, *tensors: torch.Tensor
) -> list[torch.Tensor]:
    """function's outputs over consecutive batches, joined along their first dimension."""
    batches = list(zip(*(t.split(batch_size) for t in tensors), strict=True))
    parts = [function(*batch) for batch in runtime.progress(batches, "batches")]
    return [torch.cat(column) for column in zip(*parts, strict=True)]


def pictures(x: torch.Tensor) -> np.ndarray:
    """Images [S, T, C, H, W] in [0, 1] as uint8 [S, T, H, W, C]."""
    return images.to_uint8(x.flatten(0, 1)).reshape(*x.shape[:2], *x.shape[3:], x.shape[2])


def first_shown(
    done: Mapping[str, Mapping[str, torch.Tensor]], keys: Sequence[str], count: int
) -> dict[str, np.ndarray]:
    """What figures draw of every network [K, ...], of the first `count` images: pictures as uint8, and values."""
    drawn = np.stack([pictures(result["images"][:count]) for result in done.values()])
    values = {key: np.stack([result[key][:count].cpu().numpy() for result in done.values()]) for key in keys}
    return {"networks": np.array(list(done)), "images": drawn, **values}


def rounded(values: torch.Tensor) -> list[float]:
    """Values as a study's JSON states them."""
    return [round(value, 6) for value in values.tolist()]
