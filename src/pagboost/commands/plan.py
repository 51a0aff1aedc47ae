"""What a scale's papers would take, rule by rule, before anything is run: counted, at rates that were measured."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    cli.add_scale(flags)
    flags.add_argument("--configfile", type=Path, nargs="+", default=[], help="files that go over it, as Snakemake's")
    flags.add_argument("--papers", nargs="+", metavar="NAME", help="none: all that the scale renders")
    flags.add_argument("--seeds", type=cli.natural, nargs="+", action=cli.Distinct, help="none: config.yaml's")
    flags.add_argument("--card", default="h100", help="whose rates: one of costs/rates.yaml")
    flags.add_argument("--gpus", type=cli.positive_int, nargs="+", default=[1, 8], help="of which days are told")
    args = cli.parse(flags)

    from pagboost.costs import rates, table
    from pagboost.planning import configuration
    from pagboost.planning.outputs import Outputs
    from pagboost.planning.results import Results

    asked = {"scale": args.scale}
    for path in args.configfile:
        asked = configuration.merge(asked, configuration.read_yaml(path))
    asked |= {key: value for key, value in (("papers", args.papers), ("seeds", args.seeds)) if value}
    scale = configuration.load(
        configuration.ROOT, configuration.with_defaults(configuration.ROOT, asked), args.configfile
    )
    measured = rates.load(args.card)
    rows = table.of_scale(Outputs(Results(scale)), measured)
    print(*table.lines(rows, measured, args.gpus), sep="\n")
