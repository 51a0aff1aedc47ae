#!/usr/bin/env python3
"""Write the splits of a data set as sample files."""

from pathlib import Path

from pagboost import cli
from pagboost.artifacts import save_samples


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("--spec", type=cli.spec, required=True, help="data set entry: JSON or FILE.yaml:datasets.NAME")
    flags.add_argument("--out", type=Path, required=True, help="folder for one <split>.npz each")
    args = cli.parse(flags)

    from pagboost import data

    options = dict(args.spec["options"], size=args.spec["size"])
    samples = data.load(args.spec["source"], options, "datasets")
    for name, part in data.split(samples, args.spec["splits"], args.spec["split_seed"]).items():
        save_samples(args.out / f"{name}.npz", part)


if __name__ == "__main__":
    cli.run(main)
