#!/usr/bin/env python3
"""Run one study of the configuration: a method on held-out images under several networks, image by image."""

from pagboost import cli


def main() -> None:
    from pagboost.options.reading import read
    from pagboost.options.studies import Study
    from pagboost.studies import flags

    args = flags.parse(__doc__)
    options = read(Study, args.spec, "study")

    from pagboost import artifacts, networks, runtime
    from pagboost.boosting import walks
    from pagboost.networks import given
    from pagboost.studies import images as image_studies
    from pagboost.studies import times as time_studies

    hashes: dict[str, str] = {}  # of networks

    def guide(path: str) -> walks.Guide:
        found = given.load(path, {"classifier", "joint"}, (data.images.shape[3], data.images.shape[1]))
        hashes[path] = found.sha256
        return walks.Guide.of(found.network, found.description)

    def timed(path: str, kind: str) -> time_studies.TimeNetwork:
        hashes[path] = artifacts.file_hash(path)
        return time_studies.TimeNetwork.of(*networks.load(path, {kind}))

    runtime.prepare(args.threads)
    load = (lambda path: timed(path, "time_classifier")) if options.in_time else guide
    data = artifacts.load_samples(args.data, labels=args.labels)
    judge, scorer = (next(((name, guide(path)) for name, path in one), None) for one in (args.judge, args.scorer))
    sets, seen = (
        {name: artifacts.load_samples(path, labels=args.labels) for name, path in one} for one in (args.set, args.seen)
    )
    common = (data, {name: load(path) for name, path in args.network}, judge, args.batch_size)
    with runtime.device(args.device) as device:
        if options.in_time:
            diffusion = next((timed(path, "ddpm") for _, path in args.diffusion), None)
            study = time_studies.run(options, time_studies.Bench(*common, device, diffusion, sets))
        else:
            bench = image_studies.Bench(*common, device, sets, next(iter(seen.values()), None), scorer)
            study = image_studies.run(options, bench)
    weights = [*args.network, *args.judge, *args.diffusion, *args.scorer]
    read_besides = {"sets_sha256": args.set, "seen_sha256": args.seen}
    made = artifacts.provenance(
        data_sha256=artifacts.file_hash(args.data),
        weights_sha256={name: hashes[path] for name, path in weights},
        **{key: {n: artifacts.file_hash(path) for n, path in files} for key, files in read_besides.items() if files},
    )
    artifacts.save_arrays(args.arrays, study.arrays)
    found = {"settings": study.settings, "quantities": study.quantities}
    artifacts.save_json(args.out, {"kind": options.kind, "unit": "image", "n": study.n, **found, "provenance": made})


if __name__ == "__main__":
    cli.run(main)
