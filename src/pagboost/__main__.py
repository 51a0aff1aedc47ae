"""`pagboost COMMAND …`: what src/COMMAND.py does, where there is no checkout. Imports nothing heavy."""

from __future__ import annotations

import ast
import difflib
import importlib
import sys
from pathlib import Path

if not __package__:  # run by its path, as the processes of one training are, and the warm one's children
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from pagboost import cli, version
from pagboost.errors import InputError
from pagboost.machine import called

COMMANDS = Path(__file__).with_name("commands")
ANYWHERE = (
    "evaluate",
    "make-reference",
    "featurise",
    "boost",
    "tune",
    "sample",
    "import-samples",
    "merge",
    "prepare-data",
    "train",
    "study",
    "interpolate",
    "survey",
    "survey-table",
    "fetch",
)


def start() -> None:
    """The console script `pagboost`."""
    cli.run(main)


def main() -> None:
    """Run the command that the first argument names. Raises InputError for one that there is not."""
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name in (None, "-h", "--help"):
        print(overview())
        sys.exit(2 if name is None else 0)
    if name == "--version":
        print(f"pagboost {version.__version__}")
        return
    if name not in (known := [*ANYWHERE, *of_a_run()]):
        near = difflib.get_close_matches(name, known, 1)
        meant = f"expected {near[0]}?" if near else "expected one of those"
        raise InputError(f"{name}: no command, {meant} (pagboost --help lists all)")
    called.command = name
    importlib.import_module(f"pagboost.commands.{module_of(name)}").main()


def of_a_run() -> list[str]:
    """The other commands: about a run, a paper or a scale, most of them called by the workflow's rules."""
    found = sorted(path.stem.replace("_", "-") for path in COMMANDS.glob("[a-z]*.py"))
    return [name for name in found if name not in ANYWHERE]


def module_of(command: str) -> str:
    """The module in pagboost.commands."""
    return command.replace("-", "_")


def overview() -> str:
    """All commands, a line each: the first of what their own --help says, read without importing them."""
    parts = {"for samples, networks and pictures from anywhere": ANYWHERE, "of a run, a paper or a scale": of_a_run()}
    lines = ["usage: pagboost COMMAND …", "       pagboost COMMAND --help | --version"]
    for title, names in parts.items():
        lines += ["", f"{title}:", *(f"  {name:<17} {summary(name)}" for name in names)]
    return "\n".join(lines)


def summary(command: str) -> str:
    """What a command does, in one line."""
    source = (COMMANDS / f"{module_of(command)}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)).partition("\n")[0]


if __name__ == "__main__":
    start()
