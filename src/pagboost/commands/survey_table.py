"""Gather the answers to a survey into a table: CSV for machines, Markdown and LaTeX for people."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("answers", type=Path, nargs="*", help="exported answers (.json), one file per rater")
    flags.add_argument("--survey", type=Path, help="the page that was answered (.html); answers need it")
    flags.add_argument("--reported", type=cli.spec, required=True, metavar="SPEC",
                       help="JSON or FILE.yaml:tables.NAME: title, place, sets; a paper's rows, facts")  # fmt: skip
    flags.add_argument("--allow-incomplete", action="store_true", help="count raters who stopped early too")
    flags.add_output("--out-csv")
    flags.add_output("--out-md")
    flags.add_output("--out-tex")
    args = cli.parse(flags)
    if args.answers and args.survey is None:
        flags.error("--survey is needed to check answers against")

    from pagboost import artifacts
    from pagboost.report import render, survey, tables

    spec = survey.declared(args.reported)
    votes = None
    if args.answers:
        votes = survey.load_answers(args.answers, survey.load_survey(args.survey), args.allow_incomplete)
    frame = survey.table(spec, votes)
    rendered = survey.people(frame, spec)
    tables.save(frame, args.out_csv)
    for path, text in ((args.out_md, render.markdown(rendered)), (args.out_tex, render.latex(rendered))):
        with artifacts.atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
