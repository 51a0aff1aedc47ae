"""Studies made from files, as a command line names them: what is read, and the hashes of it."""

from __future__ import annotations

import argparse
from typing import Any

from pagboost import artifacts, networks, runtime
from pagboost.boosting import walks
from pagboost.errors import InputError
from pagboost.networks import given
from pagboost.options import studies
from pagboost.options.reading import read
from pagboost.studies import costs
from pagboost.studies import images as image_studies
from pagboost.studies import times as time_studies
from pagboost.studies.images import Study

Made = tuple[Study, dict[str, Any]]  # a study, and the hashes of what it was made from


def made(options: studies.AnyStudy, args: argparse.Namespace) -> Made:
    """The study that options and flags (studies.flags) describe. Raises InputError for what does not fit."""
    return _of_images(options, args) if options.of_images else _of_costs(options, args)


def _of_costs(options: studies.Costs, args: argparse.Namespace) -> Made:
    """Of networks as they are declared: there are no files."""
    names, steps = [*options.samplers, *options.boosts], args.steps or {}
    for name in names:
        if name not in steps:
            raise InputError(f"--steps: no {name}, expected a step of each of: {', '.join(names)}")
    declared = {name: read(studies.Step, steps[name], f"--steps: {name}") for name in names}
    return costs.cost_study(declared, options), {}


def _of_images(options: studies.Study, args: argparse.Namespace) -> Made:
    """Of images, and of networks at work on them."""
    if args.data is None:
        raise InputError("--data: missing, expected labelled images (.npz) for this kind of study")
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
