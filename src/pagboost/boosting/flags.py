"""The command lines of boost.py and tune.py. Imports nothing heavy: what is wrong with them is said at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pagboost import cli, shards
from pagboost.errors import InputError
from pagboost.files import written
from pagboost.machine import number_format
from pagboost.metrics import flags as metrics_flags
from pagboost.options.boosts import LabelRule

if TYPE_CHECKING:
    from pagboost.boosting.sets import Labelling

SETTLED = ("validation", "real", "reference", "extractor", "choice_out", "plan_out", "label", "label_rule")  # by a plan
RULES = get_args(LabelRule)
NPZ = ".npz"


def add_shared(flags: cli.Parser, samples: str) -> None:
    """What boost.py and tune.py both take: samples, guide, boost, labels."""
    flags.add_argument("samples", type=Path, help=f"{samples}: .npz, or a folder, .zip or .tar of pictures")
    flags.add_argument("--guide", required=True, metavar="NETWORK",
                       help="classifier or joint model: .safetensors, an entry of kind pretrained "
                       "(SCALE.yaml:models.NAME, or JSON), or a function (docs/extending.md)")  # fmt: skip
    flags.add_argument("--boost", type=cli.spec, required=True, metavar="SPEC",
                       help="JSON or FILE.yaml:boosts.NAME: objective, sampler, alpha or steps, ...")  # fmt: skip
    cli.add_labels(flags)
    flags.add_argument("--label", type=cli.natural, metavar="N", help="class that all images are boosted towards")
    flags.add_argument("--label-rule", choices=RULES, help="how unlabelled images get theirs, else as the boost says")
    flags.add_argument("--classes", metavar="FILE|JSON",
                       help="names of the guide's classes, in its order: which class folder is which")  # fmt: skip
    flags.add_argument("--real", type=Path, help="real images and labels that a boost with stop: ranks ranks by")
    cli.add_batch_size(flags, 250)
    cli.add_device(flags, number_format.CPU_BF16, meaning="where it is computed; cpu-bf16: ResNets in bf16 on a CPU")


def parse(description: str) -> argparse.Namespace:
    """boost.py's command line; exits with one line for what is wrong with it."""
    flags = cli.parser(description)
    add_shared(flags, "images to boost, and their labels if there are any")
    flags.add_output("--out", required=False, folder=NPZ,
                     help="boosted samples: .npz, or of pictures a new folder of PNGs of the same names")  # fmt: skip
    flags.add_argument("--validation", type=Path, help="generated images of other seeds, to choose and to debias by")
    length = flags.add_mutually_exclusive_group()
    length.add_argument("--steps", type=cli.positive_int, help="number of steps of a boost with alpha")
    length.add_argument("--eps", type=cli.positive_float, help="radius of a boost with steps")
    length.add_argument("--published", type=cli.spec, metavar="SPEC",
                        help="choose one by validation FID: {steps, alpha, pixels, multiples}, {eps, ...}")  # fmt: skip
    length.add_argument("--like", type=Path, help="boosted samples whose change sets the radius, eps {percentile, of}")
    length.add_argument("--plan", type=Path, help="what --plan-out wrote: the length, labels and stops of all samples")
    shards.add_flag(flags, "by --plan ")
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
        if getattr(args, name) is not None:
            flags.error(f"--{name.replace('_', '-')}: expected without --plan, which was made by it")
    check(flags, args)
    if args.out and cli.is_folder(NPZ, args.out):
        check_new_folder(flags, args)
    return args


def labelling(args: argparse.Namespace) -> Labelling:
    """What a command line says of labels."""
    from pagboost.boosting.sets import Labelling
    from pagboost.sources import class_names

    return Labelling(args.labels, args.label, args.classes and class_names.load(args.classes, "--classes"))


def check(flags: cli.Parser, args: argparse.Namespace) -> None:
    """Exit with one line for labels that are said in two ways."""
    if args.label is not None:
        for name in ("labels", "label_rule", "classes"):
            if getattr(args, name) is not None:
                flags.error(f"--{name.replace('_', '-')}: expected without --label {args.label}, which is all images'")


def check_new_folder(flags: cli.Parser, args: argparse.Namespace) -> None:
    """Exit with one line for an --out that is no new folder."""
    try:
        written.check_new_folder(f"--out {args.out}", args.out, args.samples)
    except InputError as error:
        flags.error(str(error))


def parse_tune(description: str) -> argparse.Namespace:
    """tune.py's command line; exits with one line for what is wrong with it."""
    flags = cli.parser(description)
    add_shared(flags, "generated images, of which a part is looked at")
    length = flags.add_mutually_exclusive_group()
    length.add_argument("--steps", type=cli.positive_int, nargs="+", action=cli.Distinct, metavar="N",
                        help="numbers of steps to try, of a boost with alpha")  # fmt: skip
    length.add_argument("--eps", type=cli.positive_float, nargs="+", action=cli.Distinct, metavar="EPS",
                        help="radii to try, of a boost with steps, at the guide's size")  # fmt: skip
    flags.add_argument("--share", type=_share, default=0.2, help="of the samples that is for validation")
    flags.add_argument("--test", type=Path, metavar="SAMPLES",
                       help="other samples, to be boosted afterwards: SAMPLES are all for validation")  # fmt: skip
    flags.add_argument("--reference", required=True, metavar="REF",
                       help="training or validation images to compare with, as of evaluate.py")  # fmt: skip
    flags.add_argument("--extractor", help="what FID is of, as of evaluate.py; else what the reference asks for")
    metrics_flags.add_weights(flags)
    metrics_flags.add_resamplings(flags)
    flags.add_output(
        "--out", folder=True, help="new folder: curve.png, curve.csv, tune.json, both parts of the samples"
    )
    args = cli.parse(flags)
    check(flags, args)
    try:
        metrics_flags.check_resamplings(args.resamplings)
    except InputError as error:
        flags.error(f"--{error}")
    if args.test and written.same_file(args.test, args.samples):
        flags.error(f"--test {args.test}: is what lengths would be chosen on, expected other samples")
    check_new_folder(flags, args)
    return args


def _share(text: str) -> float:
    value = cli.positive_float(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a share between 0 and 1")
    return value
