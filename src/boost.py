#!/usr/bin/env python3
"""Boost samples with the gradients of a robust classifier or joint model."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    from pagboost.options.boosts import AnyBoost
    from pagboost.options.reading import read

    flags = cli.parser(__doc__)
    flags.add_argument("samples", type=Path, help="images to boost, and their labels if there are any (.npz)")
    flags.add_argument("--guide", type=Path, required=True, help="classifier or joint model (.safetensors)")
    flags.add_argument("--boost", type=cli.spec, required=True, metavar="SPEC",
                       help="JSON or FILE.yaml:boosts.NAME: objective, sampler, alpha or steps, ...")  # fmt: skip
    flags.add_output("--out", help="boosted samples (.npz)")
    cli.add_labels(flags)
    flags.add_argument("--batch-size", type=cli.positive_int, default=250)
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    flags.add_argument("--validation", type=Path, help="generated images of other seeds, to choose and to debias by")
    length = flags.add_mutually_exclusive_group()
    length.add_argument("--steps", type=cli.positive_int, help="number of steps of a boost with alpha")
    length.add_argument("--eps", type=cli.positive_float, help="radius of a boost with steps")
    length.add_argument("--published", type=cli.spec, metavar="SPEC",
                        help="choose one by validation FID: {steps, alpha, pixels, multiples}, {eps, ...}")  # fmt: skip
    length.add_argument("--like", type=Path, help="boosted samples whose change sets the radius, eps {percentile, of}")
    flags.add_argument("--real", type=Path, help="real images and labels that a boost with stop: ranks ranks by (.npz)")
    flags.add_argument("--reference", type=Path, help="validation images as the extractor sees them (.npz)")
    flags.add_argument("--extractor", type=Path, help="extractor of the reference (.safetensors)")
    flags.add_output("--choice-out", required=False, help="what was chosen, from which candidates and labels (.json)")
    args = cli.parse(flags)
    if args.published is not None and not (args.validation and args.reference and args.extractor):
        flags.error("--published needs --validation, --reference and --extractor")
    boost = read(AnyBoost, args.boost, "boost")
    published = None if args.published is None else read(boost.published, args.published, "published")

    from pagboost import networks, runtime
    from pagboost.artifacts import load_samples, save_json, save_samples
    from pagboost.boosting import labels, lengths, stops, walks
    from pagboost.boosting.guide import Guide

    runtime.prepare(args.threads)
    network, description = networks.load(args.guide, {"classifier", "joint"})
    guide = Guide.of(network, description)
    samples = load_samples(args.samples, labels=args.labels)
    validation = load_samples(args.validation, labels=args.labels) if args.validation else None
    real = load_samples(args.real) if args.real else None
    like = None
    if args.like:
        percentile = lengths.percentile_asked(boost)
        changed = load_samples(args.like, labels="none")  # whose labels play no part
        like = lengths.percentile_of_change(changed, samples, percentile, str(args.like))
    candidates = lengths.plans(boost, guide, steps=args.steps, eps=args.eps, published=published, like=like)
    with runtime.device(args.device) as device:
        samples, validation, targets = labels.complete(
            guide, boost.labels, samples, validation, boost.resolution, args.batch_size, device, str(args.samples)
        )
        guide = stops.with_real(guide, boost, real, samples.images.shape[1], args.batch_size, device, str(args.real))
        score = None
        if len(candidates) > 1:
            from pagboost.metrics import evaluation, features, reference

            seen = features.load_extractor(args.extractor), reference.load(args.reference, device)
            score = evaluation.fid_scorer(*seen, args.batch_size, device)
        plan, tried = lengths.choose(guide, candidates, validation, score, args.batch_size, device)
        unboosted = {"unboosted_fid": round(score(validation), 9)} if score else {}
        boosted = walks.boost_samples(guide, plan.boost, samples, plan.steps, args.batch_size, device)
    save_samples(args.out, boosted)
    if args.choice_out:
        own = lengths.described(plan, guide, samples.images.shape[1], published)
        save_json(args.choice_out, {**own, "candidates": tried, **unboosted, "labels": targets})


if __name__ == "__main__":
    cli.run(main)
