#!/usr/bin/env python3
"""How fast a card draws, boosts, trains and looks: the rates that `make plan` reckons with (costs/rates.yaml).

python benchmarks/rates.py imagenet --device cuda sample:ct1 sample:vanilla_s1 boost:wrn_robust:256 train:time_robust
python benchmarks/rates.py digits sample:cd1 train:rn50_robust              (on a CPU: whether it runs)

Each line runs what a job runs, at its batch size, on random weights and images: a sampler with few of its steps, a
boost of a few steps, a training of few iterations, whose start (kernels chosen, graphs captured) is taken off.
Multiply-adds are those that the plan counts, so that its hours follow from both whatever either leaves out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pagboost import artifacts, networks, recipes, rng, runtime, training
from pagboost.artifacts import SampleSet, numbered
from pagboost.boosting import walks
from pagboost.boosting.guide import Guide
from pagboost.costs import counting, work
from pagboost.generators import sampling
from pagboost.metrics.features import Extractor, extract
from pagboost.options.boosts import AnyBoost
from pagboost.options.reading import read
from pagboost.options.samplers import Sampler
from pagboost.planning import configuration, counted
from pagboost.planning.results import FEATURES_BATCH, Results

STEPS, SHORT, LONG = 4, 4, 12  # of a sampler or a walk; iterations of a training
WALK = {"objective": "ce", "sampler": "pgd", "alpha": 0.1, "fixed_steps": STEPS, "guide": "x", "source": "assumed"}


class Bench:
    """Networks with random weights of a scale, on a device."""

    def __init__(self, results: Results, device: torch.device, folder: Path, images: int | None) -> None:
        self.results, self.device, self.folder, self.images = results, device, folder, images

    def built(self, network: Mapping[str, Any]) -> torch.nn.Module:
        torch.manual_seed(0)
        return networks.build(network).eval()

    def some(self, dataset: str, count: int, size: int | None = None) -> SampleSet:
        channels, side, _ = work.shape_of(self.results, dataset, size)
        pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)
        classes = self.results.scale["datasets"][dataset]["num_classes"]
        return SampleSet(pixels, np.arange(count) % classes, *numbered([0], count))

    def timed(self, run: Callable[[], Any]) -> float:
        self.synchronized()
        start = time.perf_counter()
        run()
        self.synchronized()
        return time.perf_counter() - start

    def synchronized(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


Measured = tuple[str, Mapping[str, Any], float, float, float]  # what, network, of a call, of all, seconds


def sample(bench: Bench, name: str) -> Measured:
    """A batch of a generator's, of few steps; the second one counts."""
    entry = bench.results.scale["generators"][name]
    steps = {"steps": STEPS} if "steps" in entry["sampler"] else {}
    said, dataset = {**entry["sampler"], **steps}, bench.results.dataset_of(name)
    batch = bench.images or bench.results.scale["samples"]["eval"]["batch_size"]
    shape = work.shape_of(bench.results, dataset)
    network = counted.network(bench.results.scale, entry["model"])
    guiding = counted.network(bench.results.scale, entry["classifier"]) if "classifier" in entry else None
    net, classifier = bench.built(network), guiding and bench.built(guiding)
    classes = bench.results.scale["datasets"][dataset]["num_classes"]
    options = read(Sampler, said, "sampler")

    def run() -> None:
        sampling.generate(net, options, shape, classes, [0], batch, batch, bench.device, classifier)

    run()
    seconds, calls, one = bench.timed(run), work.evaluations_of(said), batch * counting.forward(network, shape)
    guided = calls * counting.AT_IMAGE * batch * counting.forward(guiding, shape) if guiding else 0.0
    return "sample", network, one, calls * one + guided, seconds


def boost(bench: Bench, name: str, size: str) -> Measured:
    """A batch of images of a size, walked few steps by a model's network; the second one counts."""
    entry = counted.declared(bench.results.scale, name)
    batch = bench.images or bench.results.scale["samples"]["eval"]["batch_size"]
    network, images = counted.network(bench.results.scale, name), bench.some(entry["dataset"], batch, int(size))
    facts = {"channels": images.images.shape[3], "size": int(size)}
    facts["num_classes"] = bench.results.scale["datasets"][entry["dataset"]]["num_classes"]
    guide, options = Guide.of(bench.built(network), {"dataset": facts}), read(AnyBoost, WALK, "boost")

    def run() -> None:
        walks.boost_samples(guide, options, images, STEPS, batch, bench.device)

    run()
    seconds, one = bench.timed(run), batch * counting.forward(network, (facts["channels"], int(size), int(size)))
    return "boost", network, one, STEPS * counting.AT_IMAGE * one, seconds


