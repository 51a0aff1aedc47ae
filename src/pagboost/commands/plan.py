"""What a scale's papers would take, rule by rule, before anything is run: counted, at rates that were measured."""

import json

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("scale", help="a name in config/scales, or a scale file")
    flags.add_argument("--config", default="{}", help='JSON that goes over config.yaml, such as {"seeds": [0]}')
    flags.add_argument("--card", default="h100", help="whose rates: one of costs/rates.yaml")
    flags.add_argument("--gpus", type=cli.positive_int, nargs="+", default=[1, 8], help="of which days are told")
    args = cli.parse(flags)

    from pagboost.costs import rates, table
    from pagboost.planning import configuration
    from pagboost.planning.outputs import Outputs
    from pagboost.planning.results import Results

    given = configuration.with_defaults(configuration.ROOT, {"scale": args.scale, **json.loads(args.config)})
    scale = configuration.load(configuration.ROOT, given)
    measured = rates.load(args.card)
    rows = table.of_scale(Outputs(Results(scale)), measured)
    print(*table.lines(rows, measured, args.gpus), sep="\n")
