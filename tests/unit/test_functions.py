"""Functions by name: what is one, what it is made of, and that none is called which the user has not named."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from pagboost import functions
from pagboost.errors import InputError

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch):
    monkeypatch.delenv(functions.VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("package.module:name", ("package.module:name", {})),
        ("my/file.py:name", ("my/file.py:name", {})),
        ('my/file.py:name?{"a": [1], "b": "x?y:z"}', ("my/file.py:name", {"a": [1], "b": "x?y:z"})),
        ("results/weights.safetensors", None),
        ("samples.npz:3", None),
        ("a folder/odd:name.npz", None),
        ("scale.yaml:models.mine", None),
    ],
)
def test_a_function_is_told_from_a_file(text, meant):
    assert functions.read(text) == meant
    if meant:
        assert functions.read(functions.written(*meant)) == meant


def test_arguments_are_a_json_object():
    with pytest.raises(InputError, match=r"^a:b\?\[1\]: expected arguments by name, as JSON: \{\.\.\.\}$"):
        functions.read("a:b?[1]")
    with pytest.raises(InputError, match="arguments are no JSON"):
        functions.read("a:b?{1}")


# -- who may be called


def test_only_what_was_named_may_be_called(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refused = r"^w\.safetensors: says that 'mine\.py:net' makes its network, .* nobody here has named: .*PAGBOOST_FUNC"
    with pytest.raises(InputError, match=refused):
        functions.check_declared("mine.py:net", {}, "w.safetensors")
    functions.declare([("mine.py:net", {}), ("a.b:c", {"x": 1, "y": 2})])
    functions.check_declared("mine.py:net", {}, "w.safetensors")
    functions.check_declared(f"{tmp_path}/mine.py:net", {}, "w.safetensors")  # the same file
    functions.check_declared("a.b:c", {"y": 2, "x": 1}, "w.safetensors")
    for function, arguments in (
        ("mine.py:net", {"x": 1}),
        ("a.b:c", {"x": 1}),
        ("os:system", {}),
        ("b/mine.py:net", {}),
    ):
        with pytest.raises(InputError, match="nobody here has named"):
            functions.check_declared(function, arguments, "w.safetensors")


def test_declarations_add_up_and_jobs_inherit_them(monkeypatch):
    functions.declare([])
    assert functions.VARIABLE not in os.environ
    monkeypatch.setenv(functions.VARIABLE, "by.hand:one")
    functions.declare([("a.b:c", {"x": 1}), ("by.hand:one", {})])
    assert os.environ[functions.VARIABLE].splitlines() == ["by.hand:one", 'a.b:c?{"x": 1}']
    code = "from pagboost import functions; functions.check_declared('a.b:c', {'x': 1}, 'file')"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(SOURCE)}, check=True)


# -- what a function is made of


@pytest.fixture
def mine(tmp_path):
    """A file that imports one beside it, which imports a package of two files and an installed one."""
    (tmp_path / "mine.py").write_text("import json, torch, beside\ndef net(): return beside.parts.one\n")
    (tmp_path / "beside.py").write_text("import yaml\ndef later():\n    from parts.inner import thing\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/__init__.py").write_text("one = 1\n")
    (tmp_path / "parts/inner.py").write_text("from . import other\n")
    (tmp_path / "parts/other.py").write_text("")
    (tmp_path / "unused.py").write_text("")
    return tmp_path


def test_the_sources_of_a_file_are_what_it_imports_beside_it(mine):
    made = functions.made_of(f"{mine}/mine.py:net")
    parts = [f"parts/{name}.py" for name in ("__init__", "inner", "other")]
    assert list(made["sources"]) == ["beside.py", "mine.py", *parts]
    assert {name.lower(): version for name, version in made["packages"].items()} == {
        "pyyaml": metadata.version("pyyaml")
    }
    (mine / "unused.py").write_text("1")
    assert functions.made_of(f"{mine}/mine.py:net") == made
    (mine / "parts/other.py").write_text("1")
    again = functions.made_of(f"{mine}/mine.py:net")
    assert functions.changed(made, again) == ["parts/other.py"] and functions.changed(made, made) == []


def test_of_an_installed_package_its_version_counts():
    made = functions.made_of("torchvision.models:resnet18")
    assert made == {"sources": {}, "packages": {"torchvision": metadata.version("torchvision")}}
    older = {"sources": {}, "packages": {"torchvision": "0.1"}}
    assert functions.changed(older, made) == [f"torchvision {metadata.version('torchvision')} (was 0.1)"]
    assert functions.changed(None, made) == [f"torchvision {metadata.version('torchvision')} (was not used)"]


def test_telling_what_it_is_made_of_runs_nothing(mine):
    (mine / "mine.py").write_text("raise SystemExit('it ran')\n")
    code = f"import sys; from pagboost import functions; functions.made_of('{mine}/mine.py:net'); "
    code += "functions.made_of('torchvision.models:resnet18'); print({'torch', 'torchvision', 'mine'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nowhere.py:net", "function: nowhere.py:net: no file nowhere.py, expected MODULE:NAME, or"),
        ("nowhere_at_all:net", "function: nowhere_at_all:net: no module nowhere_at_all here"),
        ("net", "function: net, expected MODULE:NAME, or PATH/TO/FILE.py:NAME"),
        ("a b:net", "function: a b:net, expected MODULE:NAME"),
    ],
)
def test_what_is_not_there_is_one_line(function, message):
    with pytest.raises(InputError) as caught:
        functions.made_of(function)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


# -- calling one


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("def net(): raise KeyError('x')", "KeyError: 'x' (bad.py, line 1)"),
        (
            "\nimport nothing_of_this_name",
            "ModuleNotFoundError: No module named 'nothing_of_this_name' (bad.py, line 2)",
        ),
        ("def net(a): pass", "TypeError: net() missing 1 required positional argument: 'a'"),
        ("def other(): pass", "has no net, expected MODULE:NAME"),
        ("def net(: pass", "SyntaxError"),
    ],
)
def test_whatever_a_module_raises_is_one_line(tmp_path, content, message):
    (tmp_path / "bad.py").write_text(content)
    try:
        with pytest.raises(InputError) as caught:
            functions.call(f"{tmp_path}/bad.py:net", {})
    finally:
        sys.modules.pop("bad", None)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_s_module_replaces_no_other(tmp_path):
    (tmp_path / "json.py").write_text("def net(): return 1\n")
    with pytest.raises(InputError, match="a module json is loaded already, expected another file name"):
        functions.call(f"{tmp_path}/json.py:net", {})