def train(bench: Bench, name: str) -> Measured:
    """A training's iterations, those of a short one taken off a longer one."""
    entry = bench.results.scale["models"][name]
    images = bench.some(entry["dataset"], 256)
    data = training.Data(
        torch.from_numpy(images.images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(images.labels), 0
    )
    data = replace(data, num_classes=bench.results.scale["datasets"][entry["dataset"]]["num_classes"])
    inputs = {role: given(bench, role, of, images) for role, of in (entry.get("inputs") or {}).items()}

    def lasting(iterations: int) -> float:
        said = {**entry, "training": {**entry["training"], "iterations": iterations}}
        said["training"] |= {"checkpoints": []} if "checkpoints" in said["training"] else {}
        return bench.timed(lambda: recipes.train(said, data, training.Run(0, bench.device), inputs))

    lasting(SHORT)
    seconds = lasting(LONG) - lasting(SHORT)
    asked = {**entry["training"], "iterations": LONG - SHORT}
    network, shape = counted.network(bench.results.scale, name), work.shape_of(bench.results, entry["dataset"])
    others = {
        role: counted.network(bench.results.scale, of)
        for role, of in (entry.get("inputs") or {}).items()
        if role == "teacher"
    }
    total = one = 0.0
    for what, looked, times, batch in work.TRAININGS[entry["kind"]](asked):
        each = counting.forward({**asked, **others}.get(what, network), shape)
        total, one = total + looked * times * each, one or batch * each
    return "train", network, one, total, seconds


def given(bench: Bench, role: str, of: Any, images: SampleSet) -> Any:
    """A file that a training reads: weights, or what generators drew."""
    if role == "fakes":
        artifacts.save_samples(bench.folder / "fakes.npz", images)
        return [bench.folder / "fakes.npz"]
    network = counted.network(bench.results.scale, of)
    facts = {"channels": images.images.shape[3], "size": images.images.shape[1]}
    facts["num_classes"] = bench.results.scale["datasets"][counted.declared(bench.results.scale, of)["dataset"]][
        "num_classes"
    ]
    kind = {"backbone": "classifier", "teacher": "edm"}[role]
    networks.save(bench.folder / f"{of}.safetensors", bench.built(network), network, {"kind": kind, "dataset": facts})
    return bench.folder / f"{of}.safetensors"


def look(bench: Bench, name: str) -> Measured:
    """Batches of images through an extractor."""
    entry = bench.results.scale["models"][name]
    extractor = Extractor(name, "0" * 64, bench.built(entry["network"]))
    images = bench.some(entry["dataset"], bench.images or 10 * FEATURES_BATCH).images

    def run() -> None:
        extract(extractor, images, FEATURES_BATCH, bench.device)

    run()
    seconds, each = bench.timed(run), counting.forward(entry["network"], work.shape_of(bench.results, entry["dataset"]))
    return "look", entry["network"], FEATURES_BATCH * each, len(images) * each, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", help="a name in config/scales, or a scale file")
    parser.add_argument("work", nargs="+", help="sample:GENERATOR, boost:MODEL:SIZE, train:MODEL, look:MODEL")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, help="of a batch that is drawn, boosted or looked at; none: the scale's")
    options = parser.parse_args()
    given_ = configuration.with_defaults(configuration.ROOT, {"scale": options.scale, "papers": [], "unavailable": {}})
    results = Results(configuration.load(configuration.ROOT, {**given_, "seeds": [0]}))
    device = torch.device(options.device)
    runtime.prepare(torch.get_num_threads())
    rng.generator("rates")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(results, device, Path(folder), options.images)
        for asked in options.work:
            what, *names = asked.split(":")
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            run = {"sample": sample, "boost": boost, "train": train, "look": look}[what]
            what, network, one, total, seconds = run(bench, *names)
            peak = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else 0.0
            rate = f"{{gmacs_a_call: {one / 1e9:.3g}, tmacs_a_second: {total / seconds / 1e12:.3g}}}"
            said = f"{options.scale} {asked}, {seconds:.2f} s, {peak:.1f} GB"
            print(f"{what} {network['kind']}: {rate}  # {said}", flush=True)


if __name__ == "__main__":
    main()
