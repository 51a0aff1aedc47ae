"""Draw one figure of a paper: samples before and after boosting, as PNG with its caption inside."""

from __future__ import annotations

from pagboost import cli


def main() -> None:
    from pagboost.planning import paper_flags

    arguments = cli.parser(__doc__)
    paper_flags.add_paper(arguments)
    arguments.add_argument("--figure", required=True, help="name of the figure in the paper's file")
    paper_flags.add_results(arguments)
    paper_flags.add_unavailable(arguments)
    cli.add_trainings(arguments)
    arguments.add_output("--out", help="the .png to write")
    options = cli.parse(arguments)

    from pagboost.report import cells, figures

    given = options.unavailable, options.trainings[1:]
    picture, caption = figures.figure(options.paper, options.figure, options.results, *given)
    spec = options.paper["figures"][options.figure]
    cli.check_outputs(arguments, options, read=cells.inputs(options.results, spec, *given))
    figures.save(picture, caption, options.out)
