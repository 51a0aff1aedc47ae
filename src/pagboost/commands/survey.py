"""Build an opinion survey about two sample sets of the same seeds and labels: one HTML page that works offline."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("first", type=Path, help="samples (.npz)")
    flags.add_argument("second", type=Path, help="the same samples made in another way (.npz)")
    flags.add_argument("--names", required=True, help="class names: a JSON list, or a file of them")
    flags.add_argument("--pairs", type=cli.positive_int, default=200, help="pairs to ask about")
    flags.add_argument("--seed", type=cli.natural, default=0, help="which pairs are drawn")
    cli.add_labels(flags)
    flags.add_output("--out", help="the .html to write")
    args = cli.parse(flags)

    from pagboost import artifacts
    from pagboost.report import survey

    names = survey.load_names(args.names)
    text = survey.page(args.first, args.second, names, args.pairs, args.seed, labels=args.labels)
    with artifacts.atomic(args.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
