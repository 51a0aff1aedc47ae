"""Draw samples from trained weights, or random subsets of real images."""

import math
from pathlib import Path

from pagboost import cli, shards


def main() -> None:
    from pagboost.options.reading import read
    from pagboost.options.samplers import Sampler

    flags = cli.parser(__doc__)
    source = flags.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", type=Path, help="a generator (.safetensors)")
    source.add_argument("--real", type=Path, help="real images (.npz) to draw from instead")
    flags.add_argument("--sampler", type=cli.spec, help="JSON or FILE.yaml:generators.NAME.sampler")
    flags.add_argument("--classifier", type=Path, help="time-dependent classifier of a guided sampler")
    cli.add_seeds(flags, "sampling seeds, one set of images each")
    flags.add_argument("--training", type=cli.natural, metavar="N", help="draw other noise than other trainings do")
    cli.add_per_seed(flags)
    cli.add_batch_size(flags, 250)
    shards.add_flag(flags)
    cli.add_device(flags)
    cli.add_labels(flags)
    flags.add_output("--out", help="samples (.npz)")
    args = cli.parse(flags)
    if args.weights and args.sampler is None:
        flags.error("--weights needs --sampler")
    if args.real and (args.sampler is not None or args.classifier):
        flags.error("--real: expected without --sampler and --classifier (nothing is generated)")
    if args.real and args.shard:
        flags.error("--shard: expected with --weights alone (real images are drawn at once)")
    if args.weights and args.labels:
        flags.error("--labels: expected with --real alone (a generator has classes of its own)")
    sampler = read(Sampler, args.sampler, "sampler") if args.weights else None
    if sampler and sampler.guided != bool(args.classifier):
        asked = "expected without it" if args.classifier else "missing, expected a time-dependent classifier"
        flags.error(f"--classifier: {asked} (sampler.kind: {sampler.kind})")

    from pagboost import merging, networks, runtime
    from pagboost.artifacts import file_hash, identity, load_samples, save_samples
    from pagboost.generators import sampling

    runtime.prepare(args.threads)
    if args.real:
        identity(args.real)  # compares its checksums: nothing else does of a file that is mapped
        real = load_samples(args.real, labels=args.labels, mapped=True)
        save_samples(args.out, sampling.draw_real(real, args.seeds, args.per_seed))
        return
    network, description = networks.load(args.weights, sampler.models)
    dataset, said, classifier = description["dataset"], {str(args.weights): description}, None
    if args.classifier:
        classifier, said[str(args.classifier)] = networks.load(args.classifier, {"time_classifier"})
    sampling.check_fits(sampler, said)
    count = len(args.seeds) * args.per_seed
    rows = shards.rows_of(args.shard, count, args.batch_size)
    with runtime.device(args.device) as device:
        shape = (dataset["channels"], dataset["size"], dataset["size"])
        bytes_each = math.prod(shape) + 3 * 8  # its label, seed and index too
        cli.check_memory(f"--per-seed {args.per_seed}", (rows.stop - rows.start) * bytes_each)
        draws = (args.seeds, args.per_seed, args.batch_size)
        made = (network, sampler, shape, dataset["num_classes"], *draws, device, classifier)
        samples = sampling.generate(*made, args.training, rows)
    if args.shard is None:
        save_samples(args.out, samples)
        return
    made_from = {"sampler": args.sampler, "seeds": args.seeds, "per_seed": args.per_seed, "training": args.training}
    made_from |= {"batch_size": args.batch_size, "weights": [file_hash(path) for path in said]}
    merging.save_samples(args.out, samples, rows, count, made_from)
