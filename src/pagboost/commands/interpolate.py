"""Interpolate between two images by a robust classifier's features: a strip source | one image per k | target."""

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("source", help="picture (PNG, JPG) or FILE.npz:INDEX")
    flags.add_argument("target", help="another picture of the same size")
    flags.add_argument("--network", required=True, metavar="NETWORK",
                       help="robust classifier: a ResNet's .safetensors, or a function")  # fmt: skip
    flags.add_argument("--ks", type=float, nargs="+", default=[0.25, 0.5, 0.75, 1.0], metavar="K",
                       help="radii over the distance between the images, each in (0, 1]")  # fmt: skip
    flags.add_argument("--weights", type=float, nargs="+", default=[1.0] * 4, metavar="W",
                       help="weight of each stage's features, shallow to deep")  # fmt: skip
    flags.add_argument("--steps", type=cli.positive_int, default=60)
    cli.add_device(flags)
    flags.add_output("--out", help="the strip (.png)")
    args = cli.parse(flags)
    if args.out.suffix.lower() != ".png":
        flags.error(f"--out {args.out}: expected a .png")

    import numpy as np

    from pagboost import attacks, images, runtime
    from pagboost.errors import InputError
    from pagboost.networks import given
    from pagboost.networks.folding import folded
    from pagboost.report import pictures
    from pagboost.sources import pictures as picture_files
    from pagboost.studies import interpolation

    runtime.prepare(args.threads)
    source, target = picture_files.load(args.source), picture_files.load(args.target)
    seen = (source.shape[2], source.shape[0])
    network, description, *_ = given.load(args.network, {"classifier", "joint", "pretrained", "imported"}, seen)
    channels = description["dataset"]["channels"]
    for path, picture in ((args.source, source), (args.target, target)):
        if picture.shape[2] != channels:
            raise InputError(f"{path}: {picture.shape[2]} channels, expected {channels} (the network's)")
    if source.shape != target.shape:
        sizes = " and ".join(f"{picture.shape[1]}x{picture.shape[0]}" for picture in (source, target))
        raise InputError(f"{args.target}: sizes {sizes}, expected two pictures of one size")
    with runtime.device(args.device) as device:
        network = folded(network).to(device)
        x_source, x_target = (images.to_float(picture[None]).to(device) for picture in (source, target))
        feature_maps = interpolation.features_of(network, args.network)
        with attacks.frozen(network):
            moved = interpolation.interpolate(feature_maps, x_source, x_target,
                                              ks=args.ks, weights=args.weights, steps=args.steps)  # fmt: skip
    between = images.to_uint8(moved[:, 0])
    names = [["source"], *([f"k={k:g}"] for k in args.ks), ["target"]]
    picture_files.save(pictures.strip(np.stack([source, *between, target]), names), args.out)
