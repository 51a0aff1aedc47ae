#!/usr/bin/env python3
"""What bf16 on a CPU changes in the end: robust accuracy and boosted FID, by trainings in fp32 and in bf16.

python benchmarks/bf16.py results/digits --seeds 0 1 2 3 4           (a run's data, samples and extractor)
python benchmarks/bf16.py results/digits --model wrn_robust --generator biggan --eps 4

For each seed a robust classifier is trained with its attacks in fp32 and in bf16, and each boosts the same samples in
its own format. Attacked accuracy is of held-out images, by PGD in fp32 of the training's own length. Printed: both
means, the deviation over seeds, and that of the differences, whose mean says what bf16 does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

import pagboost
from pagboost import artifacts, attacks, networks, recipes, runtime, training
from pagboost.guides import classifier
from pagboost.machine.number_format import CPU_BF16
from pagboost.options.models import Model
from pagboost.options.reading import read
from pagboost.planning import configuration

ROOT = Path(__file__).parents[1]
FORMATS = {"fp32": "cpu", "bf16": CPU_BF16}


def measured(results: Path, entry: Mapping[str, Any], seed: int, asked: argparse.Namespace, device: str) -> dict:
    """{what: its value} of one training in one format."""
    images = results / "data" / entry["dataset"]
    data = training.load_data(images / "train.npz", asked.classes)
    start = time.process_time()
    with runtime.device(device) as where:
        trained = recipes.train(entry, data, training.Run(seed, where), {})
    network = trained.network
    found = {"training, CPU s": time.process_time() - start}
    x, y = training.load_data(images / "heldout.npz", asked.classes).batch(slice(None))
    attack = classifier.ramped(1, 1, read(Model, entry, asked.model).training.attack)  # at its full lengths
    with attacks.frozen(network):
        moved = attacks.pgd(classifier.misclassify(network), x, y, **attack)
    for name, seen in (("accuracy", x), ("attacked accuracy", moved)):
        with torch.no_grad():
            found[name] = float((network(seen).argmax(1) == y).float().mean())
    samples = artifacts.load_samples(results / "samples" / asked.generator / "boost=none" / "eval.npz", asked.classes)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        weights, of = Path(folder, "guide.safetensors"), {"channels": x.shape[1], "size": x.shape[2]}
        facts = {"kind": "classifier", "seed": seed, "dataset": {**of, "num_classes": asked.classes}}
        networks.save(weights, network, trained.spec, facts)
        boosted = pagboost.boost(samples.images, samples.labels, weights, eps=asked.eps, device=device)
    found["boosting, CPU s"] = time.process_time() - start
    scored = pagboost.evaluate(
        boosted,
        images / "train.npz",
        extractor=results / "weights" / f"{asked.extractor}.safetensors",
        resamplings=0,
        fid_infinity=False,
    )
    return found | {"boosted FID": scored["fid"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="a finished run's folder")
    parser.add_argument("--scale", default="digits")
    parser.add_argument("--model", default="rn50_robust")
    parser.add_argument("--generator", default="cgan", help="conditional: its labels are boosted towards")
    parser.add_argument("--extractor", default="cnn_a")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--eps", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    asked = parser.parse_args()
    runtime.prepare(1)
    scale, _ = configuration.with_bases(ROOT, configuration.scale_file(ROOT, asked.scale))
    entry = scale["models"][asked.model]
    found = {name: [] for name in FORMATS}
    for seed in asked.seeds:
        for name, device in FORMATS.items():
            found[name].append(measured(asked.results, entry, seed, asked, device))
    print(f"{'':20}  " + "  ".join(f"{name:>10}" for name in ("fp32", "over seeds", "bf16", "difference", "its error")))
    for what in found["fp32"][0]:
        one, other = ([of[what] for of in found[name]] for name in FORMATS)
        apart = [b - a for a, b in zip(one, other, strict=True)]
        error = stdev(apart) / len(apart) ** 0.5
        told = (mean(one), stdev(one), mean(other), mean(apart), error)
        print(f"{what:20}  " + "  ".join(f"{value:10.3f}" for value in told))


if __name__ == "__main__":
    main()
