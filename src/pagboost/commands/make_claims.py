"""Test the claims of a paper on measured metrics: CSV for machines, Markdown for people."""

from __future__ import annotations

from pagboost import cli


def main() -> None:
    from pagboost.planning import paper_flags

    arguments = cli.parser(__doc__)
    paper_flags.add_paper(arguments)
    paper_flags.add_results(arguments)
    paper_flags.add_unavailable(arguments)
    paper_flags.add_without(arguments)
    cli.add_trainings(arguments)
    cli.add_made_from(arguments)
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
