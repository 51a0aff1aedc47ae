"""Score samples (FID, sFID, inception score, precision, recall, KID) against references, each sampling seed on its own.

A reference is an .npz of images, an OpenAI reference batch, statistics (mu, sigma), a folder or archive of pictures,
SCALE.yaml:datasets.NAME/SPLIT, or what make_reference.py saved. Docs: docs/evaluation.md.
"""

from __future__ import annotations

from pagboost import cli
from pagboost.metrics import flags


def main() -> None:
    arguments = flags.parser(__doc__)
    args = flags.parse(arguments)

    from pagboost import artifacts, runtime
    from pagboost.metrics import evaluation, memorisation, per_class, plots, public, references, runs, sheets, summary
    from pagboost.metrics.saved_features import SavedFeatures, check_used
    from pagboost.metrics.scores import Options

    runtime.prepare(args.threads)
    sources, samples = references.labelled(args.reference), references.labelled(args.samples, "samples")
    sets = {name: runs.open_set(path) for name, path in samples.items()}  # errors are said before weights are fetched
    for one in sets.values():
        evaluation.per_seed(one.seeds, 0, args.splits, one.where)
    extractors = runs.extractors_of(sets, sources, args.extractor, public.weights_given(args.weights))
    judge = runs.judge_of(args.judge)
    sets = {name: runs.open_set(path, extractors[0].network.in_channels) for name, path in samples.items()}
    saved = [SavedFeatures(path) for path in args.features]
    check_used(saved, list(sets.values()), [*extractors, *filter(None, [judge])])
    kept = runs.kept_files(args.save_features, sets, extractors)
    cli.check_outputs(arguments, args, beside={"--save-features": kept})
    options = Options(args.splits, args.resamplings, not args.no_fid_infinity, tuple(args.also), args.density_k)
    with runtime.device(args.device) as device:
        how = (extractors, next(iter(sets.values())), args.k, args.batch_size, device, options.of_pairs)
        opened = references.open_references(sources, *how)
        asked = runs.Asked(
            options,
            references.first_counts(args.first, opened),
            memorisation.pairs_of(opened, *args.memorisation) if args.memorisation else (),
            runs.classes_of(sources, opened, args.labels) if args.per_class else {},
            judge=judge,
            labels=args.labels,
            saved=saved,
            keep=args.save_features,
            fld=args.fld,
        )
        scored = runs.score_all(sets, extractors, opened, asked, args.batch_size, device)
    content, of_samples = runs.content_of(scored, sets)
    hashes = {label: references.sha256(source) for label, source in sources.items()}
    made = artifacts.provenance(**of_samples, references_sha256=hashes)
    artifacts.save_json(args.out, {**content, "provenance": made})
    results = {name: one.content for name, one in scored.items()}
    for path, save, found in (
        (args.per_class, per_class.save, [row for one in scored.values() for row in one.classes]),
        (args.table, sheets.save, results),
        (args.plot, plots.save, results),
    ):
        if path:
            save(path, found)
    print(summary.tables(results))
