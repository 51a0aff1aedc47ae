"""`import pagboost` costs next to nothing; what it offers comes when it is asked for, and is what its stub says."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pagboost

IMPORTS = "import sys; before = {*sys.modules}; import pagboost; pagboost.InputError; print(*{*sys.modules} - before)"


def test_no_torch_is_imported():
    """Nor anything else that takes time: 0.05 s of starting Python are what is left."""
    environment = {"PYTHONPATH": str(Path(pagboost.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", IMPORTS], env=environment, capture_output=True, text=True, check=True)
    own = {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert own == {"pagboost", "pagboost.errors"}


def test_what_is_offered_is_there_and_typed():
    for name in pagboost.__all__:
        assert getattr(pagboost, name) is not None and name in dir(pagboost)
    stub = ast.parse(Path(pagboost.__file__).with_suffix(".pyi").read_text())
    assert sorted(alias.name for node in stub.body for alias in node.names) == sorted(pagboost.__all__)
    assert all(f"pagboost.{pagboost._OFFERED[a.name]}" == node.module for node in stub.body for a in node.names)


def test_what_is_not_offered_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'pagboost' has no attribute 'evaluat'"):
        pagboost.evaluat  # noqa: B018
