"""What the job of a result computes: passes of images through networks, from the same settings that the job gets.

Upper bounds, where a job decides as it goes: attacks that may stop early do not, of candidate lengths the longest is
walked. What is small beside these (losses, metrics of features, most studies) is not counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagboost import images
from pagboost.boosting import lengths
from pagboost.costs.counting import AT_IMAGE, AT_WEIGHTS, FORWARD, Shape
from pagboost.options.boosts import PublishedSteps
from pagboost.options.models import Dataset
from pagboost.options.reading import read
from pagboost.planning import counted
from pagboost.planning.lineage import Result
from pagboost.planning.results import FEATURES_BATCH, Results

REFERENCE_IMAGES = 10_000  # of an OpenAI batch


@dataclass(frozen=True)
class Passes:
    """`images` through a network of a spec, each as much work as `times` forward passes; `batch` of them at once.

    what: sample, boost, train or look: which rate holds.
    """

    what: str
    network: Mapping[str, Any]
    shape: Shape
    images: float
    times: float
    batch: int


def passes(result: Result, results: Results) -> list[Passes]:
    """What a result's job computes; nothing for what deals out, merges or renders."""
    of_script = {
        "sample.py": _sampled,
        "boost.py": _boosted,
        "train.py": _trained,
        "evaluate.py": _seen,
        "featurise.py": _seen,
        "make_reference.py": _reference,
        "study.py": _studied,
    }.get(result.script)
    return [] if of_script is None else [one for one in of_script(result, results) if one.images > 0]


def network_of(results: Results, model: str) -> Mapping[str, Any]:
    """A model's network, or that of what it starts from."""
    return counted.network(results.scale, model)


def shape_of(results: Results, dataset: str, size: int | None = None) -> Shape:
    """[C, H, W] of a data set's images, or of those resized."""
    entry = results.scale["datasets"][dataset]
    side = size or entry["size"]
    return read(Dataset, entry, "").options.image_channels() or 3, side, side


def model_of(result: Result) -> str:
    """The model whose weights a result is."""
    return Path(result.file).stem


def generator_of(result: Result) -> str:
    """The generator whose samples, or what is made of them, a result is."""
    return re.search(r"/([^/]+)/boost=", result.file)[1]


def share_of(result: Result) -> float:
    """The part of a set that a job makes: all of it, or one of its shards."""
    return 1 / int(str(result.settings["shard"]).partition("/")[2]) if "shard" in result.settings else 1.0


def images_of(results: Results, generator: str, use: str = "eval") -> int:
    """Of a set."""
    return len(results.seeds(use, generator)) * results.per_seed(generator, use)


def _sampled(result: Result, results: Results) -> Iterator[Passes]:
    if "sampler" not in result.settings:
        return
    settings, sampler = result.settings, result.settings["sampler"]
    drawn = len(settings["seeds"]) * settings["per_seed"] * share_of(result)
    shape = shape_of(results, results.dataset_of(generator_of(result)))
    evaluations = evaluations_of(sampler)
    network = network_of(results, model_of(result.inputs["weights"]))
    yield Passes("sample", network, shape, drawn, evaluations * FORWARD, settings["batch"])
    if "classifier" in result.inputs:
        towards = len(sampler.get("class_offsets", [0]))
        classifier = network_of(results, model_of(result.inputs["classifier"]))
        yield Passes("sample", classifier, shape, drawn, evaluations * towards * AT_IMAGE, settings["batch"])


def evaluations_of(sampler: Mapping[str, Any]) -> int:
    """How often a sampler calls its network."""
    if "sigmas" in sampler:
        return len(sampler["sigmas"])
    return 2 * sampler["steps"] - 1 if sampler["kind"] == "edm" else sampler.get("steps", 1)


def _boosted(result: Result, results: Results) -> Iterator[Passes]:
    generator, plan = generator_of(result), result.inputs.get("plan")
    settings = {**(plan.settings if plan else {}), **result.settings}
    spec, inputs = settings["spec"], (plan or result).inputs
    dataset = results.dataset_of(generator)
    shape = shape_of(results, dataset, spec.get("resolution"))
    network = network_of(results, spec["guide"])
    seen = math.prod(shape_of(results, results.scale["models"][spec["guide"]]["dataset"]))
    steps, tried = steps_of(spec, settings["length"], seen)
    if "validation" in inputs and "plan" not in result.inputs:
        looked = images_of(results, generator, "validation")
        if tried > 1:
            yield Passes("boost", network, shape, looked, steps * AT_IMAGE, settings["batch"])
            extractor = network_of(results, model_of(inputs["extractor"]))
            yield Passes("look", extractor, shape_of(results, dataset), looked * tried, FORWARD, settings["batch"])
        yield Passes("boost", network, shape, looked, FORWARD, settings["batch"])
    if Path(result.file).parts[-3] != "steps":  # which is what the shards of a boost agree on
        moved = images_of(results, generator) * share_of(result)
        yield Passes("boost", network, shape, moved, steps * AT_IMAGE, settings["batch"])


def steps_of(spec: Mapping[str, Any], length: Mapping[str, Any], values: int) -> tuple[int, int]:
    """(the most steps of a boost's walk, how many lengths are tried); values: of an image of the guide's size."""
    if "alpha" not in spec:
        return spec["steps"], len(length.get("multiples", [1]))
    if spec.get("fixed_steps") or not length:
        return spec.get("fixed_steps") or 1, 1
    published = read(PublishedSteps, length, "published")
    carried = images.equal_change(published.alpha, values, published.pixels)
    found = lengths.candidate_steps(carried if spec["alpha"] == "published" else spec["alpha"], values, published)
    return found[-1], len(found)


