"""Gather a scale's tables, figures and claims into one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from pagboost import cli


def main() -> None:
    arguments = cli.parser(__doc__)
    arguments.add_argument("--paper", required=True, nargs="+", type=cli.spec, help="FILE.yaml or JSON, one or more")
    arguments.add_argument(
        "--results", required=True, type=Path, help="folder of this scale's metrics, tables, figures"
    )
    arguments.add_argument("--unavailable", type=cli.spec, default={}, help="{generator, boost or protocol: why}")
    arguments.add_argument("--config", nargs="*", type=Path, default=[], help="configuration files to state hashes of")
    arguments.add_argument("--out", required=True, type=Path, help="the .html to write")
    options = cli.parse(arguments)

    from pagboost import artifacts
    from pagboost.report import page

    sections = [page.section(paper, options.results) for paper in options.paper]
    facts = page.provenance(options.paper, options.results, options.unavailable, options.config)
    with artifacts.atomic(options.out) as temporary:
        temporary.write_text(page.page(sections, facts, options.results.resolve().name), encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)
