"""What every script shares: one-line errors, arguments, outputs that replace no input. Imports nothing heavy."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pagboost.errors import InputError, listed
from pagboost.files import written
from pagboost.machine import allocation, called, parents

MOST_THREADS = 1024  # far more, and the libraries die on their own
LARGEST_COUNT, LARGEST = 2**31 - 1, 2**63 - 1  # of what is held in memory, and of NumPy's integers


def run(main: Callable[[], None]) -> None:
    """Run a script's main(); bad input, a full disk and too little memory become one line on stderr and exit code 1.

    A scheduler's SIGTERM ends the script as Ctrl-C does, so that no temporary file stays behind. What a terminal or a
    log cannot show ("±" in ASCII, a file name that is no UTF-8) is escaped, and ends nothing.
    """
    if "PAGBOOST_WARM" in os.environ:
        from pagboost.machine import warm

        warm.run_elsewhere()
    allocation.keep()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parents.watch()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not what a caller may have put in its place
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except InputError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # whoever read the output has seen enough; all files are written by then
        _let_go_of_output()
    except OSError as error:
        _let_go_of_output()
        sys.exit(f"error: {error.filename or 'output'}: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        sys.exit(f"error: not enough memory ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
    except KeyboardInterrupt:
        sys.exit("interrupted")


def _let_go_of_output() -> None:
    """Where standard output cannot take what it was given: else Python tries again at its end, and exits with 120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (AttributeError, ValueError):  # there is none, or it is closed
        pass


def _out_of_memory(error: Exception) -> bool:
    """Python's and NumPy's MemoryError, torch's of a GPU and of the CPU, which is known by its text alone.

    CUDA's libraries have texts of their own: on a full card they cannot allocate, or not even start.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    said = ("DefaultCPUAllocator", "Storage size calculation overflowed", "_STATUS_ALLOC_FAILED", "Create(handle)")
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or any(text in str(error) for text in said)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, as all errors of the scripts are, and that knows the outputs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.register("type", Path, _path)
        self.outputs: dict[str, bool | str] = {}  # name in the parsed values -> `folder` of add_output

    def error(self, message: str) -> NoReturn:
        """Exit with code 2; usage is for --help."""
        self.exit(2, f"error: {message} (see --help)\n")

    def add_output(self, flag: str, *, folder: bool | str = False, required: bool = True, **options: Any) -> None:
        """A flag that names a file (or a folder of files) to write, a Path; `parse` refuses one that is an input.

        folder: of text such as ".npz": a folder unless the name ends in it.
        """
        action = self.add_argument(flag, type=Path, required=required, **options)
        self.outputs[action.dest] = folder


class Distinct(argparse.Action):
    """Several values, each given once."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        again = next((value for value in values if values.count(value) > 1), None)
        if again is not None:
            parser.error(f"argument {self.option_strings[0]}: {again} is given twice, expected each once")
        setattr(namespace, self.dest, values)


def parser(description: str) -> Parser:
    """An argument parser with the flags all scripts have: --threads."""
    shown = {"description": description, "formatter_class": argparse.ArgumentDefaultsHelpFormatter}
    result = Parser(prog=called.name(), **shown)
    result.add_argument("--threads", type=_threads, default=os.cpu_count(), help="CPU threads of this process")
    return result


def add_seeds(flags: Parser, meaning: str) -> None:
    """--seeds: sampling seeds, a list of different numbers."""
    flags.add_argument("--seeds", type=natural, nargs="+", default=[0], action=Distinct, help=meaning)


def add_scale(flags: Parser) -> None:
    """The first argument of what is about a whole scale."""
    flags.add_argument("scale", help="a name in config/scales, or a scale file")


def add_per_seed(flags: Parser) -> None:
    """--per-seed: how many images each sampling seed gets."""
    flags.add_argument("--per-seed", type=positive_int, required=True, help="images per seed")


def add_memory(flags: Parser) -> None:
    """--memory: where Snakemake remembers what it has run."""
    flags.add_argument("--memory", type=Path, default=Path(".snakemake"), help="Snakemake's folder")


