"""What every script shares: one-line errors, a spec argument, threads. Imports nothing heavy."""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NoReturn

from pagboost.errors import InputError

TYPES = {"int": Integral, "float": Real, "bool": bool, "str": str}  # numpy's numbers too


def run(main: Callable[[], None]) -> None:
    """Run a script's main(); bad input and a full disk become one line on stderr and exit code 1.

    A scheduler's SIGTERM ends the script as Ctrl-C does, so that no temporary file stays behind.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or 'output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, as all errors of the scripts are."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2; usage is for --help."""
        self.exit(2, f"error: {message} (see --help)\n")


def parser(description: str) -> Parser:
    """An argument parser with the flags all scripts have: --threads."""
    result = Parser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    result.add_argument("--threads", type=positive_int, default=os.cpu_count(), help="CPU threads of this process")
    return result


def parse(arguments: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line, and bound the process's threads before anything heavy is imported."""
    values = arguments.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(values.threads)
    return values


def positive_int(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected an integer of at least 1")
    return value


def labelled(text: str) -> tuple[str, str]:
    """An argparse type: LABEL=PATH."""
    label, equals, path = text.partition("=")
    if not (label and equals and path):
        raise argparse.ArgumentTypeError(f"{text}: expected LABEL=PATH, such as train=reference.npz")
    return label, path


def maybe_labelled(text: str) -> tuple[str, str]:
    """An argparse type: LABEL=PATH, or PATH alone, with an empty label; a label is a word, a path may hold an =."""
    label, equals, path = text.partition("=")
    return (label, path) if equals and path and re.fullmatch(r"\w+", label) else ("", text)


def spec(text: str) -> dict[str, Any]:
    """An argparse type: inline JSON, or FILE.yaml:key.path naming an entry of a configuration file.

    `--spec config/scales/digits.yaml:models.ct` and `--spec '{"kind": "ct", ...}'` mean the same.
    """
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from error
    import yaml

    file, _, path = text.partition(":")
    if not Path(file).is_file():
        raise argparse.ArgumentTypeError(f"{file}: no such file, expected JSON or FILE.yaml:key.path")
    try:
        value: Any = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"{file}: not valid YAML ({' '.join(str(error).split())})") from error
    for key in filter(None, path.split(".")):
        if not isinstance(value, Mapping) or key not in value:
            known = ", ".join(value) if isinstance(value, Mapping) else "nothing below it"
            raise argparse.ArgumentTypeError(f"{file}: no key {key} of {path}, expected one of: {known}")
        value = value[key]
    if not isinstance(value, Mapping):
        raise argparse.ArgumentTypeError(f"{text}: holds {value!r}, expected a mapping")
    return dict(value)


def check_positive(where: str, value: Any, kind: type = float) -> None:
    """Raise InputError naming `where` unless value is a finite number above 0; kind int: an integer."""
    if not isinstance(value, (int, kind)) or not 0 < value < math.inf:
        raise InputError(f"{where}: {value!r}, expected {'an integer' if kind is int else 'a number'} above 0")


def _fits(value: Any, annotation: str) -> bool:
    """Whether a value is of an annotation's kinds: TYPES, lists of one, None; True where the annotation says more."""
    kinds = annotation.split(" | ")
    if value is None:
        return "None" in kinds or not all(_simple(kind) for kind in kinds)
    kinds = [kind for kind in kinds if kind != "None"]
    return not all(_simple(kind) for kind in kinds) or any(_is(value, kind) for kind in kinds)


def _simple(kind: str) -> bool:
    return kind.removeprefix("list[").removesuffix("]") in TYPES


def _is(value: Any, kind: str) -> bool:
    if kind.startswith("list["):
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        return listed and all(_is(item, kind[5:-1]) for item in value)
    return isinstance(value, TYPES[kind])


def call(function: Callable[..., Any], *args: Any, where: str, options: Mapping[str, Any]) -> Any:
    """function(*args, **options) where options come from configuration.

    Raises InputError naming `where` for unknown or missing options, and for values of another type than the
    parameter's annotation, as far as that is made of numbers, text, truth values and lists of them.
    """
    parameters = inspect.signature(function).parameters
    known = [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY]
    required = [name for name in known if parameters[name].default is inspect.Parameter.empty]
    for name in options:
        if name not in known:
            raise InputError(f"{where}.{name}: unknown key, expected one of: {', '.join(sorted(known))}")
    for name in required:
        if name not in options:
            raise InputError(f"{where}.{name}: missing key")
    for name, value in options.items():
        annotation = str(parameters[name].annotation).replace("Sequence[", "list[")
        if not _fits(value, annotation):
            raise InputError(f"{where}.{name}: {value!r}, expected {annotation}")
    return function(*args, **options)
