"""Make up all that a scale needs of other places, in the real formats and at full width, to run it whole on a CPU."""

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    cli.add_scale(flags)
    flags.add_output("--out", folder=True, help="folder of the made-up files, of the settings, and of the results")
    flags.add_argument("--papers", nargs="+", default=[], metavar="NAME", help="none: all that the scale renders")
    flags.add_argument("--generators", nargs="+", default=[], metavar="NAME", help="the others are left out; none: all")
    flags.add_argument("--images", type=cli.positive_int, default=4, help="of each set, 4 or more")
    flags.add_argument("--narrow", action="store_true", help="networks of few channels: for tests")
    args = cli.parse(flags)
    if args.images < 4:
        flags.error(f"argument --images: {args.images}, expected at least 4 (precision and recall with k = 3)")

    from pagboost.planning import configuration
    from pagboost.rehearsal import places, whole

    asked = (args.papers, args.generators, args.images, args.narrow)
    settings = whole.write(configuration.ROOT, args.scale, args.out, *asked)
    made = places.Places(args.out)
    print(f"{made.size() / 1e9:.1f} GB made up in {args.out}; rm -r {args.out} removes it, with its results")
    print(f"snakemake --cores 2 fetch --configfile {settings}")
    print(f"snakemake --cores 2 all --configfile {settings}")
