"""Run one study of the configuration: a method on images under several networks, image by image, or what steps cost."""


def main() -> None:
    from pagboost.options.reading import read
    from pagboost.options.studies import AnyStudy
    from pagboost.studies import flags

    args = flags.parse(__doc__)
    options = read(AnyStudy, args.spec, "study")

    from pagboost import artifacts, runtime
    from pagboost.studies.made import made

    runtime.prepare(args.threads)
    study, hashes = made(options, args)
    artifacts.save_arrays(args.arrays, study.arrays)
    found = {"settings": study.settings, "quantities": study.quantities}
    said = {"kind": options.kind, "unit": study.unit, "n": study.n, **found}
    artifacts.save_json(args.out, said | {"provenance": artifacts.provenance(**hashes)})
