"""Gather a scale's tables, figures and claims into one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from pagboost import cli


def main() -> None:
    from pagboost.planning import configuration

    arguments = cli.parser(__doc__)
    arguments.add_argument(
        "--paper", required=True, nargs="+", type=configuration.paper, help="FILE.yaml or JSON, one or more"
    )
    arguments.add_argument(
        "--results", required=True, type=Path, help="folder of this scale's metrics, tables, figures"
    )
    arguments.add_argument("--unavailable", type=cli.reasons, default={}, help="{generator, boost or protocol: why}")
    arguments.add_argument(
        "--without", type=configuration.without, default={}, help="what is left out, or a scale file"
    )
    arguments.add_argument("--config", nargs="*", type=Path, default=[], help="configuration files to state hashes of")
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
