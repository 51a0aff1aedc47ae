"""Studies of time-dependent classifiers: their gradients and what these do (Kawar et al. 2023, Figs. 3-6).

As in `studies`: one value per image and network for claims, pictures of a few for figures. x_t and lengths are in the
[-1, 1] scale, not clipped; pictures, and what a judge sees, are clipped to [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pagboost import attacks, images, objectives, rng, runtime
from pagboost.artifacts import SampleSet
from pagboost.boosting import walks
from pagboost.boosting.walks import Guide
from pagboost.errors import InputError
from pagboost.generators import guidance
from pagboost.generators.diffusion import ddpm
from pagboost.generators.diffusion.schedule import make_schedule, q_sample
from pagboost.metrics.features import Extractor, FeatureNetwork, Features, extract
from pagboost.options import studies
from pagboost.options.kinds import named
from pagboost.studies import advantages
from pagboost.studies.images import (
    Study,
    check_any,
    check_classes,
    first,
    first_shown,
    in_batches,
    pictures,
    rounded,
)
from pagboost.studies.noisiness import high_frequency_share, min_max


@dataclass(frozen=True)
class TimeNetwork:
    """A network of (x_t, t) in eval mode, classifier or diffusion model, and the facts of its weights.

    shape (C, H, W) and num_classes are those of its images; target is a diffusion model's ("noise" or "x_0").
    """

    network: torch.nn.Module
    num_classes: int
    shape: tuple[int, int, int]
    schedule: str
    diffusion_steps: int
    target: str | None = None

    @classmethod
    def of(cls, network: torch.nn.Module, description: Mapping[str, Any]) -> TimeNetwork:
        """From what networks.load returns."""
        dataset = description["dataset"]
        shape = (dataset["channels"], dataset["size"], dataset["size"])
        process = (description["schedule"], description["diffusion_steps"])
        return cls(network, dataset["num_classes"], shape, *process, description.get("target"))


@dataclass(frozen=True)
class Bench:
    """What a study is made on; samples are labelled real images in their stored order.

    judge: a classifier of clean images in [0, 1], trained apart from the networks. diffusion: what the classifiers
    guide. sets: images that they guided, by classifier, of the same labels and streams.
    """

    samples: SampleSet
    classifiers: Mapping[str, TimeNetwork]
    judge: tuple[str, Guide] | None
    batch_size: int
    device: torch.device
    diffusion: TimeNetwork | None = None
    sets: Mapping[str, SampleSet] = field(default_factory=dict)

    @property
    def process(self) -> tuple[str, int]:
        """(schedule, diffusion_steps), which all networks share."""
        check_any(self.classifiers)
        first = next(iter(self.classifiers.values()))
        return first.schedule, first.diffusion_steps


def run(options: studies.Study, bench: Bench) -> Study:
    """The study that a configuration entry describes.

    Raises InputError for networks that do not fit the images or each other.
    """
    _check(bench)
    return named(options.uses)(bench, options)


def _check(bench: Bench) -> None:
    """Move the networks to the device; InputError unless they fit the images and share one forward process."""
    networks = {**bench.classifiers, **({"diffusion": bench.diffusion} if bench.diffusion else {})}
    _, height, width, channels = bench.samples.images.shape
    for name, found in networks.items():
        if found.shape != (channels, height, width):
            raise InputError(f"{name}: a network of images {found.shape}, expected {(channels, height, width)}")
        found.network.to(bench.device, memory_format=torch.channels_last)
    processes = {name: (found.schedule, found.diffusion_steps) for name, found in networks.items()}
    if len(set(processes.values())) > 1:
        raise InputError(f"networks of different forward processes ({processes}), expected one")
    guides = dict([bench.judge] if bench.judge else [])
    for name, guide in guides.items():
        walks.check(guide, bench.samples, f"images for {name}")
        guide.network.to(bench.device, memory_format=torch.channels_last)
    check_classes(networks | guides)


# -- gradients


def gradient_study(bench: Bench, options: studies.TimeGradients) -> Study:
    """Kawar Fig. 3: grad_{x_t} log p(y | x_t, t) of the first `count` images and their true classes y.

    x_t ~ q(x_t | x) at each of `timesteps`, the same for every network. One value per image: noisiness, the mean
    over timesteps of the gradient's `high_frequency_share`, and noisiness_at_<t>.
    """
    count, timesteps, shown = options.count, options.timesteps, options.shown
    part, x, y = _first(bench, count)
    schedule = make_schedule(*bench.process, device=bench.device)
    for time in timesteps:
        if time >= len(schedule):
            raise InputError(f"study.timesteps: {time}, expected times in 0..{len(schedule) - 1}")
    streams = rng.SampleStreams("gradients", *part.streams(), bench.device)
    times = torch.tensor(timesteps, device=bench.device).expand(count, -1)
    x_t = torch.stack([q_sample(schedule, x, t, streams.randn(tuple(x.shape[1:]))) for t in times.unbind(1)], 1)
    labels = y[:, None].expand_as(times)
    done = {}
    for name, classifier in bench.classifiers.items():
        flat = (tensor.flatten(0, 1) for tensor in (x_t, times, labels))
        (found,) = in_batches(_gradients_of(classifier.network), bench.batch_size, *flat)
        done[name] = {"images": min_max(found), "noisiness": high_frequency_share(found)}
        done[name] = {key: value.unflatten(0, times.shape) for key, value in done[name].items()}
    noisiness = {name: result["noisiness"] for name, result in done.items()}
    quantities = {"noisiness": {name: rounded(values.mean(1)) for name, values in noisiness.items()}}
    for column, time in enumerate(timesteps):
        quantities[f"noisiness_at_{time}"] = {name: rounded(values[:, column]) for name, values in noisiness.items()}
    arrays = {"source": part.images[:shown], "labels": part.labels[:shown], "timesteps": np.array(timesteps)}
    arrays["noisy"] = pictures((x_t[:shown] + 1) / 2)
    return Study(arrays | first_shown(done, ("noisiness",), shown), quantities, {"timesteps": timesteps}, count)


def _gradients_of(network: torch.nn.Module) -> Callable[..., tuple[torch.Tensor]]:
    """(x_t, times, y) -> (grad_{x_t} log p(y | x_t, t),): the very gradient that guides."""

    def gradients(x_t: torch.Tensor, times: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor]:
        with attacks.frozen(network):
            return (attacks.gradient(guidance.class_log_probability(network, y), x_t, times.float())[0],)

    return gradients


# -- targeted attacks at t = 0


def targeted_attack(
    network: torch.nn.Module, x: torch.Tensor, targets: torch.Tensor, *, eps: float, steps: int
) -> torch.Tensor:
    """Kawar Fig. 4: targeted PGD on x [N, C, H, W] that raises log p(target | x, t = 0) inside ||delta||_2 <= eps.

    x and eps are in the [-1, 1] scale, the result is not clipped. The step is eps / steps, as in BIGRoC's Fig. 2
    (the paper states none). No randomness.
    """

    def loss_fn(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return objectives.ce(network(x, x.new_zeros(len(x))).float(), y)

    with attacks.frozen(network):
        return attacks.pgd(loss_fn, x, targets, eps=eps, alpha=eps / steps, steps=steps, bounds=None)


def targeted_study(bench: Bench, options: studies.TimeTargeted) -> Study:
    """Kawar Fig. 4: the first `count` images, led at t = 0 to each of the `targets` classes that follow their own.

    eps is an L2 length in the [-1, 1] scale at images of `pixels` values, carried over to these at equal change per
    value. One value per image, the mean over targets: probability that the attacked network gives the target;
    agreement, the share of targets that the judge sees; noisiness of the perturbation (`high_frequency_share`).
    """
    judge_name, judge = _judge(bench)
    targets, steps, shown = options.targets, options.steps, options.shown
    if targets >= judge.num_classes:
        raise InputError(f"study.targets: {targets}, expected 1..{judge.num_classes - 1}, the number of other classes")
    part, x, y = _first(bench, options.count)
    wanted = (y[:, None] + torch.arange(1, targets + 1, device=bench.device)) % judge.num_classes
    radius = images.equal_change(options.eps, x[0].numel(), options.pixels)
    done = {}
    for name, classifier in bench.classifiers.items():
        values = in_batches(
            _led(classifier.network, judge.network, radius, steps),
            bench.batch_size,
            x.repeat_interleave(targets, 0),
            wanted.flatten(),
        )
        names = ("images", "probability", "agreement", "noisiness")
        done[name] = {key: value.unflatten(0, wanted.shape) for key, value in zip(names, values, strict=True)}
    keys = ("probability", "agreement", "noisiness")
    quantities = {key: {name: rounded(result[key].mean(1)) for name, result in done.items()} for key in keys}
    arrays = {"source": part.images[:shown], "labels": part.labels[:shown], "targets": wanted[:shown].cpu().numpy()}
    settings = {"eps": radius, "alpha": radius / steps, "steps": steps, "norm": "l2", "judge": judge_name}
    return Study(arrays | first_shown(done, keys, shown), quantities, settings, options.count)


def _led(
    network: torch.nn.Module, judge: torch.nn.Module, eps: float, steps: int
) -> Callable[..., tuple[torch.Tensor, ...]]:
    """(x in [-1, 1], targets) -> attacked images in [0, 1]; probability, agreement and noisiness of each."""

    def lead(x: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        moved = targeted_attack(network, x, targets, eps=eps, steps=steps)
        picture = ((moved + 1) / 2).clamp(0, 1)
        with torch.no_grad():
            probability = objectives.target_logit(network(moved, x.new_zeros(len(x))).float().softmax(1), targets)
            agreed = judge(picture).argmax(1) == targets
        return picture, probability, agreed.float(), high_frequency_share(moved - x)

    return lead


# -- guided trajectories


def trajectory_study(bench: Bench, options: studies.Trajectories) -> Study:
    """Kawar Fig. 5: x_0 as predicted at `moments` evenly spaced steps of sampling, guided by each classifier.

    Image i has class i mod num_classes and the streams of sampling seed `seed` under every classifier, as in sets that
    `sampling.generate` draws. One value per image: probability, the mean over moments of the judge's probability of the
    class in the predicted x_0, and probability_at_<t>.
    """
    judge_name, judge = _judge(bench)
    count, steps, moments, shown = options.count, options.steps, options.moments, options.shown
    if bench.diffusion is None:
        raise InputError("study.diffusion: missing, expected the model that the classifiers guide")
    if set(options.scales) != set(bench.classifiers):
        raise InputError(f"study.scales: names {', '.join(options.scales)}, expected {', '.join(bench.classifiers)}")
    kept = [round(k * (steps - 1) / (moments - 1)) for k in range(moments)]
    times = make_schedule(*bench.process, steps).timesteps.flip(0)[kept].tolist()
    y = torch.arange(count, device=bench.device) % judge.num_classes
    done = {}
    for name, classifier in bench.classifiers.items():
        walk = _walked(bench, classifier, options, options.scales[name], kept)
        predicted, final = in_batches(walk, bench.batch_size, torch.arange(count, device=bench.device), y)
        probability = [_probability(judge.network, x, y, bench.batch_size) for x in predicted.unbind(1)]
        done[name] = {"images": predicted, "final": final, "probability": torch.stack(probability, 1)}
    values = {name: result["probability"] for name, result in done.items()}
    quantities = {"probability": {name: rounded(value.mean(1)) for name, value in values.items()}}
    for column, time in enumerate(times):
        quantities[f"probability_at_{time}"] = {name: rounded(value[:, column]) for name, value in values.items()}
    arrays = {"labels": y[:shown].cpu().numpy(), "timesteps": np.array(times)}
    arrays["final"] = np.stack([images.to_uint8(result["final"][:shown]) for result in done.values()])
    settings = {"scales": options.scales, "steps": steps, "seed": options.seed, "judge": judge_name}
    return Study(arrays | first_shown(done, ("probability",), shown), quantities, settings, count)


def _walked(
    bench: Bench, classifier: TimeNetwork, options: studies.Trajectories, scale: float, kept: Sequence[int]
) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """(index, y) -> x_0 predicted at the kept steps [N, M, C, H, W], and the sample, both in [0, 1]."""
    diffusion = bench.diffusion
    respaced = make_schedule(*bench.process, options.steps, bench.device)

    def walk(index: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        streams = rng.SampleStreams("sample", [options.seed] * len(index), index.tolist(), bench.device)
        guide = guidance.classifier_guidance(classifier.network, y, scale)
        walked = (respaced, diffusion.shape, diffusion.target, options.clip_x_0, guide)
        predicted = []
        with attacks.frozen(classifier.network), runtime.autocast(bench.device):
            steps = ddpm.ancestral(diffusion.network, y, streams, *walked)
            for i, step in enumerate(runtime.progress(steps, "steps of a batch", options.steps)):
                if i in kept:
                    predicted.append(step.x_0)
        return tuple(((x + 1) / 2).clamp(0, 1) for x in (torch.stack(predicted, 1), step.x_t))

    return walk


@torch.no_grad()
def _probability(judge: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, batch_size: int) -> torch.Tensor:
    """The judge's probability [N] of class y in images [N, C, H, W] in [0, 1]."""
    parts = zip(x.split(batch_size), y.split(batch_size), strict=True)
    return torch.cat([objectives.target_logit(judge(x).softmax(1), y) for x, y in parts])


