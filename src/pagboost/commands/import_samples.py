"""Deal out images that were drawn elsewhere: some rows of a sample file, as the sampling seeds of one use."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("samples", metavar="FILE|URL", help=".npz: arr_0 uint8 [N, H, W, C], labels arr_1 optional")
    flags.add_argument("--sha256", help="of the file, 8 digits or more; none: a URL's first download counts")
    flags.add_argument("--downloads", type=Path, default=Path("downloads"), help="where a URL's copy is kept")
    flags.add_argument("--size", type=cli.positive_int, required=True, help="side of the images, in pixels")
    flags.add_argument("--num-classes", type=cli.positive_int, help="labels are checked against it")
    cli.add_seeds(flags, "sampling seeds the rows are dealt out to")
    flags.add_argument("--per-seed", type=cli.positive_int, required=True, help="images per seed")
    flags.add_argument("--skip", type=cli.natural, default=0, help="rows left to other uses")
    cli.add_labels(flags)
    flags.add_output("--out", help="samples (.npz)")
    args = cli.parse(flags)

    from pagboost.artifacts import load_samples, save_samples
    from pagboost.generators import imported
    from pagboost.sources import download

    path = download.local(args.samples, args.sha256, args.downloads)
    cli.check_outputs(flags, args, read=[path])  # a URL's copy is a file of its own
    samples = load_samples(path, args.num_classes, labels=args.labels)
    dealt = imported.deal(samples, args.seeds, args.per_seed, args.skip, args.size, str(path))
    save_samples(args.out, dealt)
