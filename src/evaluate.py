#!/usr/bin/env python3
"""Score samples (FID, sFID, inception score, precision, recall, KID) against references, each sampling seed on its own.

A reference is an .npz of images, an OpenAI reference batch, a folder of pictures, SCALE.yaml:datasets.NAME/SPLIT, or
what make_reference.py saved. Docs: docs/evaluation.md.
"""

from __future__ import annotations

from pagboost import cli

MOST_RESAMPLINGS = 100_000  # each costs a distance; more would run for days


def main() -> None:
    arguments = cli.parser(__doc__)
    arguments.add_argument("samples", help=".npz (arr_0: uint8 [N, H, W, C]; seeds: int [N], optional) or a folder")
    arguments.add_argument("--reference", required=True, nargs="+", type=cli.maybe_labelled, metavar="[LABEL=]REF",
                           help="what to compare with; the label names the result")  # fmt: skip
    arguments.add_argument("--extractor", nargs="+", metavar="EXTRACTOR",
                           help="inception (as pytorch-fid), openai (as OpenAI's evaluator), clean (as clean-fid) or "
                           "a classifier's .safetensors; else what references ask for, or inception")  # fmt: skip
    arguments.add_argument("--inception-weights", metavar="PATH|URL", help="else PAGBOOST_INCEPTION, cache, web")
    arguments.add_argument("--k", type=cli.positive_int, default=3, help="neighbours of precision and recall "
                           "(a saved reference has its own)")  # fmt: skip
    arguments.add_argument("--splits", type=cli.positive_int, default=10, help="parts of the inception score")
    arguments.add_argument("--resamplings", type=int, default=100, help="of the 95 %% bootstrap intervals; 0: none")
    arguments.add_argument("--no-fid-infinity", action="store_true", help="leave out FID at infinite n")
    arguments.add_argument("--first", nargs="+", type=cli.labelled, default=[], metavar="LABEL=N",
                           help="score the first N images of each seed only against this reference")  # fmt: skip
    arguments.add_argument("--batch-size", type=cli.positive_int, default=100, help="images per pass")
    arguments.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where it is computed")
    arguments.add_output("--out", metavar="METRICS.json", help="the metrics to write")
    args = cli.parse(arguments)
    if args.resamplings and args.resamplings < 40:
        arguments.error(f"--resamplings {args.resamplings}: expected 0, or at least 40 (a 95 % interval)")
    if args.resamplings > MOST_RESAMPLINGS:
        arguments.error(f"--resamplings {args.resamplings}: expected at most {MOST_RESAMPLINGS:,}")
    for label, count in args.first:
        if not count.isdecimal() or int(count) < 1:
            arguments.error(f"--first {label}={count}: expected a number of images")

    from pagboost import artifacts, runtime
    from pagboost.metrics import evaluation, features, image_sets, references, scores, summary

    runtime.prepare(args.threads)
    sources = references.labelled(args.reference)
    samples = image_sets.open_images(args.samples)  # what is wrong with them is said before weights are fetched
    evaluation.per_seed(samples.seeds, 0, args.splits, samples.where)
    names = args.extractor or references.default_extractors(list(sources.values()))
    extractors = [features.load_extractor(name, args.inception_weights) for name in names]
    samples = image_sets.open_images(args.samples, extractors[0].network.in_channels)
    options = scores.Options(args.splits, args.resamplings, not args.no_fid_infinity)
    with runtime.device(args.device) as device:
        opened = references.open_references(sources, extractors, samples, args.k, args.batch_size, device)
        first = references.first_counts(args.first, opened)
        protocols = evaluation.evaluate_samples(samples, extractors, opened, args.batch_size, device, first, options)
    made = artifacts.provenance(
        samples_sha256=samples.sha256(),
        references_sha256={label: references.sha256(source) for label, source in sources.items()},
    )
    artifacts.save_json(args.out, {"protocols": protocols, "provenance": made})
    print(summary.table(protocols))


if __name__ == "__main__":
    cli.run(main)