# -- where one classifier's images are better


def advantage_study(bench: Bench, options: studies.Advantages) -> Study:
    """Kawar Fig. 6: pairs of images of equal class and noise where the set `of` is better than the set `over`, by rule.

    By the judge, per image: log_probability of its class, and distance of its features to those of the nearest real
    image of that class. An image wins if it is better in both; a win's size is its `advantages.margins`. Shown are the
    largest wins of `of`, fewer where it has fewer. One value per image: the two measurements, and wins (0 or 1).
    """
    judge_name, _ = _judge(bench)
    of, over = options.of, options.over
    measured = _measured(bench, (of, over))
    sets = {name: bench.sets[name] for name in (of, over)}
    if not (sets[of].same_streams(sets[over]) and np.array_equal(sets[of].labels, sets[over].labels)):
        raise InputError(f"study.sets: {of} and {over} differ in labels, seeds or index, expected pairs")
    ahead = advantages.margins(measured[of], measured[over])
    order = ahead.argsort(descending=True, stable=True)[: min(options.shown, int((ahead > 0).sum()))].cpu()
    quantities = {key: {name: rounded(found[key]) for name, found in measured.items()} for key in measured[of]}
    wins = {of: ahead > 0, over: advantages.margins(measured[over], measured[of]) > 0}
    quantities["wins"] = {name: rounded(won.float()) for name, won in wins.items()}
    arrays = {
        "networks": np.array([of, over]),
        "rows": order.numpy(),
        "labels": sets[of].labels[order.numpy()],
        "images": np.stack([found.images[order.numpy()] for found in sets.values()]),
        "margin": ahead.cpu()[order].numpy(),
    }
    return Study(arrays, quantities, {"of": of, "over": over, "judge": judge_name}, len(ahead))


