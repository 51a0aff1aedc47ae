"""Functions of the user's choice that return networks: "package.module:name", or "path/to/file.py:name".

Calling one runs its module. So none is called that the user has not named: on a command line, in the scale that is run,
or in PAGBOOST_FUNCTIONS (`declare`). A weights file that says it is made by one proves nothing (`check_declared`).
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import json
import os
import platform
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pagboost.errors import InputError

VARIABLE = (
    "PAGBOOST_FUNCTIONS"  # what may be called: FUNCTION or FUNCTION?{arguments as JSON}, one a line; jobs inherit
)
COMPUTED_WITH = {"torch", "numpy"}  # by everything here: the versions of results state them, no network is told by them
EXPECTED = "MODULE:NAME, or PATH/TO/FILE.py:NAME"


def split(function: str) -> tuple[str, str]:
    """(module or file, name of the function); InputError unless it is both."""
    place, _, name = function.rpartition(":")
    module = place.endswith(".py") or all(part.isidentifier() for part in place.split("."))
    if not (place and module and name.isidentifier()):
        raise InputError(f"function: {function}, expected {EXPECTED}")
    return place, name


def written(function: str, arguments: Mapping[str, Any]) -> str:
    """A call as one line, the same for equal calls: FUNCTION, or FUNCTION?{arguments as JSON}."""
    return f"{function}?{json.dumps(arguments, sort_keys=True)}" if arguments else function


def read(text: str) -> tuple[str, dict[str, Any]] | None:
    """(function, arguments) of such a line; None for any other text, such as a file's name.

    Raises InputError for a function whose arguments are not a JSON object.
    """
    function, question, arguments = text.partition("?")
    try:
        split(function)
    except InputError:
        return None
    try:
        found = json.loads(arguments) if question else {}
    except (ValueError, RecursionError) as error:
        raise InputError(f"{function}?{arguments}: arguments are no JSON ({error}), expected {{...}}") from error
    if not isinstance(found, dict):
        raise InputError(f"{function}?{arguments}: expected arguments by name, as JSON: {{...}}")
    return function, found


# -- what may be called


def declare(calls: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Let these functions be called with these arguments, here and in every script that starts from here."""
    known = os.environ.get(VARIABLE, "").splitlines()
    found = dict.fromkeys([*known, *(written(function, arguments) for function, arguments in calls)])
    if len(found) > len(known):
        os.environ[VARIABLE] = "\n".join(found)


def check_declared(function: str, arguments: Mapping[str, Any], where: str) -> None:
    """Raise InputError unless the user has named a function, with these arguments."""
    lines = filter(None, map(str.strip, os.environ.get(VARIABLE, "").splitlines()))
    declared = {_canonical(*call) for call in map(read, lines) if call is not None}
    if _canonical(function, arguments) not in declared:
        raise InputError(
            f"{where}: says that {written(function, arguments)!r} makes its network, which would run code that nobody "
            f"here has named: expected a function of the scale that is run, or one in {VARIABLE}"
        )


def _canonical(function: str, arguments: Mapping[str, Any]) -> str:
    place, name = split(function)
    return written(f"{_file(place) if place.endswith('.py') else place}:{name}", arguments)


# -- what a function is made of, told without running it


def made_of(function: str) -> dict[str, dict[str, str]]:
    """{"sources": {file: sha256}, "packages": {package: version}} that tell a function from others of its name.

    Of an installed package its version; else the source files of its module and of the modules beside it that these
    import, and the versions of installed packages that they import. Nothing is run, and torch is not imported.
    Raises InputError for a module that is not there, or a file that is no Python.
    """
    place, _ = split(function)
    if place.endswith(".py"):
        if not _file(place).is_file():
            raise InputError(f"function: {function}: no file {place}, expected {EXPECTED}")
        return _of_sources([_file(place)], _file(place).parent, function)
    top = place.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise InputError(f"function: {function}: no module {top} here, expected {EXPECTED} (or is it not installed?)")
    version = {"python": platform.python_version()} if top in sys.stdlib_module_names else _version(top)
    if version:
        return {"sources": {}, "packages": version}
    folder = Path(next(iter(spec.submodule_search_locations or [Path(spec.origin).parent / top]))).parent
    files = _files_of(folder, place)
    if files[-1] is None:
        raise InputError(f"function: {function}: no module {place} in {folder}, expected {EXPECTED}")
    return _of_sources(list(filter(None, files)), folder, function)


