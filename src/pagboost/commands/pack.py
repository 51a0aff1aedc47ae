"""Pack a run's results into files of a limited size, to go on from elsewhere: all but the data, weights in bf16."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("results", type=Path, help="results/<scale>")
    flags.add_argument("--limit", type=cli.positive_int, default=64, metavar="MB", help="of each file")
    flags.add_output("--out", folder=True, help="folder of part-01.tar, part-02.tar, …: new, or empty")
    cli.add_memory(flags)
    args = cli.parse(flags)

    from pagboost.files import written
    from pagboost.planning import carrying

    written.check_new_folder(f"--out {args.out}", args.out, args.results)
    for part in carrying.pack(args.results, args.out, args.limit, args.memory):
        print(f"{part}: {part.stat().st_size / carrying.MB:.1f} MB")
