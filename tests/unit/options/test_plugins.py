"""Kinds from outside the package: imported by name or file, here and in scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pagboost.errors import InputError
from pagboost.options import plugins
from pagboost.options.networks import Network
from pagboost.options.reading import read
from pagboost.planning import sourcecode

SOURCE = """
from typing import Annotated
from pagboost.options.kinds import Doc
from pagboost.options.networks import Network
from pagboost.options.types import Count

class {name}(Network):
    \"\"\"A network of someone's.\"\"\"

    kind = "{kind}"
    uses = "{module}_torch:build"

    width: Annotated[Count, Doc("channels")]
"""


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, "")
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("plugin_"):
            del sys.modules[name]


def write(folder: Path, module: str, kind: str) -> Path:
    file = folder / f"{module}.py"
    file.write_text(SOURCE.format(name=module.title().replace("_", ""), kind=kind, module=module))
    (folder / f"{module}_torch.py").write_text("def build(options):\n    return options.width\n")
    return file


def test_a_file_adds_a_kind(tmp_path, monkeypatch):
    file = write(tmp_path, "plugin_a", "someones")
    plugins.load([str(file)])
    assert read(Network, {"kind": "someones", "width": 3}, "network").width == 3
    assert os.environ[plugins.VARIABLE] == str(file)
    plugins.load([str(file)])  # again: nothing happens
    command = (
        "from pagboost.options import plugins; plugins.load_inherited(); from pagboost.options.networks import Network"
    )
    command += "; print('someones' in Network.kinds())"
    environment = {**os.environ, "PYTHONPATH": str(sourcecode.SOURCE)}
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_module_adds_a_kind(tmp_path, monkeypatch):
    write(tmp_path, "plugin_b", "someones_module")
    monkeypatch.syspath_prepend(tmp_path)
    plugins.load(["plugin_b"])
    assert "someones_module" in Network.kinds()


def test_its_files_count_for_digests(tmp_path):
    file = write(tmp_path, "plugin_c", "someones_files")
    plugins.load([str(file)])
    before = sourcecode.files("plugin_c_torch")
    assert [path.name for path in before] == ["plugin_c_torch.py"]
    (tmp_path / "plugin_c_torch.py").write_text("import plugin_c_layers\n")
    (tmp_path / "plugin_c_layers.py").write_text("")
    sourcecode._used_by.cache_clear()
    assert {path.name for path in sourcecode.files("plugin_c_torch")} == {"plugin_c_torch.py", "plugin_c_layers.py"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.py", None, "plugins: .*missing.py, expected a module's name or a .py file that is there"),
        ("plugin_no_such_module", None, "plugins: plugin_no_such_module: ModuleNotFoundError: No module named"),
        ("plugin_bad.py", "import nothing_of_that_name", "plugins: .*plugin_bad.py: ModuleNotFoundError: No module"),
        ("plugin_wrong.py", "1 / 0", "plugins: .*plugin_wrong.py: ZeroDivisionError: division by zero"),
        ("json.py", "", "plugins: .*json.py: a module json is loaded already, expected another file name"),
    ],
)
def test_what_cannot_be_imported_is_named(tmp_path, monkeypatch, name, text, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_text(text)
    with pytest.raises(InputError, match=f"^{message}"):
        plugins.load([name])
