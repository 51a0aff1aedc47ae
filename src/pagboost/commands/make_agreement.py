"""Judge a paper's claims by two sets of trainings, and say on which they agree: CSV, and Markdown for people."""

import itertools

from pagboost import cli


def main() -> None:
    from pagboost.planning import paper_flags

    flags = cli.parser(__doc__)
    paper_flags.add_paper(flags)
    paper_flags.add_results(flags)
    paper_flags.add_unavailable(flags)
    paper_flags.add_without(flags)
    cli.add_trainings(flags)
    cli.add_second_trainings(flags)
    cli.add_made_from(flags)
    flags.add_output("--out-csv")
    flags.add_output("--out-md")
    args = cli.parse(flags)

    from pagboost import artifacts
    from pagboost.report import agreement, cells, compared, left_out, origins, render, tables

    paper = left_out.shown(args.paper, args.without.get(args.paper["key"]))
    sets = (None, args.trainings[1:]), (args.second_trainings[0], args.second_trainings[1:])
    judged = [(claim, *one) for claim in compared.claims_of(paper) for one in sets]
    files = [cells.inputs(args.results, claim, args.unavailable, beyond, first) for claim, first, beyond in judged]
    read = list(itertools.chain.from_iterable(files))
    cli.check_outputs(flags, args, read=read)
    frame = agreement.agreement(paper, args.results, args.unavailable, args.trainings, args.second_trainings)
    tables.save(frame, args.out_csv)
    origin = origins.said(read, args.results, [*args.trainings, *args.second_trainings], args.made_from)
    with artifacts.atomic(args.out_md) as temporary:
        people = origins.below(agreement.people(tables.load(args.out_csv), paper), origin)
        temporary.write_text(render.markdown(people), encoding="utf-8")
