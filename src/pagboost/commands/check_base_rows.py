"""Compare samples that nobody boosted with the FIDs that the papers print; fail where any is off."""

from pagboost import cli


def main() -> None:
    from pagboost.planning import paper_flags

    flags = cli.parser(__doc__)
    paper_flags.add_papers(flags)
    paper_flags.add_results(flags)
    flags.add_argument("--generators", required=True, nargs="+", help="whose samples are compared")
    flags.add_argument("--within", type=cli.positive_float, default=2.0, help="percent of the printed number")
    args = cli.parse(flags)

    from pagboost.report import base_rows

    found = [row for paper in args.paper for row in base_rows.rows(paper, args.results, args.generators)]
    print(*(row.line(args.within) for row in found), sep="\n", flush=True)
    base_rows.check(found, args.within)
    print(f"all {len(found)} base rows are within {args.within:g} %")