def _trained(result: Result, results: Results) -> Iterator[Passes]:
    entry, model = result.settings["spec"], results.checkpoints.get(model_of(result), model_of(result))
    of_kind = TRAININGS.get(entry["kind"])
    if of_kind is None:
        return
    network, shape = network_of(results, model), shape_of(results, entry["dataset"])
    teacher = (entry.get("inputs") or {}).get("teacher")
    others = {"teacher": network_of(results, teacher)} if teacher else {}
    for what, looked, times, batch in of_kind(entry["training"]):
        net = {**entry["training"], **others}.get(what, network)
        yield Passes("train", net, shape, looked, times, batch)


Trained = Iterator[tuple[str, float, float, int]]  # whose network, images, forward passes' worth of each, batch


def _classifier(training: Mapping[str, Any]) -> Trained:
    attack, batch = training.get("attack") or {"steps": 0}, training["batch_size"]
    yield "network", training["iterations"] * batch, attack["steps"] * AT_IMAGE + AT_WEIGHTS, batch


def _joint(training: Mapping[str, Any]) -> Trained:
    for key, attack in (("batch_size", "real_attack"), ("generated_batch_size", "generated_attack")):
        said = training.get(attack) or {"steps": 0}
        grown = training["iterations"] // said["grow_every"] if "grow_every" in said else 0
        steps = min(said["steps"] + grown, said.get("max_steps", said["steps"]))
        yield "network", training["iterations"] * training[key], steps * AT_IMAGE + AT_WEIGHTS, training[key]


def _denoiser(training: Mapping[str, Any]) -> Trained:
    yield "network", training["iterations"] * training["batch_size"], AT_WEIGHTS, training["batch_size"]


def _consistency(training: Mapping[str, Any]) -> Trained:
    """The network and its slow copy; of a distillation the teacher's step besides."""
    batch = training["batch_size"]
    yield "network", training["iterations"] * batch, AT_WEIGHTS + FORWARD, batch
    if "solver" in training:
        calls = 2 if training["solver"] == "heun" else 1
        yield "teacher", training["iterations"] * batch, calls * FORWARD, batch


def _gan(training: Mapping[str, Any]) -> Trained:
    """Each update of the discriminator sees real and generated images, each of the generator passes through both."""
    batch, again = training["batch_size"], training["discriminator_steps"]
    drawn = batch * training["iterations"]
    yield "network", drawn, again * FORWARD + AT_WEIGHTS, batch
    yield "discriminator", drawn, 2 * again * AT_WEIGHTS + AT_IMAGE, batch


def _vae(training: Mapping[str, Any]) -> Trained:
    for what in ("network", "encoder"):
        yield what, training["iterations"] * training["batch_size"], AT_WEIGHTS, training["batch_size"]


TRAININGS: Mapping[str, Callable[[Mapping[str, Any]], Trained]] = {
    "classifier": _classifier,
    "time_classifier": _classifier,
    "joint": _joint,
    "edm": _denoiser,
    "ddpm": _denoiser,
    "consistency_training": _consistency,
    "consistency_distillation": _consistency,
    "gan": _gan,
    "vae": _vae,
}


def _seen(result: Result, results: Results) -> Iterator[Passes]:
    """Of a set's metrics, where its features are not another job's; of a shard, its part."""
    if "features" in result.inputs:
        return
    generator = generator_of(result)
    extractors = result.inputs.get("extractors") or [result.inputs["extractor"]]
    looked = images_of(results, generator) * share_of(result)
    for extractor in extractors:
        network, shape = network_of(results, model_of(extractor)), shape_of(results, results.dataset_of(generator))
        yield Passes("look", network, shape, looked, FORWARD, FEATURES_BATCH)


def _reference(result: Result, results: Results) -> Iterator[Passes]:
    dataset = Path(result.file).parent.name
    looked = results.scale["datasets"][dataset]["splits"].get(result.settings["split"], REFERENCE_IMAGES)
    network = network_of(results, model_of(result.inputs["extractor"]))
    yield Passes("look", network, shape_of(results, dataset), looked, FORWARD, FEATURES_BATCH)


def _studied(result: Result, results: Results) -> Iterator[Passes]:
    """The studies that draw images or attack many; of the others, hundreds of images through a classifier, nothing."""
    spec = result.settings["spec"]
    if spec["kind"] not in ("trajectories", "robustness", "time_robustness"):
        return
    shape, networks, count = shape_of(results, spec["dataset"]), spec["networks"], spec["count"]
    if spec["kind"] == "trajectories":
        for name in networks:
            yield Passes("sample", network_of(results, name), shape, count, spec["steps"] * AT_IMAGE, count)
        drawn = count * len(networks)
        yield Passes("sample", network_of(results, spec["diffusion"]), shape, drawn, spec["steps"] * FORWARD, count)
        return
    attacks = 2 * len(spec["eps"]) * len(spec.get("timesteps", [0]))  # PGD and APGD
    for name in networks:
        yield Passes("boost", network_of(results, name), shape, count, attacks * spec["steps"] * AT_IMAGE, count)
