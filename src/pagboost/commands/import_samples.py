"""Deal out images that were drawn elsewhere: some rows of a sample file, as the sampling seeds of one use."""

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("samples", metavar="FILE|URL", help=".npz: arr_0 uint8 [N, H, W, C], labels arr_1 optional")
    cli.add_downloads(flags)
    flags.add_argument("--size", type=cli.positive_int, required=True, help="side of the images, in pixels")
    flags.add_argument("--num-classes", type=cli.positive_int, help="labels are checked against it")
    cli.add_seeds(flags, "sampling seeds the rows are dealt out to")
    cli.add_per_seed(flags)
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
