"""Turn real images into a reference that evaluate.py measures samples against."""

from __future__ import annotations

from pagboost import cli


def main() -> None:
    arguments = cli.parser(__doc__)
    arguments.add_argument("images", metavar="IMAGES.npz", help="arr_0: uint8 [N, H, W, C]")
    arguments.add_argument("--extractor", required=True, metavar="WEIGHTS", help="classifier that gives the features")
    arguments.add_argument("--split", required=True, help="what the images are, for the protocol: train, heldout, ...")
    arguments.add_argument("--k", type=cli.positive_int, default=3, help="neighbours of precision and recall")
    arguments.add_argument("--batch-size", type=cli.positive_int, default=250, help="images per pass")
    arguments.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where features are computed"
    )
    arguments.add_argument("--out", required=True, metavar="REFERENCE.npz", help="the reference to write")
    args = cli.parse(arguments)

    from pagboost import artifacts, runtime
    from pagboost.metrics import features, reference

    runtime.prepare(args.threads)
    samples = artifacts.load_samples(args.images)
    extractor = features.load_extractor(args.extractor)
    with runtime.device(args.device) as device:
        seen = features.extract(extractor, samples.images, args.batch_size, device, where=args.images)
        made = reference.make(seen, extractor, split=args.split, image_shape=samples.images.shape[1:], k=args.k)
        reference.save(args.out, made)


if __name__ == "__main__":
    cli.run(main)
