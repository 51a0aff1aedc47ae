"""Gather a scale's tables, figures and claims into one self-contained HTML page."""

from __future__ import annotations

from pagboost import cli


def main() -> None:
    from pagboost.planning import paper_flags

    arguments = cli.parser(__doc__)
    paper_flags.add_papers(arguments)
    paper_flags.add_results(arguments)
    paper_flags.add_unavailable(arguments)
    paper_flags.add_without(arguments)
    paper_flags.add_configuration(arguments)
    cli.add_trainings(arguments)
    arguments.add_output("--out", help="the .html to write")
    options = cli.parse(arguments)

    from pagboost import artifacts
    from pagboost.report import cells, left_out, page

    papers = [left_out.shown(paper, options.without.get(paper["key"])) for paper in options.paper]
    shown = []
    for paper in papers:
        place = options.results, paper["key"]
        shown += [cells.claims_file(*place), *(cells.table_file(*place, name) for name in paper["tables"])]
        shown += [cells.figure_file(*place, name) for name in paper["figures"]]
    cli.check_outputs(arguments, options, read=shown)
    sections = [page.section(paper, options.results, options.without.get(paper["key"])) for paper in papers]
    facts = page.provenance(papers, options.results, options.unavailable, options.config, options.trainings[1:])
    with artifacts.atomic(options.out) as temporary:
        text = page.page(sections, facts, options.results.resolve().name)
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # a folder's name may be no UTF-8
