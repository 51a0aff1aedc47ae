#!/usr/bin/env python3
"""Train one model of the configuration and write its weights."""

import argparse
import json
from pathlib import Path

from pagboost import cli

ROLES = ("teacher", "backbone", "fakes", "joint")


def named_path(text: str) -> tuple[str, Path]:
    """An argparse type: ROLE=PATH."""
    role, _, path = text.partition("=")
    if role not in ROLES or not path:
        raise argparse.ArgumentTypeError(f"{text}: expected ROLE=PATH, the role one of: {', '.join(ROLES)}")
    return role, Path(path)


def main() -> None:
    from pagboost.options.models import Model
    from pagboost.options.reading import read

    flags = cli.parser(__doc__)
    flags.add_argument("--spec", type=cli.spec, required=True, help="model entry: JSON or FILE.yaml:models.NAME")
    flags.add_argument("--data", type=Path, help="training images (.npz)")
    flags.add_argument("--size", type=cli.positive_int, help="side of images, where weights come from elsewhere")
    flags.add_argument("--num-classes", type=cli.positive_int, required=True)
    flags.add_argument("--input", type=named_path, action="append", default=[], metavar="ROLE=PATH",
                       help="another job's file: teacher=, backbone=, joint=, fakes= (which may repeat)")  # fmt: skip
    flags.add_argument("--seed", type=cli.natural, default=0)
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    cli.add_labels(flags)
    flags.add_output("--out", help="weights (.safetensors)")
    args = cli.parse(flags)
    single = [role for role, _ in args.input if role != "fakes"]
    if len(set(single)) < len(single):
        flags.error("--input: a role is given twice, expected each once (fakes alone may repeat)")
    model = read(Model, args.spec, "")
    if args.data is None and (model.training.needs_data or args.size is None):
        flags.error("--data: missing, expected training images (or --size, where weights come from elsewhere)")

    from pagboost import artifacts, networks, recipes, runtime, training

    runtime.prepare(args.threads)
    state = args.out.with_suffix(".state")
    on_the_way = [training.checkpoint_file(args.out, iterations) for iterations in model.checkpoints()]
    cli.check_outputs(flags, args, {"--out": [state, *on_the_way]})
    if args.data is None:
        data = training.no_data(model.network.image_channels(), args.size, args.num_classes)
    else:
        data = training.load_data(args.data, args.num_classes, args.labels)
    inputs = {role: path for role, path in args.input if role != "fakes"}
    fakes = [path for role, path in args.input if role == "fakes"]
    if fakes:
        inputs["fakes"] = fakes
    given = [("data", args.data)] if args.data else []
    files = [[role, artifacts.file_hash(path)] for role, path in [*given, *args.input]]
    identity = json.dumps([args.spec, args.num_classes, args.labels, args.seed, files], sort_keys=True, default=str)
    with runtime.device(args.device) as device:
        run = training.Run(args.seed, device, state, identity=identity)
        trained = recipes.train(args.spec, data, run, inputs)
    facts = {
        "kind": model.kind,
        "seed": args.seed,
        "iterations": getattr(model.training, "iterations", 0),  # none where weights come from elsewhere
        "dataset": {"channels": data.x.shape[1], "size": data.x.shape[2], "num_classes": args.num_classes},
        **trained.facts,
    }
    for iterations, network in trained.checkpoints.items():
        facts_then = facts | {"iterations": iterations, "checkpoint_of": args.out.stem}
        networks.save(training.checkpoint_file(args.out, iterations), network, trained.spec, facts_then)
    networks.save(args.out, trained.network, trained.spec, facts)


if __name__ == "__main__":
    cli.run(main)