def add_trainings(flags: Parser) -> None:
    """--trainings: the seeds of the trainings that a table, a figure or a page is made from."""
    meaning = "seeds of the trainings; results of those beyond the first lie in training=N of --results"
    flags.add_argument("--trainings", type=natural, nargs="+", default=[0], action=Distinct, help=meaning)


def add_second_trainings(flags: Parser) -> None:
    """--second-trainings: another set of trainings, apart from the first."""
    meaning = "seeds of other trainings than --trainings; all of their results lie in training=N of --results"
    flags.add_argument("--second-trainings", type=natural, nargs="+", required=True, action=Distinct, help=meaning)


def add_device(flags: Parser, *more: str, meaning: str = "where it is computed") -> None:
    """--device: where it is computed; `more`: choices that not every command has."""
    flags.add_argument("--device", choices=("auto", "cpu", "cuda", *more), default="auto", help=meaning)


def add_batch_size(flags: Parser, default: int) -> None:
    """--batch-size: how many images are computed with together."""
    flags.add_argument("--batch-size", type=positive_int, default=default, help="images per pass")


def add_downloads(flags: Parser) -> None:
    """--sha256 and --downloads, where an input may be a URL."""
    flags.add_argument("--sha256", help="of the file, 8 digits or more; none: a URL's first download counts")
    flags.add_argument("--downloads", type=Path, default=Path("downloads"), help="where a URL's copy is kept")


def add_made_from(flags: Parser) -> None:
    """--made-from: the digest that stands below a table."""
    flags.add_argument("--made-from", metavar="DIGEST", help="of all that it is made from, to be named below it")


def add_labels(flags: Parser) -> None:
    """--labels: which array of a sample file holds the labels, for files of others."""
    meaning = "array that holds the labels, where it is not arr_1; none: there are none"
    flags.add_argument("--labels", metavar="KEY", help=meaning)


def parse(arguments: Parser) -> argparse.Namespace:
    """Parse the command line, and bound the process's threads before anything heavy is imported.

    Exits with one line where an output cannot be written, or would replace an input or another output.
    """
    try:
        if os.environ.get("PAGBOOST_PLUGINS"):
            from pagboost.options import plugins

            plugins.load_inherited()
    except InputError as error:
        arguments.exit(2, f"error: {error}\n")
    values = arguments.parse_args(sys.argv[2 if called.command else 1 :])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(values.threads)
    try:
        check_outputs(arguments, values)
    except InputError as error:
        arguments.exit(2, f"error: {error}\n")
    return values


def check_outputs(
    arguments: Parser,
    values: argparse.Namespace,
    beside: Mapping[str, Iterable[Path]] | None = None,
    read: Iterable[Path] = (),
) -> None:
    """Raise InputError unless all outputs can be written, and none is the same file as an input or another output.

    Inputs are the files that the other arguments name, in whatever form (see written.files_in), and those of `read`.
    beside: {flag: files} that a script writes besides (the files of a folder), where they are known after parsing.
    """
    flags = {name: f"--{name.replace('_', '-')}" for name in arguments.outputs}
    named = {name: getattr(values, name) for name in flags if getattr(values, name) is not None}
    folders = {name: is_folder(arguments.outputs[name], path) for name, path in named.items()}
    for name, path in named.items():
        written.check_place(f"{flags[name]} {path}", path, folders[name])
    files = [(flags[name], path) for name, path in named.items() if not folders[name]]
    for flag, paths in (beside or {}).items():
        for path in paths:
            written.check_place(f"{flag} {path}", path, folder=False)
            files.append((flag, path))
    written.check_apart(files, [*(value for name, value in vars(values).items() if name not in flags), *read])


def is_folder(said: bool | str, path: Path) -> bool:
    """Whether an output is one: `folder` of add_output."""
    return path.suffix != said if isinstance(said, str) else said


def check_memory(where: str, needed: int) -> None:
    """Raise InputError naming `where` if `needed` bytes are more than this machine's memory."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise InputError(f"{where}: {needed >> 30:,} GiB of images, expected less than this machine's {there >> 30:,}")


# -- types of arguments


def _path(text: str) -> Path:
    """A Path; of no text it would be the folder that the script runs in, as with a shell's variable that is not set."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name, expected a file or folder")
    return Path(text)


