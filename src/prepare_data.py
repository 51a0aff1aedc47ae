#!/usr/bin/env python3
"""Write the splits of a data set as sample files."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("--spec", type=cli.spec, required=True, help="data set entry: JSON or FILE.yaml:datasets.NAME")
    flags.add_output("--out", folder=True, help="folder for one <split>.npz each")
    args = cli.parse(flags)
    splits = args.spec.get("splits")
    names = splits if isinstance(splits, dict) else ()  # anything else is refused below
    odd = next((name for name in names if Path(name).name != name or name.strip(" .") != name or not name), None)
    if odd is not None:
        flags.error(f"splits.{odd}: expected a name for a file, without folders, or spaces and dots around it")
    cli.check_outputs(flags, args, {"--out": [args.out / f"{name}.npz" for name in names]})

    from pagboost.artifacts import save_samples
    from pagboost.sources import data

    for name, part in cli.call(data.prepare, where="datasets", options=args.spec).items():
        save_samples(args.out / f"{name}.npz", part)


if __name__ == "__main__":
    cli.run(main)
