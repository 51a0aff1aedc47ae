#!/usr/bin/env python3
"""Write the splits of a data set as sample files."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("--spec", type=cli.spec, required=True, help="data set entry: JSON or FILE.yaml:datasets.NAME")
    flags.add_argument("--out", type=Path, required=True, help="folder for one <split>.npz each")
    args = cli.parse(flags)

    from pagboost import data
    from pagboost.artifacts import save_samples

    for name, part in cli.call(data.prepare, where="datasets", options=args.spec).items():
        save_samples(args.out / f"{name}.npz", part)


if __name__ == "__main__":
    cli.run(main)
