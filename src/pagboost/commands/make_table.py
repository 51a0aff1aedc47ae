"""Make one table of a paper: CSV for machines, Markdown and LaTeX for people."""

from __future__ import annotations

from pagboost import cli


def main() -> None:
    from pagboost.planning import paper_flags

    arguments = cli.parser(__doc__)
    paper_flags.add_paper(arguments)
    arguments.add_argument("--table", required=True, help="name of the table in the paper's file")
    paper_flags.add_results(arguments)
    paper_flags.add_unavailable(arguments)
    arguments.add_argument("--nfe", type=cli.counts, default={}, help="{generator: network evaluations per sample}")
    cli.add_trainings(arguments)
    cli.add_made_from(arguments)
    arguments.add_output("--out-csv")
    arguments.add_output("--out-md")
    arguments.add_output("--out-tex")
    options = cli.parse(arguments)

    from pagboost import artifacts
    from pagboost.report import cells, origins, render, tables

    beyond = options.trainings[1:]
    frame = tables.table(options.paper, options.table, options.results, options.unavailable, options.nfe, beyond)
    spec = options.paper["tables"][options.table]
    read = cells.inputs(options.results, spec, options.unavailable, beyond)
    cli.check_outputs(arguments, options, read=read)
    tables.save(frame, options.out_csv)
    frame = tables.load(options.out_csv)  # what people read, here and on the page, comes from the same rounded numbers
    trainings = options.trainings if cells.over_trainings(spec) else options.trainings[:1]
    origin = origins.said(read, options.results, trainings, options.made_from)
    rendered = origins.below(render.people(frame, spec, options.paper), origin)
    for path, text in ((options.out_md, render.markdown(rendered)), (options.out_tex, render.latex(rendered))):
        with artifacts.atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
