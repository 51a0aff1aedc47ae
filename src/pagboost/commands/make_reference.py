"""Turn real images into a reference: what evaluate needs of them, computed once."""

from __future__ import annotations

from pathlib import Path

from pagboost import cli
from pagboost.metrics.flags import add_weights


def main() -> None:
    arguments = cli.parser(__doc__)
    arguments.add_argument("images", help="any reference that evaluate.py takes, or the URL of one")
    cli.add_downloads(arguments)
    arguments.add_argument("--extractor", metavar="EXTRACTOR",
                           help="as in evaluate.py; by default what the images ask for")  # fmt: skip
    add_weights(arguments)
    arguments.add_argument("--split", help="what the images are, for the protocol: train, heldout, ... (default: name)")
    arguments.add_argument("--k", type=cli.positive_int, default=3, help="neighbours of precision and recall")
    cli.add_batch_size(arguments, 100)
    cli.add_device(arguments)
    arguments.add_output("--out", metavar="REFERENCE.npz", help="the reference to write")
    args = cli.parse(arguments)

    from pagboost import runtime
    from pagboost.errors import InputError
    from pagboost.metrics import features, public, reference, references
    from pagboost.sources import addresses, download

    runtime.prepare(args.threads)
    source = args.images
    if addresses.is_url(source) or args.sha256:
        source = str(download.local(source, args.sha256, args.downloads))
        cli.check_outputs(arguments, args, read=[Path(source)])  # a URL's copy is a file of its own
    if references.kind_of(source) == "saved":
        raise InputError(f"{source}: is such a reference already, expected the images (another k needs them)")
    name = args.extractor or references.default_extractors([source])[0]
    extractors = [features.load_extractor(name, public.weights_given(args.weights))]
    with runtime.device(args.device) as device:
        options = {"split": args.split or references.name_of(source)}
        (made,) = references.open_reference(source, extractors, args.k, args.batch_size, device, **options)
        reference.save(args.out, made)