def changed(then: Any, now: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What differs between two answers of made_of: files by name, packages with both versions."""
    before = {key: (then.get(key) if isinstance(then, Mapping) else None) or {} for key in now}
    files = {*before["sources"].items()} ^ {*now["sources"].items()}
    names = {name for name, _ in {*before["packages"].items()} ^ {*now["packages"].items()}}
    versions = [
        f"{name} {now['packages'].get(name, 'gone')} (was {before['packages'].get(name, 'not used')})"
        for name in sorted(names)
    ]
    return [*sorted({name for name, _ in files}), *versions]


def _file(place: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(place))).absolute()


def _of_sources(first: list[Path], folder: Path, function: str) -> dict[str, dict[str, str]]:
    sources: dict[str, str] = {}
    packages: dict[str, str] = {}
    waiting = first
    while waiting:
        file = waiting.pop()
        name = file.relative_to(folder).as_posix()
        if name in sources:
            continue
        content = file.read_bytes()
        sources[name] = hashlib.sha256(content).hexdigest()
        try:
            imported = list(_imports(ast.parse(content), file, folder))
        except (SyntaxError, ValueError) as error:
            raise InputError(f"function: {function}: {file} is no Python ({error})") from error
        for module in imported:
            beside = _files_of(folder, module)
            waiting += filter(None, beside)
            packages |= {} if beside[0] else _version(module.partition(".")[0])
    return {"sources": dict(sorted(sources.items())), "packages": dict(sorted(packages.items()))}


def _imports(tree: ast.AST, file: Path, folder: Path) -> Iterator[str]:
    """The modules that a source file imports, at whatever time; names that may be modules count as such."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = file.relative_to(folder).parts[: -node.level] if node.level else ()
            module = ".".join((*parents, *([node.module] if node.module else [])))
            yield from filter(None, (module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)))


def _files_of(folder: Path, module: str) -> list[Path | None]:
    """The files of a module and of the packages that it lies in, these first: they are run before it."""
    parts = module.split(".")
    paths = [folder.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
    both = ((path.with_suffix(".py"), path / "__init__.py") for path in paths)
    return [next(filter(Path.is_file, two), None) for two in both]


@cache
def _version(top: str) -> dict[str, str]:
    """{package: version} of an installed module; nothing for what is part of Python, not here, or of a checkout."""
    if top in COMPUTED_WITH:
        return {}
    if top in sys.stdlib_module_names:
        return {}
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return {}
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    if not any({"site-packages", "dist-packages"} & {*Path(place).parts} for place in filter(None, places)):
        return {}
    for name in (top, top.replace("_", "-")):
        try:
            return {name: metadata.version(name)}
        except metadata.PackageNotFoundError:
            continue
    names = sorted(set(metadata.packages_distributions().get(top, ())))  # reads all that is installed: a second
    return {name: metadata.version(name) for name in names} or {top: "unknown"}


# -- calling one


def call(function: str, arguments: Mapping[str, Any]) -> Any:
    """What a function returns; its module is imported, a file's beside all modules that lie in its folder.

    Raises InputError for a module or a function that is not there, and for whatever they raise.
    """
    place, name = split(function)
    try:
        module = _loaded(place) if place.endswith(".py") else importlib.import_module(place)
        if not hasattr(module, name):
            raise InputError(f"function: {function}: {place} has no {name}, expected {EXPECTED}")
        return getattr(module, name)(**arguments)
    except InputError:
        raise
    except Exception as error:  # whatever a user's module raises
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        last = traceback.extract_tb(error.__traceback__)[-1]
        at = f"{Path(last.filename).name}, line {last.lineno}"
        raise InputError(
            f"function: {written(function, arguments)}: {type(error).__name__}: {reason} ({at})"
        ) from error


def _loaded(place: str) -> Any:
    path = _file(place)
    if not path.is_file():
        raise InputError(f"function: no file {place}, expected {EXPECTED}")
    if path.stem in sys.modules:
        module = sys.modules[path.stem]
        if os.path.abspath(getattr(module, "__file__", None) or "") != str(path):
            raise InputError(f"function: {place}: a module {path.stem} is loaded already, expected another file name")
        return module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # after all others
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module
