"""The command line of train.py: a model, its images or their size, and other jobs' files by role."""

from __future__ import annotations

import argparse
from pathlib import Path

from pagboost import cli
from pagboost.machine.number_format import CPU_BF16
from pagboost.options.models import Model
from pagboost.options.reading import read

ROLES = ("teacher", "backbone", "fakes", "joint")


def named_path(text: str) -> tuple[str, Path]:
    """An argparse type: ROLE=PATH."""
    role, _, path = text.partition("=")
    if role not in ROLES or not path:
        raise argparse.ArgumentTypeError(f"{text}: expected ROLE=PATH, the role one of: {', '.join(ROLES)}")
    return role, Path(path)


def parse(description: str) -> tuple[cli.Parser, argparse.Namespace, Model]:
    """(the parser, the arguments, the model they describe); exits with one line for what is wrong with them."""
    flags = cli.parser(description)
    flags.add_argument("--spec", type=cli.spec, required=True, help="model entry: JSON or FILE.yaml:models.NAME")
    flags.add_argument("--data", type=Path, help="training images (.npz)")
    flags.add_argument("--size", type=cli.positive_int, help="side of images, where weights come from elsewhere")
    flags.add_argument("--num-classes", type=cli.positive_int, required=True)
    flags.add_argument("--input", type=named_path, action="append", default=[], metavar="ROLE=PATH",
                       help="another job's file: teacher=, backbone=, joint=, fakes= (which may repeat)")  # fmt: skip
    flags.add_argument("--seed", type=cli.natural, default=0)
    cli.add_device(flags, CPU_BF16, meaning="where it is computed; cpu-bf16: ResNets attacked in bf16 on a CPU")
    flags.add_argument("--gpus", type=cli.natural, default=1, help="train on so many, a process for each")
    cli.add_labels(flags)
    flags.add_output("--out", help="weights (.safetensors)")
    args = cli.parse(flags)
    single = [role for role, _ in args.input if role != "fakes"]
    if len(set(single)) < len(single):
        flags.error("--input: a role is given twice, expected each once (fakes alone may repeat)")
    model = read(Model, args.spec, "")
    if args.data is None and (model.training.needs_data or args.size is None):
        flags.error("--data: missing, expected training images (or --size, where weights come from elsewhere)")
    if args.device == CPU_BF16 and not model.training.cpu_bf16:
        flags.error(f"--device: {CPU_BF16}, expected another (a training of kind {model.kind} attacks no ResNet)")
    if args.gpus > 1 and not model.training.many_gpus:
        flags.error(f"--gpus: {args.gpus}, expected 1 (a training of kind {model.kind} uses one device)")
    return flags, args, model
