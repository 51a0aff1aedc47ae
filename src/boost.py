#!/usr/bin/env python3
"""Boost samples with the gradients of a robust classifier or joint model."""

from pagboost import cli, shards
from pagboost.boosting import flags


def main() -> None:
    args = flags.parse(__doc__)

    from pagboost.options.boosts import AnyBoost
    from pagboost.options.reading import read

    boost = read(AnyBoost, args.boost, "boost")
    published = None if args.published is None else read(boost.published, args.published, "published")

    from pagboost import merging, runtime
    from pagboost.artifacts import file_hash, load_samples, save_json, save_samples
    from pagboost.boosting import labels, lengths, planned, stops
    from pagboost.boosting.guide import Guide
    from pagboost.networks import given

    runtime.prepare(args.threads)
    samples = load_samples(args.samples, labels=args.labels)
    height, _, channels = samples.images.shape[1:]
    guiding = given.load(args.guide, {"classifier", "joint"}, (channels, height))
    guide = Guide.of(guiding.network, guiding.description)
    rows = shards.rows_of(args.shard, len(samples), args.batch_size)
    validation = load_samples(args.validation, labels=args.labels) if args.validation else None
    real = load_samples(args.real) if args.real else None
    like = None
    if args.like:
        percentile = lengths.percentile_asked(boost)
        changed = load_samples(args.like, labels="none")  # whose labels play no part
        like = lengths.percentile_of_change(changed, samples, percentile, str(args.like))
    made_from, settled = {"boost": args.boost}, None
    if args.plan or args.plan_out:
        made_from |= {"sample file": file_hash(args.samples), "guide": guiding.sha256}
    if args.plan:
        settled = planned.load(args.plan, boost, made_from)
    else:
        candidates = lengths.plans(boost, guide, steps=args.steps, eps=args.eps, published=published, like=like)
    with runtime.device(args.device) as device:
        if settled is None:
            samples, validation, targets = labels.complete(
                guide, boost.labels, samples, validation, boost.resolution, args.batch_size, device, str(args.samples)
            )
            size = samples.images.shape[1]
            guide = stops.with_real(guide, boost, real, size, args.batch_size, device, str(args.real))
            score = None
            if len(candidates) > 1:
                from pagboost.metrics import evaluation, features, reference

                seen = features.load_extractor(args.extractor), reference.load(args.reference, device)
                score = evaluation.fid_scorer(*seen, args.batch_size, device)
            plan, tried = lengths.choose(guide, candidates, validation, score, args.batch_size, device)
            unboosted = {"unboosted_fid": round(score(validation), 9)} if score else {}
            settled = planned.settle(guide, plan, samples, args.batch_size, device)
            chosen = {**lengths.described(plan, guide, size, published), "candidates": tried, **unboosted}
            chosen["labels"] = targets
        if args.out:
            boosted = planned.boost(guide, settled, samples, rows, args.batch_size, device)
    if args.shard:
        whole = {"plan": file_hash(args.plan), "batch_size": args.batch_size}
        merging.save_samples(args.out, boosted, rows, len(samples), whole)
    elif args.out:
        save_samples(args.out, boosted)
    if args.plan_out:
        planned.save(args.plan_out, settled, made_from)
    if args.choice_out:
        save_json(args.choice_out, chosen)


if __name__ == "__main__":
    cli.run(main)
