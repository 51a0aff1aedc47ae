"""Boost samples with the gradients of a robust classifier or joint model.

Samples are an .npz, or pictures in a folder or archive; boosted, an .npz, or a folder of PNGs of the same names. A
killed run goes on with the same command. Docs: docs/your_samples.md.
"""

from functools import partial

from pagboost import shards
from pagboost.boosting import flags


def main() -> None:
    args = flags.parse(__doc__)

    from pagboost.options.boosts import AnyBoost
    from pagboost.options.reading import read

    boost = read(AnyBoost, args.boost, "boost")
    published = None if args.published is None else read(boost.published, args.published, "published")

    from pagboost import merging, runtime
    from pagboost.artifacts import file_hash, provenance, save_json, save_samples
    from pagboost.boosting import labels, lengths, planned, sets, stops, writing
    from pagboost.machine.number_format import noted
    from pagboost.planning import sourcecode

    runtime.prepare(args.threads)
    said = flags.labelling(args)
    opened, guiding, guide = sets.with_guide(args.samples, args.guide, said)
    writing.check_out(args.out, opened, planned=bool(args.plan or args.plan_out))
    samples = opened.samples
    rows = shards.rows_of(args.shard, len(samples), args.batch_size)
    compared = sets.open_for(args.real, guide, sets.Labelling(names=said.names)) if args.real else None
    apart = sets.open_for(args.validation, guide, said) if args.validation else None
    sets.check_names_used(said.names, any(one and one.by_folder for one in (opened, compared, apart)), args.samples)
    real = compared and compared.samples
    like = None
    if args.like:
        percentile = lengths.percentile_asked(boost)
        changed = sets.open_set(args.like, guide.channels, "none").samples  # whose labels play no part
        like = lengths.percentile_of_change(changed, samples, percentile, str(args.like))
    made_from = {"boost": args.boost, "guide": guiding.sha256}
    if args.plan or args.plan_out:
        made_from |= {"sample file": file_hash(args.samples)}
    settled, validation, score = None, None, None
    if args.plan:
        settled = planned.load(args.plan, boost, made_from)
    else:
        candidates = lengths.plans(boost, guide, steps=args.steps, eps=args.eps, published=published, like=like)
    if apart:
        validation = apart.held() if len(candidates) > 1 else apart.samples
    with runtime.device(args.device) as device:
        how = (args.batch_size, device)
        if settled is None:
            rule = args.label_rule or boost.labels
            labelled = labels.complete(guide, rule, samples, validation, boost.resolution, *how, str(args.samples))
            samples, validation, targets = labelled
            guide = stops.with_real(guide, boost, real, samples.images.shape[1], *how, str(args.real))
            if len(candidates) > 1:
                from pagboost.metrics import evaluation, features, reference

                seen = features.load_extractor(args.extractor), reference.load(args.reference, device)
                score = evaluation.fid_scorer(*seen, *how)
            plan, tried = lengths.choose(guide, candidates, validation, score, *how)
            settled = planned.settle(guide, plan, samples, *how)
            chosen = lengths.described(plan, guide, samples.images.shape[1], published) | {"candidates": tried}
            chosen |= {"unboosted_fid": round(score(validation), 9)} if score else {}
            chosen["labels"] = targets
        if args.out:
            save = save_samples
            if args.shard:
                whole = {"plan": file_hash(args.plan), "batch_size": args.batch_size}
                save = partial(merging.save_samples, rows=rows, count=len(samples), made_from=whole)
            same = {**made_from, **noted(args.device), **provenance(code=sourcecode.digest("pagboost.commands.boost"))}
            writing.write(args.out, opened, guide, settled, rows, *how, same, save)
    if args.plan_out:
        planned.save(args.plan_out, settled, made_from)
    if args.choice_out:
        save_json(args.choice_out, chosen)
