"""Say of every file of a scale's results what made it, when, on what and from what: one row a file, as CSV."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("--config", type=cli.spec, required=True, help="config.yaml, or the same as JSON")
    flags.add_argument("--over", type=Path, nargs="*", default=[], help="files that went over it (--configfile)")
    cli.add_memory(flags)
    flags.add_output("--out", help="the table (.csv)")
    args = cli.parse(flags)

    from pagboost.planning import configuration, provenance
    from pagboost.planning.outputs import Outputs
    from pagboost.planning.results import Results

    scale = configuration.load(configuration.ROOT, dict(args.config), args.over)
    provenance.save(args.out, provenance.rows(Outputs(Results(scale)), args.memory))
