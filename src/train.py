#!/usr/bin/env python3
"""Train one model of the configuration and write its weights."""

from pathlib import Path

from pagboost import cli
from pagboost.artifacts import load_samples


def named_path(text: str) -> tuple[str, Path]:
    """An argparse type: ROLE=PATH."""
    role, _, path = text.partition("=")
    return role, Path(path)


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("--spec", type=cli.spec, required=True, help="model entry: JSON or FILE.yaml:models.NAME")
    flags.add_argument("--data", type=Path, required=True, help="training images (.npz)")
    flags.add_argument("--num-classes", type=cli.positive_int, required=True)
    flags.add_argument("--input", type=named_path, action="append", default=[], metavar="ROLE=PATH",
                       help="another job's file: teacher=, backbone=, fakes= (the last may repeat)")  # fmt: skip
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    flags.add_argument("--out", type=Path, required=True, help="weights (.safetensors)")
    args = cli.parse(flags)

    import torch

    from pagboost import images, networks, recipes, runtime, training

    runtime.prepare(args.threads)
    samples = load_samples(args.data, args.num_classes)
    data = training.Data(images.to_float(samples.images), torch.from_numpy(samples.labels), args.num_classes)
    inputs = {role: path for role, path in args.input if role != "fakes"}
    inputs["fakes"] = [path for role, path in args.input if role == "fakes"]
    with runtime.device(args.device) as device:
        run = training.Run(args.seed, device, args.out.with_suffix(".state"))
        trained = recipes.train(args.spec, data, run, inputs)
    facts = {
        "kind": args.spec["kind"],
        "seed": args.seed,
        "iterations": args.spec["training"]["iterations"],
        "dataset": {
            "channels": data.x.shape[1],
            "size": data.x.shape[2],
            "num_classes": args.num_classes,
        },
        **trained.facts,
    }
    networks.save(args.out, trained.network, trained.spec, facts)


if __name__ == "__main__":
    cli.run(main)
