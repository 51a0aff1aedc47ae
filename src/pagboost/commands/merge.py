"""Make a set whole of its shards: the file that one job would have written, to the byte."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("shards", nargs="+", type=Path, metavar="SHARD", help="all shards of one set, in any order")
    flags.add_output("--out", help="the whole set (.npz)")
    args = cli.parse(flags)

    from pagboost import artifacts, merging

    artifacts.save_arrays(args.out, merging.merged(args.shards))
