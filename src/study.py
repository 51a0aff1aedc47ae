#!/usr/bin/env python3
"""Run one study of the configuration: a method on held-out images under several networks, image by image."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    from pagboost.options.reading import read
    from pagboost.options.studies import Study

    flags = cli.parser(__doc__)
    flags.add_argument("--spec", type=cli.spec, required=True, help="study: JSON or FILE.yaml:image_studies.NAME")
    flags.add_argument("--data", type=Path, required=True, help="labelled images (.npz)")
    for role, meaning in (
        ("network", "classifier to study (.safetensors); may repeat"),
        ("judge", "a classifier trained apart (.safetensors)"),
        ("diffusion", "the diffusion model that classifiers guide (.safetensors)"),
        ("scorer", "a joint model that says how real it finds an image (.safetensors)"),
        ("set", "samples to look at (.npz); may repeat"),
        ("seen", "real images that networks were trained on, where --data are others (.npz)"),
    ):
        repeated = {"action": "append", "default": [], "metavar": "NAME=PATH"}
        flags.add_argument(f"--{role}", type=cli.labelled, help=meaning, **repeated)
    flags.add_argument("--batch-size", type=cli.positive_int, default=250, help="images per pass")
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    cli.add_labels(flags)
    flags.add_output("--arrays", help="images and numbers for figures (.npz)")
    flags.add_output("--out", help="one value per image and network (.json)")
    args = cli.parse(flags)
    for role in ("network", "judge", "diffusion", "scorer", "set", "seen"):
        given = getattr(args, role)
        if len(dict(given)) < len(given):
            flags.error(f"--{role}: a name is given twice, expected each once")
        if role not in ("network", "set") and len(given) > 1:
            flags.error(f"--{role}: {len(given)} given, expected one")
    options = read(Study, args.spec, "study")

    from pagboost import artifacts, networks, runtime
    from pagboost.boosting import walks
    from pagboost.studies import images as image_studies
    from pagboost.studies import times as time_studies

    def guide(path: str) -> walks.Guide:
        return walks.Guide.of(*networks.load(path, {"classifier", "joint"}))

    def timed(path: str, kind: str) -> time_studies.TimeNetwork:
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
        weights_sha256={name: artifacts.file_hash(path) for name, path in weights},
        **{key: {n: artifacts.file_hash(path) for n, path in files} for key, files in read_besides.items() if files},
    )
    artifacts.save_arrays(args.arrays, study.arrays)
    found = {"settings": study.settings, "quantities": study.quantities}
    artifacts.save_json(args.out, {"kind": options.kind, "unit": "image", "n": study.n, **found, "provenance": made})


if __name__ == "__main__":
    cli.run(main)
