"""Kinds from outside the package: modules named in a scale file, or in an environment variable, are imported.

A plug-in defines subclasses of the families in options (kinds), or adds names to its tables (OBJECTIVES), as
docs/extending.md shows. Snakemake imports it too, so what needs torch is imported in its functions, or in a module of
its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from pagboost.errors import InputError

VARIABLE = "PAGBOOST_PLUGINS"  # how scripts learn of them: jobs inherit it


def load(names: Iterable[str]) -> None:
    """Import these modules, or .py files (~ and $VARIABLES expanded), here and in every script that starts from here.

    Raises InputError for a file that is not there, and for whatever its import raises.
    """
    found = [_absolute(name) for name in names]
    if found:
        os.environ[VARIABLE] = os.pathsep.join(found)
    for name in found:
        _import(name)


def load_inherited() -> None:
    """Import those that the environment names."""
    load(filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)))


def file_of(module: str) -> Path | None:
    """The source file of a module that lies beside a plug-in, or is one; None for any other."""
    for name in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        if name.endswith(".py"):
            path = Path(name).parent.joinpath(*module.split("."))
        else:
            own = sys.modules.get(name.partition(".")[0])
            if own is None or own.__file__ is None or module.partition(".")[0] != name.partition(".")[0]:
                continue
            top = Path(own.__file__)
            path = (top.parent.parent if top.name == "__init__.py" else top.parent).joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def _absolute(name: str) -> str:
    if not name.endswith(".py"):
        return name
    path = Path(os.path.expandvars(os.path.expanduser(name))).absolute()
    if not path.is_file():
        raise InputError(f"plugins: {name}, expected a module's name or a .py file that is there")
    return str(path)


def _import(name: str) -> None:
    module = Path(name).stem if name.endswith(".py") else name
    try:
        if not name.endswith(".py"):
            importlib.import_module(module)
        elif module not in sys.modules:
            # modules beside it can be imported as well, after all others
            if str(Path(name).parent) not in sys.path:
                sys.path.append(str(Path(name).parent))
            spec = importlib.util.spec_from_file_location(module, name)
            sys.modules[module] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[module])
        elif os.path.abspath(getattr(sys.modules[module], "__file__", None) or "") != name:
            raise InputError(f"plugins: {name}: a module {module} is loaded already, expected another file name")
    except InputError:
        raise
    except Exception as error:  # whatever a user's module raises
        sys.modules.pop(module, None)
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        raise InputError(f"plugins: {name}: {type(error).__name__}: {reason}") from error
