"""The command line of boost.py. Imports nothing heavy: what is wrong with it is said at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from pagboost import cli, shards

SETTLED = ("validation", "real", "reference", "extractor", "choice_out", "plan_out")  # by a plan already


def parse(description: str) -> argparse.Namespace:
    """The command line; exits with one line for what is wrong with it."""
    flags = cli.parser(description)
    flags.add_argument("samples", type=Path, help="images to boost, and their labels if there are any (.npz)")
    flags.add_argument("--guide", required=True, metavar="NETWORK",
                       help="classifier or joint model: .safetensors, or a function (docs/extending.md)")  # fmt: skip
    flags.add_argument("--boost", type=cli.spec, required=True, metavar="SPEC",
                       help="JSON or FILE.yaml:boosts.NAME: objective, sampler, alpha or steps, ...")  # fmt: skip
    flags.add_output("--out", required=False, help="boosted samples (.npz)")
    cli.add_labels(flags)
    flags.add_argument("--batch-size", type=cli.positive_int, default=250)
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    flags.add_argument("--validation", type=Path, help="generated images of other seeds, to choose and to debias by")
    length = flags.add_mutually_exclusive_group()
    length.add_argument("--steps", type=cli.positive_int, help="number of steps of a boost with alpha")
    length.add_argument("--eps", type=cli.positive_float, help="radius of a boost with steps")
    length.add_argument("--published", type=cli.spec, metavar="SPEC",
                        help="choose one by validation FID: {steps, alpha, pixels, multiples}, {eps, ...}")  # fmt: skip
    length.add_argument("--like", type=Path, help="boosted samples whose change sets the radius, eps {percentile, of}")
    length.add_argument("--plan", type=Path, help="what --plan-out wrote: the length, labels and stops of all samples")
    flags.add_argument("--shard", type=shards.parse, metavar="K/N",
                       help="the K-th of N parts alone, by --plan (merge.py: the whole)")  # fmt: skip
    flags.add_argument("--real", type=Path, help="real images and labels that a boost with stop: ranks ranks by (.npz)")
    flags.add_argument("--reference", type=Path, help="validation images as the extractor sees them (.npz)")
    flags.add_argument("--extractor", help="extractor of the reference, as of evaluate.py")
    flags.add_output("--choice-out", required=False, help="what was chosen, from which candidates and labels (.json)")
    flags.add_output("--plan-out", required=False, help="all that jobs of --shard have to agree on (.npz)")
    args = cli.parse(flags)
    several = args.published is not None and len(args.published.get("multiples", ())) != 1
    if several and not (args.validation and args.reference and args.extractor):
        flags.error("--published needs --validation, --reference and --extractor where it has several multiples")
    if not (args.out or args.plan_out):
        flags.error("expected --out, the boosted samples, or --plan-out")
    if args.shard and not (args.plan and args.out):
        flags.error("--shard needs --out, and --plan, by which all shards walk as far")
    for name in SETTLED if args.plan else ():
        if getattr(args, name):
            flags.error(f"--{name.replace('_', '-')}: expected without --plan, which was made by it")
    return args