def _integer(text: str, least: int, most: int) -> int:
    value = None
    with contextlib.suppress(ValueError):
        value = int(text)
    if value is None or not least <= value <= most:
        bound = f"most {most}" if value is not None and value > most else f"least {least}"
        raise argparse.ArgumentTypeError(f"{_short(text)}: expected an integer of at {bound}")
    return value


def positive_int(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    return _integer(text, 1, LARGEST_COUNT)


def natural(text: str) -> int:
    """An argparse type: an integer of at least 0."""
    return _integer(text, 0, LARGEST)


def _threads(text: str) -> int:
    return _integer(text, 1, MOST_THREADS)


def positive_float(text: str) -> float:
    """An argparse type: a finite number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text}: expected a finite number above 0")


def labelled(text: str) -> tuple[str, str]:
    """An argparse type: LABEL=PATH."""
    label, equals, path = text.partition("=")
    if not (label and equals and path):
        raise argparse.ArgumentTypeError(f"{text}: expected LABEL=PATH, such as train=reference.npz")
    return label, path


def maybe_labelled(text: str) -> tuple[str, str]:
    """An argparse type: LABEL=PATH, or PATH alone, with an empty label.

    A path may hold an = too: what exists as it stands is a path (boost=none/eval.npz), FILE.yaml:key by its file.
    """
    label, equals, path = text.partition("=")
    is_path = os.path.exists(text) or os.path.exists(text.partition(":")[0])
    return ("", text) if is_path or not (equals and path and re.fullmatch(r"\w+", label)) else (label, path)


class Spec(dict):
    """A mapping from the command line: `text` as it was given, `file` what it was read from, None for inline JSON."""

    file: str | None = None
    text: str = ""


def spec(text: str) -> Spec:
    """An argparse type: inline JSON, or FILE.yaml:key.path naming an entry of a configuration file.

    `--spec config/scales/digits.yaml:models.ct` and `--spec '{"kind": "ct", ...}'` mean the same.
    """
    inline = text.lstrip("\ufeff \t\r\n")
    if inline.startswith("{"):
        result = _with_named_kinds(Spec(_inline(inline)))
        result.text = text
        return result
    file, _, path = text.partition(":")
    if not os.path.isfile(file):
        raise argparse.ArgumentTypeError(f"{_short(file)}: no such file, expected JSON or FILE.yaml:key.path")
    from pagboost.files import yaml_files  # which inline JSON need not wait for

    try:
        value = yaml_files.read(file)
    except (InputError, RecursionError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    for key in filter(None, path.split(".")):
        if not isinstance(value, Mapping) or key not in value:
            known = listed(value) if isinstance(value, Mapping) else "nothing below it"
            raise argparse.ArgumentTypeError(f"{file}: no key {key} of {path}, expected one of: {known}")
        value = value[key]
    if not isinstance(value, Mapping):
        raise argparse.ArgumentTypeError(f"{text}: holds {_short(repr(value))}, expected a mapping")
    result = _with_named_kinds(Spec(value))
    result.file, result.text = file, text
    return result


def counts(text: str) -> Spec:
    """An argparse type: a `spec` {name: integer}."""
    from pagboost.options import reading  # which other arguments need not wait for

    content = spec(text)
    try:
        for name, value in content.items():
            reading.value(int, value, name)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return content


def _with_named_kinds(content: Spec) -> Spec:
    """The same; a kind anywhere in it is looked up by name, which has to be text."""

    def check(value: Any) -> None:
        if isinstance(value, Mapping):
            if not isinstance(value.get("kind", ""), (str, type(None))):
                raise argparse.ArgumentTypeError(f"kind: {_short(repr(value['kind']))}, expected a name")
            value = list(value.values())
        for part in value if isinstance(value, list) else ():
            check(part)

    try:
        check(content)
    except RecursionError as error:  # what YAML's anchors can make
        raise argparse.ArgumentTypeError("holds itself, or is nested too deeply") from error
    return content


def _inline(text: str) -> Any:
    def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        again = next((key for key in keys if keys.count(key) > 1), None)
        if again is not None:
            raise argparse.ArgumentTypeError(f"not valid JSON: {again} is there twice, expected each key once")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=each_once)
    except (ValueError, RecursionError) as error:  # JSONDecodeError is one of the former, a number of 5,000 digits too
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from error


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}…"
