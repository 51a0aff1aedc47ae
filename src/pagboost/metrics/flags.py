"""The command line of evaluate.py. Imports nothing heavy: what is wrong with it is said at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from pagboost import cli
from pagboost.errors import InputError

LEAST_RESAMPLINGS, MOST_RESAMPLINGS = 40, 100_000  # a 95 % interval; each costs a distance, more would run for days
ALSO = ("density", "coverage", "cmmd")
FORMATS = {"per_class": (".csv", ".json"), "table": (".csv", ".md"), "plot": (".png", ".pdf", ".svg")}


def parser(description: str) -> cli.Parser:
    """All its flags."""
    flags = cli.parser(description)
    flags.add_argument("samples", nargs="+", type=cli.maybe_labelled, metavar="[NAME=]SAMPLES",
                       help=".npz (arr_0: uint8 [N, H, W, C]; seeds: int [N], optional), a folder, .zip or .tar of "
                       "pictures, or saved features; of several sets each is scored")  # fmt: skip
    flags.add_argument("--reference", required=True, nargs="+", type=cli.maybe_labelled, metavar="[LABEL=]REF",
                       help="what to compare with; the label names the result")  # fmt: skip
    flags.add_argument("--extractor", nargs="+", metavar="EXTRACTOR",
                       help="inception (as pytorch-fid), openai (as OpenAI's evaluator), clean (as clean-fid), dinov2 "
                       "(as dgm-eval), edm2, dinov2_vitb14, clip, efficientnet_lite0 or a classifier's .safetensors; "
                       "else what references ask for, or inception")  # fmt: skip
    add_weights(flags)
    flags.add_argument("--k", type=cli.positive_int, default=3, help="neighbours of precision and recall "
                       "(a saved reference has its own)")  # fmt: skip
    flags.add_argument("--splits", type=cli.positive_int, default=10, help="parts of the inception score")
    add_resamplings(flags)
    flags.add_argument("--no-fid-infinity", action="store_true", help="leave out FID at infinite n")
    flags.add_argument("--first", nargs="+", type=cli.labelled, default=[], metavar="LABEL=N",
                       help="score the first N images of each seed only against this reference")  # fmt: skip
    flags.add_argument("--also", nargs="+", default=[], choices=ALSO, action=cli.Distinct,
                       help="metrics besides; cmmd is of whatever features the extractor gives")  # fmt: skip
    flags.add_argument("--density-k", type=cli.positive_int, default=5, help="neighbours of density and coverage")
    flags.add_argument("--memorisation", nargs=2, metavar=("TRAIN", "TEST"),
                       help="labels of two references: AuthPct, and FID of training less test images")  # fmt: skip
    flags.add_argument("--fld", action="store_true", help="with --memorisation: FLD of both and its gap, by two fits")
    flags.add_argument("--judge", metavar="CLASSIFIER.safetensors", help="how often it sees what labels say")
    cli.add_labels(flags)
    flags.add_argument("--features", nargs="+", type=Path, default=[], metavar="FEATURES.npz",
                       help="saved features of the samples, in place of computing them")  # fmt: skip
    cli.add_batch_size(flags, 100)
    cli.add_device(flags)
    flags.add_output("--out", metavar="METRICS.json", help="the metrics to write")
    flags.add_output("--save-features", required=False, folder=True, metavar="FOLDER",
                     help="where to keep features, as NAME_EXTRACTOR.npz")  # fmt: skip
    for name, meaning in (
        ("per_class", "FID of each class, and the judge's agreement"),
        ("table", "a row per set and reference"),
        ("plot", "FID against n, precision against recall"),
    ):
        metavar = "|".join(f"{name.upper()}{suffix}" for suffix in FORMATS[name])
        flags.add_output(f"--{name.replace('_', '-')}", required=False, metavar=metavar, help=meaning)
    return flags


def add_weights(flags: cli.Parser) -> None:
    """The flag that names the weights of public extractors (metrics.public.weights_given)."""
    flags.add_argument("--weights", nargs="+", type=cli.labelled, default=[], metavar="NAME=PATH|URL",
                       help="of public extractors (inception=FILE); else PAGBOOST_NAME, cache, web")  # fmt: skip


def add_resamplings(flags: cli.Parser) -> None:
    """The flag of the intervals (check_resamplings)."""
    flags.add_argument("--resamplings", type=int, default=100, help="of the 95 %% bootstrap intervals; 0: none")


def parse(flags: cli.Parser) -> argparse.Namespace:
    """cli.parse, and what single flags do not tell; exits with one line for what is wrong."""
    args = cli.parse(flags)
    try:
        check_resamplings(args.resamplings)
    except InputError as error:
        flags.error(f"--{error}")
    if args.fld and not args.memorisation:
        flags.error("--fld: expected --memorisation TRAIN TEST, whose images it is of")
    for label, count in args.first:
        if not count.isdecimal() or int(count) < 1:
            flags.error(f"--first {label}={count}: expected a number of images")
    for name, formats in FORMATS.items():
        path = getattr(args, name)
        if path is not None and path.suffix.lower() not in formats:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} {path}: expected a name that ends in {' or '.join(formats)}")
    return args


def check_resamplings(count: int) -> None:
    """Raise InputError for a number of resamplings that gives no 95 % interval, or would run for days."""
    if count and count < LEAST_RESAMPLINGS:
        raise InputError(f"resamplings {count}: expected 0, or at least {LEAST_RESAMPLINGS} (a 95 % interval)")
    if count > MOST_RESAMPLINGS:
        raise InputError(f"resamplings {count}: expected at most {MOST_RESAMPLINGS:,}")
