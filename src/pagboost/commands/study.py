"""Run one study of the configuration: a method on images under several networks, image by image, or what steps cost."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from pagboost.errors import InputError

if TYPE_CHECKING:
    from pagboost.options import studies
    from pagboost.studies.images import Study

    Made = tuple[Study, dict[str, Any]]  # a study, and the hashes of what it was made from


def main() -> None:
    from pagboost.options.reading import read
    from pagboost.options.studies import AnyStudy
    from pagboost.studies import flags

    args = flags.parse(__doc__)
    options = read(AnyStudy, args.spec, "study")

    from pagboost import artifacts, runtime

    runtime.prepare(args.threads)
    study, hashes = of_images(options, args) if options.of_images else of_costs(options, args)
    artifacts.save_arrays(args.arrays, study.arrays)
    found = {"settings": study.settings, "quantities": study.quantities}
    said = {"kind": options.kind, "unit": study.unit, "n": study.n, **found}
    artifacts.save_json(args.out, said | {"provenance": artifacts.provenance(**hashes)})


def of_costs(options: studies.Costs, args: argparse.Namespace) -> Made:
    """A study of networks as the scale declares them."""
    from pagboost.options.reading import read
    from pagboost.options.studies import Step
    from pagboost.studies.costs import cost_study

    names = [*options.samplers, *options.boosts]
    steps = args.steps or {}
    for name in names:
        if name not in steps:
            raise InputError(f"--steps: no {name}, expected a step of each of: {', '.join(names)}")
    return cost_study({name: read(Step, steps[name], f"--steps: {name}") for name in names}, options), {}


def of_images(options: studies.Study, args: argparse.Namespace) -> Made:
    """A study of images, and of networks at work on them."""
    if args.data is None:
        raise InputError("--data: missing, expected labelled images (.npz) for this kind of study")

    from pagboost import artifacts, networks, runtime
    from pagboost.boosting import walks
    from pagboost.networks import given
    from pagboost.studies import images as image_studies
    from pagboost.studies import times as time_studies

    hashes: dict[str, str] = {}  # of networks

    def guide(path: str) -> walks.Guide:
        found = given.load(path, {"classifier", "joint"}, (data.images.shape[3], data.images.shape[1]))
        hashes[path] = found.sha256
        return walks.Guide.of(found.network, found.description)

    def timed(path: str, kind: str) -> time_studies.TimeNetwork:
        hashes[path] = artifacts.file_hash(path)
        return time_studies.TimeNetwork.of(*networks.load(path, {kind}))

    load = (lambda path: timed(path, "time_classifier")) if options.in_time else guide
    data = artifacts.load_samples(args.data, labels=args.labels)
    judge, scorer = (next(((name, guide(path)) for name, path in one), None) for one in (args.judge, args.scorer))
    sets, pools, seen = (
        {name: artifacts.load_samples(path, labels=args.labels) for name, path in one}
        for one in (args.set, args.pool, args.seen)
    )
    common = (data, {name: load(path) for name, path in args.network}, judge, args.batch_size)
    with runtime.device(args.device) as device:
        if options.in_time:
            diffusion = next((timed(path, "ddpm") for _, path in args.diffusion), None)
            study = time_studies.run(options, time_studies.Bench(*common, device, diffusion, sets))
        else:
            bench = image_studies.Bench(*common, device, sets, next(iter(seen.values()), None), scorer, pools)
            study = image_studies.run(options, bench)
    weights = [*args.network, *args.judge, *args.diffusion, *args.scorer]
    read_besides = {"sets_sha256": args.set, "pools_sha256": args.pool, "seen_sha256": args.seen}
    return study, {
        "data_sha256": artifacts.file_hash(args.data),
        "weights_sha256": {name: hashes[path] for name, path in weights},
        **{key: {n: artifacts.file_hash(path) for n, path in files} for key, files in read_besides.items() if files},
    }
