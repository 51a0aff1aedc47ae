#!/usr/bin/env python3
"""Run one study of the configuration: a method on held-out images under several networks, image by image."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("--spec", type=cli.spec, required=True, help="study: JSON or FILE.yaml:studies.NAME")
    flags.add_argument("--data", type=Path, required=True, help="labelled images (.npz)")
    flags.add_argument("--network", type=cli.labelled, action="append", required=True, metavar="NAME=PATH",
                       help="classifier (.safetensors); may repeat")  # fmt: skip
    flags.add_argument("--judge", type=cli.labelled, metavar="NAME=PATH", help="a classifier trained apart")
    flags.add_argument("--batch-size", type=cli.positive_int, default=250, help="images per pass")
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    flags.add_argument("--arrays", type=Path, required=True, help="images and numbers for figures (.npz)")
    flags.add_argument("--out", type=Path, required=True, help="one value per image and network (.json)")
    args = cli.parse(flags)

    from pagboost import artifacts, boosting, networks, runtime, studies

    runtime.prepare(args.threads)
    files = dict(args.network)
    if len(files) < len(args.network):
        flags.error("--network: a name is given twice, expected each once")
    samples = artifacts.load_samples(args.data)

    def guide(path: str) -> boosting.Guide:
        return boosting.Guide.of(*networks.load(path, {"classifier", "joint"}))

    judge = (args.judge[0], guide(args.judge[1])) if args.judge else None
    guides = {name: guide(path) for name, path in files.items()}
    with runtime.device(args.device) as device:
        study = studies.run(args.spec, studies.Bench(samples, guides, judge, args.batch_size, device))
    weights = files | dict([args.judge] if args.judge else [])
    made = artifacts.provenance(
        data_sha256=artifacts.file_hash(args.data),
        weights_sha256={name: artifacts.file_hash(path) for name, path in weights.items()},
    )
    artifacts.save_arrays(args.arrays, study.arrays)
    artifacts.save_json(
        args.out,
        {
            "kind": args.spec["kind"],
            "unit": "image",
            "n": study.n,
            "settings": study.settings,
            "quantities": study.quantities,
            "provenance": made,
        },
    )


if __name__ == "__main__":
    cli.run(main)
