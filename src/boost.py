#!/usr/bin/env python3
"""Boost samples with the gradients of a robust classifier or joint model."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("samples", type=Path, help="images and labels to boost (.npz)")
    flags.add_argument("--guide", type=Path, required=True, help="classifier or joint model (.safetensors)")
    flags.add_argument("--boost", type=cli.spec, required=True, metavar="SPEC",
                       help="JSON or FILE.yaml:boosts.NAME: objective, sampler, alpha, ...")  # fmt: skip
    flags.add_argument("--out", type=Path, required=True, help="boosted samples (.npz)")
    flags.add_argument("--batch-size", type=cli.positive_int, default=250)
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    steps = flags.add_mutually_exclusive_group(required=True)
    steps.add_argument("--steps", type=cli.positive_int, help="number of steps")
    steps.add_argument("--choose-steps", type=cli.spec, metavar="SPEC",
                       help="choose them by validation FID from {steps, alpha, pixels, multiples}")  # fmt: skip
    chosen = flags.add_argument_group("with --choose-steps")
    chosen.add_argument("--validation", type=Path, help="samples to choose on, of other seeds (.npz)")
    chosen.add_argument("--reference", type=Path, help="validation images as the extractor sees them (.npz)")
    chosen.add_argument("--extractor", type=Path, help="extractor of the reference (.safetensors)")
    chosen.add_argument("--steps-out", type=Path, help="the choice and all scores (.json)")
    args = cli.parse(flags)
    if args.choose_steps is not None and not (args.validation and args.reference and args.extractor and args.steps_out):
        flags.error("--choose-steps needs --validation, --reference, --extractor and --steps-out")

    from pagboost import boosting, networks, runtime
    from pagboost.artifacts import load_samples, save_json, save_samples

    runtime.prepare(args.threads)
    network, description = networks.load(args.guide, {"classifier", "joint"})
    guide = boosting.Guide.of(network, description)
    boost = boosting.Boost.of(args.boost)
    samples = load_samples(args.samples)
    boosting.check(guide, samples, str(args.samples))
    with runtime.device(args.device) as device:
        count = args.steps
        if args.choose_steps is not None:
            from pagboost.metrics import evaluation, features, reference

            validation = load_samples(args.validation)
            seen = features.load_extractor(args.extractor), reference.load(args.reference, device)
            score = evaluation.fid_scorer(*seen, args.batch_size, device)
            choice = boosting.choose_steps(guide, boost, validation, args.choose_steps, score, args.batch_size, device)
            count = choice["steps"]
        save_samples(args.out, boosting.boost_samples(guide, boost, samples, count, args.batch_size, device))
    if args.choose_steps is not None:
        save_json(args.steps_out, choice)


if __name__ == "__main__":
    cli.run(main)
