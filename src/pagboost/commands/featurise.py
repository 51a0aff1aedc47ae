"""Save what an extractor sees in samples, for evaluate --features: of all of them, or one of several jobs' part."""

from pagboost import cli, shards
from pagboost.metrics.flags import add_weights


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("samples", help=".npz (arr_0: uint8 [N, H, W, C]), a folder, .zip or .tar of pictures")
    flags.add_argument("--extractor", required=True, metavar="EXTRACTOR",
                       help="as of evaluate.py: a .safetensors, inception, openai, clean, …")  # fmt: skip
    add_weights(flags)
    cli.add_batch_size(flags, 100)
    shards.add_flag(flags)
    cli.add_device(flags)
    flags.add_output("--out", help="features (.npz)")
    args = cli.parse(flags)

    from pagboost import artifacts, merging, runtime
    from pagboost.metrics import features, image_sets, public, saved_features
    from pagboost.metrics.some_rows import SomeRows

    runtime.prepare(args.threads)
    extractor = features.load_extractor(args.extractor, public.weights_given(args.weights))
    whole = image_sets.open_images(args.samples, extractor.network.in_channels)
    rows = shards.rows_of(args.shard, len(whole), args.batch_size)
    own = SomeRows(whole, rows)
    with runtime.device(args.device) as device:
        seen = features.extract(extractor, own, args.batch_size, device)
    arrays = saved_features.arrays_of(seen, own, extractor)
    if args.shard is None:
        artifacts.save_arrays(args.out, arrays)
        return
    made_from = {"samples": whole.sha256(), "extractor": extractor.sha256, "batch_size": args.batch_size}
    merging.save_part(args.out, arrays, rows, len(whole), made_from)
