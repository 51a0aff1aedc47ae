"""The house stands: imports run downwards, and there are no circles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "pagboost"
# From the ground up: a wing may import those before it. The ground is every module that lies in no wing; options lie
# below it, and need nothing but the one exception.
FLOORS = (
    "errors",
    "options",
    "files",
    "machine",
    "ground",
    "networks",
    "sources",
    "generators",
    "guides",
    "metrics",
    "boosting",
    "studies",
    "api",
    "report",
    "planning",
    "costs",
    "rehearsal",
    "commands",
)
WINGS = {*FLOORS} - {"errors", "ground"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def imports(path: Path) -> set[str]:
    """The modules of this project that a file imports, at whatever time; "pagboost" itself left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name for name in found if name in NAMES} - {"pagboost", name_of(path)}


def floor(name: str) -> int:
    if name == "pagboost.errors":
        return 0
    wing = name.split(".")[1] if name.count(".") and (PACKAGE / name.split(".")[1]).is_dir() else "ground"
    return FLOORS.index(wing)


def test_every_wing_has_its_floor():
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()} == WINGS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_downwards(path):
    own = floor(name_of(path))
    assert [name for name in imports(path) if floor(name) > own] == []


def test_there_are_no_circles():
    below = {name_of(path): imports(path) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way, name))
        if name not in done:
            for other in below[name]:
                if not name.startswith(f"{other}."):  # a package's own namespace
                    visit(other, (*way, name))
            done.add(name)

    for name in below:
        visit(name, ())


def test_tests_mirror_the_layout():
    """A wing's tests lie in a folder of its name."""
    tests = Path(__file__).parent
    assert {path.name for path in tests.iterdir() if path.is_dir() and path.name[0] not in "._"} == WINGS
