#!/usr/bin/env python3
"""Turn real images into a reference: what evaluate.py needs of them, computed once."""

from __future__ import annotations

from pagboost import cli


def main() -> None:
    arguments = cli.parser(__doc__)
    arguments.add_argument("images", help="any reference with images that evaluate.py takes")
    arguments.add_argument("--extractor", metavar="EXTRACTOR",
                           help="as in evaluate.py; by default what the images ask for")  # fmt: skip
    arguments.add_argument("--inception-weights", metavar="PATH|URL", help="else PAGBOOST_INCEPTION, cache, web")
    arguments.add_argument("--split", help="what the images are, for the protocol: train, heldout, ... (default: name)")
    arguments.add_argument("--k", type=cli.positive_int, default=3, help="neighbours of precision and recall")
    arguments.add_argument("--batch-size", type=cli.positive_int, default=100, help="images per pass")
    arguments.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where it is computed")
    arguments.add_output("--out", metavar="REFERENCE.npz", help="the reference to write")
    args = cli.parse(arguments)

    from pagboost import runtime
    from pagboost.errors import InputError
    from pagboost.metrics import features, reference, references

    runtime.prepare(args.threads)
    if references.kind_of(args.images) == "saved":
        raise InputError(f"{args.images}: is such a reference already, expected the images (another k needs them)")
    name = args.extractor or references.default_extractors([args.images])[0]
    extractors = [features.load_extractor(name, args.inception_weights)]
    with runtime.device(args.device) as device:
        options = {"split": args.split or references.name_of(args.images)}
        (made,) = references.open_reference(args.images, extractors, args.k, args.batch_size, device, **options)
        reference.save(args.out, made)


if __name__ == "__main__":
    cli.run(main)
