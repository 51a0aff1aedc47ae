"""Draw one figure of a paper: samples before and after boosting, as PNG with its caption inside."""

from __future__ import annotations

from pathlib import Path

from pagboost import cli


def main() -> None:
    from pagboost.planning import configuration

    arguments = cli.parser(__doc__)
    arguments.add_argument(
        "--paper", required=True, type=configuration.paper, help="FILE.yaml or JSON: the paper as data"
    )
    arguments.add_argument("--figure", required=True, help="name of the figure in the paper's file")
    arguments.add_argument("--results", required=True, type=Path, help="folder of this scale's samples and steps")
    arguments.add_argument("--unavailable", type=cli.reasons, default={}, help="{generator or boost: why}")
    cli.add_trainings(arguments)
    arguments.add_output("--out", help="the .png to write")
    options = cli.parse(arguments)

    from pagboost.report import cells, figures

    given = options.unavailable, options.trainings[1:]
    picture, caption = figures.figure(options.paper, options.figure, options.results, *given)
    spec = options.paper["figures"][options.figure]
    cli.check_outputs(arguments, options, read=cells.inputs(options.results, spec, *given))
    figures.save(picture, caption, options.out)