def _measured(bench: Bench, names: Sequence[str]) -> dict[str, dict[str, torch.Tensor]]:
    """log_probability and distance [N] of each set's images, as the judge sees them; see `advantage_study`."""
    judge_name, judge = _judge(bench)
    for name in names:
        if name not in bench.sets:
            raise InputError(f"study: no set {name}, expected one of: {', '.join(bench.sets)}")
        walks.check(judge, bench.sets[name], f"set {name}")
    if not isinstance(judge.network, FeatureNetwork):
        raise InputError(f"study.judge: {judge_name} gives no features, expected an extractor such as a cnn")
    extractor = Extractor(judge_name, "", judge.network)

    def seen(part: SampleSet, where: str) -> tuple[Features, torch.Tensor]:
        features = extract(extractor, part.images, bench.batch_size, bench.device, where)
        return features, torch.from_numpy(part.labels).to(bench.device)

    real, real_y = seen(bench.samples, "real images")
    result = {}
    for name in names:
        found, y = seen(bench.sets[name], f"set {name}")
        distance = advantages.nearest_of_class(found.features.double(), y, real.features.double(), real_y)
        result[name] = {"log_probability": -objectives.ce(found.logits, y).double(), "distance": distance}
    return result


def _judge(bench: Bench) -> tuple[str, Guide]:
    if bench.judge is None:
        raise InputError("study.judge: missing, expected a classifier trained apart from the networks")
    return bench.judge


def _first(bench: Bench, count: int) -> tuple[SampleSet, torch.Tensor, torch.Tensor]:
    """The first `count` images, as stored and as (x in the [-1, 1] scale, y) on the device."""
    if bench.samples.labels is None:
        raise InputError("images have no labels, expected a class for each")
    part, x, y = first(bench.samples, count, bench.device)
    return part, 2 * x - 1, y
