"""Say how the runs of a scale stand: what runs, what failed, how long the rest takes. Reads files alone."""

import json
from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("results", type=Path, help="results of a scale: results/digits")
    flags.add_argument("--json", action="store_true", help="for programs; seconds, and times of the epoch")
    args = cli.parse(flags)

    from pagboost.planning.watching import status

    runs = status.look(args.results)
    if args.json:
        print(json.dumps([run.as_json() for run in runs], indent=2))
    else:
        status.show(runs)
