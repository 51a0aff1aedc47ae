"""Score samples (FID, inception score, precision, recall) against references, each sampling seed on its own."""

from __future__ import annotations

from pagboost import cli


def main() -> None:
    arguments = cli.parser(__doc__)
    arguments.add_argument("samples", metavar="SAMPLES.npz", help="arr_0: uint8 [N, H, W, C]; seeds: int [N], optional")
    arguments.add_argument("--extractor", required=True, nargs="+", metavar="WEIGHTS", help="those of the references")
    arguments.add_argument(
        "--reference",
        required=True,
        nargs="+",
        type=cli.labelled,
        metavar="LABEL=REFERENCE.npz",
        help="made by make_reference.py; the label names the result",
    )
    arguments.add_argument(
        "--first",
        nargs="+",
        type=cli.labelled,
        default=[],
        metavar="LABEL=N",
        help="score the first N images of each seed only against this reference",
    )
    arguments.add_argument("--batch-size", type=cli.positive_int, default=250, help="images per pass")
    arguments.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where metrics are computed"
    )
    arguments.add_argument("--out", required=True, metavar="METRICS.json", help="the metrics to write")
    args = cli.parse(arguments)
    if len(dict(args.reference)) < len(args.reference):
        arguments.error("--reference: a label is given twice, expected each once")
    for label, count in args.first:
        if label not in dict(args.reference) or not count.isdigit():
            arguments.error(f"--first {label}={count}: expected a label of --reference and a number of images")

    from pagboost import artifacts, runtime
    from pagboost.metrics import evaluation, features, reference

    runtime.prepare(args.threads)
    samples = artifacts.load_samples(args.samples)
    extractors = [features.load_extractor(path) for path in args.extractor]
    with runtime.device(args.device) as device:
        references = {label: reference.load(path, device) for label, path in args.reference}
        protocols = evaluation.evaluate_samples(
            samples, extractors, references, args.batch_size, device, args.samples, {k: int(n) for k, n in args.first}
        )
    made = artifacts.provenance(
        samples_sha256=artifacts.file_hash(args.samples),
        references_sha256={label: artifacts.file_hash(path) for label, path in args.reference},
    )
    artifacts.save_json(args.out, {"protocols": protocols, "provenance": made})


if __name__ == "__main__":
    cli.run(main)
