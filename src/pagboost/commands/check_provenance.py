"""Compare results with the table of their provenance: is each file what was made, and would it be made so today?"""

import sys
from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("--configfile", type=Path, nargs="*", default=[], help="files over config.yaml, as Snakemake's")
    flags.add_argument("--config", type=cli.spec, default={}, help='keys over these, as JSON: {"scale": "cifar10"}')
    flags.add_argument("--table", type=Path, help="provenance.csv, where it does not lie in the results folder")
    cli.add_memory(flags)
    args = cli.parse(flags)

    from pagboost.planning import configuration, provenance
    from pagboost.planning.outputs import Outputs
    from pagboost.planning.results import Results

    root = configuration.ROOT
    config = configuration.with_defaults(root, {})
    for over in (*map(configuration.read_yaml, args.configfile), args.config):
        config = configuration.merge(config, over)
    scale = configuration.load(root, config, args.configfile)
    table = provenance.load(args.table or Path(scale["folder"], "provenance.csv"))
    found = list(provenance.differences(Outputs(Results(scale)), table, args.memory))
    for line in found:
        print(line)
    if found:
        sys.exit(1)
    print(f"all {len(table)} files are what was made, and would be made so today: snakemake --touch all accepts them")
