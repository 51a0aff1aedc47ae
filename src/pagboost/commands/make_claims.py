"""Test the claims of a paper on measured metrics: CSV for machines, Markdown for people."""

from __future__ import annotations

from pathlib import Path

from pagboost import cli


def main() -> None:
    from pagboost.planning import configuration

    arguments = cli.parser(__doc__)
    arguments.add_argument(
        "--paper", required=True, type=configuration.paper, help="FILE.yaml or JSON: the paper as data"
    )
    arguments.add_argument("--results", required=True, type=Path, help="folder of this scale's metrics")
    arguments.add_argument("--unavailable", type=cli.reasons, default={}, help="{generator, boost or protocol: why}")
    arguments.add_argument(
        "--without", type=configuration.without, default={}, help="what is left out, or a scale file"
    )
    cli.add_trainings(arguments)
    arguments.add_argument("--made-from", metavar="DIGEST", help="of all that it is made from, to be named below it")
    arguments.add_output("--out-csv")
    arguments.add_output("--out-md")
    options = cli.parse(arguments)

    from pagboost import artifacts
    from pagboost.report import cells, claims, left_out, origins, render, tables

    paper = left_out.shown(options.paper, options.without.get(options.paper["key"]))
    given = options.unavailable, options.trainings[1:]
    read = [path for claim in paper["claims"] for path in cells.inputs(options.results, claim, *given)]
    cli.check_outputs(arguments, options, read=read)
    frame = claims.evaluate(paper, options.results, *given)
    tables.save(frame, options.out_csv)
    frame = tables.load(options.out_csv)  # what people read, here and on the page, comes from the same rounded numbers
    origin = origins.said(read, options.results, options.trainings, options.made_from)
    with artifacts.atomic(options.out_md) as temporary:
        people = origins.below(render.claims(frame, paper), origin)
        temporary.write_text(render.markdown(people), encoding="utf-8")
