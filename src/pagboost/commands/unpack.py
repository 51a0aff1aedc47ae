"""Put what pack.py wrote into a results folder, for a run to go on from: make the data first (docs/gpu.md)."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("parts", type=Path, help="folder of part-01.tar, …")
    flags.add_output("--out", folder=True, help="results/<scale>")
    cli.add_memory(flags)
    args = cli.parse(flags)

    from pagboost.planning import carrying

    print(f"{args.out}: {carrying.unpack(args.parts, args.out, args.memory)} files")
