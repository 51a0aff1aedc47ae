"""Find how far to boost a generator's samples: FID by length on a part of them, and the command that boosts the rest.

The samples are dealt out into validation, which alone is looked at, and test, which is boosted and scored afterwards.
Docs: docs/your_samples.md.
"""

from pagboost.boosting import flags


def main() -> None:
    args = flags.parse_tune(__doc__)

    from pagboost.options.boosts import AnyBoost, BallBoost
    from pagboost.options.reading import read

    boost = read(AnyBoost, args.boost, "boost")

    from pagboost import artifacts, runtime
    from pagboost.boosting import curve, labels, parts, sets, stops, tuning
    from pagboost.files import npz, whole
    from pagboost.metrics import public, references, runs
    from pagboost.metrics.scores import Options

    runtime.prepare(args.threads)
    said, rule = flags.labelling(args), args.label_rule or boost.labels
    opened, guiding, guide = sets.with_guide(args.samples, args.guide, said)
    plans = tuning.candidates(boost, guide, args.steps, args.eps)
    if args.test:
        tuning.check_apart(opened, sets.open_set(args.test, guide.channels, "none"))
    compared = sets.open_for(args.real, guide, sets.Labelling(names=said.names)) if args.real else None
    sets.check_names_used(said.names, opened.by_folder or bool(compared and compared.by_folder), args.samples)
    real = compared and compared.samples
    ((label, source),) = references.labelled([("", args.reference)]).items()
    weights, asked = public.weights_given(args.weights), [args.extractor] if args.extractor else None
    (extractor,) = runs.extractors_of({"": opened.source}, {label: source}, asked, weights)
    with whole.atomic_folder(args.out) as folder, runtime.device(args.device) as device:
        how = (args.batch_size, device)
        reference = tuning.reference_of(label, source, extractor, opened.source, *how)
        looked_at, others = args.samples, args.test
        if args.test is None:
            parts.write(opened, args.share, folder)
            none = args.labels if args.labels == npz.NONE else None
            said = sets.Labelling(none, args.label)  # what else there is to say is said in the parts themselves
            looked_at, others = (parts.place(opened, args.out, part) for part in (parts.VALIDATION, parts.TEST))
            opened = sets.open_for(folder / looked_at.name, guide, said)
        unlabelled = opened.samples.labels is None
        apart = opened.samples if rule == "debiased" else None
        samples, _, targets = labels.complete(guide, rule, opened.samples, apart, boost.resolution, *how)
        guide = stops.with_real(guide, boost, real, samples.images.shape[1], *how, str(args.real))
        options = Options(resamplings=args.resamplings)
        found = tuning.scored(guide, plans, samples, extractor, reference, *how, options)
        best = tuning.best(found)
        rows, ball = curve.rows(found, best), isinstance(boost, BallBoost)
        name = extractor.distance or "FID"
        about = f"against {label}, extractor {extractor.name}, n = {len(samples)}"
        curve.save_csv(folder / "curve.csv", rows)
        curve.save_png(folder / "curve.png", rows, name, about, ball)
        made = artifacts.provenance(samples_sha256=opened.sha256(), guide_sha256=guiding.sha256, boost=args.boost)
        facts = {"lengths": rows, "labels": targets, "protocol": best.result["protocol"], "provenance": made}
        artifacts.save_json(folder / "tune.json", facts)
    print(f"{about}\n{curve.table(rows, name)}\n{curve.verdict(rows)}")
    if best.plan is not None:
        given = {key: getattr(args, key) for key in ("guide", "label", "label_rule", "real", "batch_size")}
        given |= {"boost": args.boost.text, "device": None if args.device == "auto" else args.device}
        given["labels"] = args.labels if args.test else none
        given["classes"] = args.classes if args.test or (compared and compared.by_folder) else None
        given["validation"] = looked_at if rule == "debiased" and unlabelled else None
        print(curve.command(others, given | curve.length_flags(best.plan, ball), args.out))
