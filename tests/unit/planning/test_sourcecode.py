"""Which files a result's code is: all that a script imports, and nothing that it does not."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from pagboost.planning import kinds_used, sourcecode

SOURCE = sourcecode.SOURCE
SCRIPTS = sorted(path.name for path in SOURCE.glob("*.py"))


def names(*entries: str) -> set[str]:
    return {path.relative_to(SOURCE).as_posix() for path in sourcecode.files(*entries)}


def imports(file: Path) -> set[str]:
    """What Python's own parser says a file imports of this project."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "pagboost"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_all_that_a_file_imports_is_among_its_files(script):
    found = names(script)
    assert {script, "pagboost/__init__.py", "pagboost/cli.py"} <= found
    for name in (name for name in found if name.endswith(".py")):  # not of templates
        for module in imports(SOURCE / name):
            if module.startswith("pagboost.options"):
                continue  # counted by the kinds that are used
            path = module.replace(".", "/")
            known = [p for p in (f"{path}.py", f"{path}/__init__.py") if (SOURCE / p).is_file()]
            assert set(known) <= found, (name, module)


def test_kinds_bring_their_own_files_and_no_others():
    assert not names("train.py") & {
        "pagboost/generators/vae.py",
        "pagboost/networks/unet.py",
        "pagboost/generators/gan/training.py",
    }
    spec = {"kind": "vae", "network": {"kind": "vae_decoder"}, "training": {"encoder": {"kind": "vae_encoder"}}}
    assert set(kinds_used.used({"spec": spec}).modules) == {"pagboost.generators.vae"}
    assert "pagboost/generators/vae.py" in names("train.py", "pagboost.generators.vae")
    assert "pagboost/networks/resnet.py" in names("pagboost.guides.joint")  # named as "module:function" there
    assert "pagboost/report/survey.html.j2" in names("survey.py")
    nested = {"training": {"method": {"kind": "stylegan2_ada"}}, "sampler": [{"kind": "edm"}], "kind": "unheard of"}
    nested |= {"dataset": {"source": "folder"}, "boost": {"objective": "logit"}}
    assert set(kinds_used.used(nested).modules) == {
        "pagboost.generators.gan.stylegan2",
        "pagboost.generators.diffusion.karras",
        "pagboost.sources.data",
        "pagboost.objectives",
    }


def test_tables_and_figures_bring_what_renders_them():
    shown = {"title": "T", "place": "Table 1"}
    assert "pagboost.report.metric_tables" in kinds_used.used({"spec": shown}).modules
    assert "pagboost.report.choice_tables" in kinds_used.used({"spec": shown | {"kind": "steps"}}).modules
    assert kinds_used.used({"spec": {"kind": "targeted", "dataset": "digits16"}}).modules == ["pagboost.studies.images"]


def test_defaults_of_the_kinds_that_are_used_count():
    used = kinds_used.used({"network": {"kind": "unet"}, "sampler": {"kind": "edm"}}).defaults
    assert used["pagboost.options.networks.UNet"]["norm_groups"] == 32
    assert used["pagboost.options.samplers.Heun"]["rho"] == 7.0
    assert "pagboost.options.networks.UNetEncoder" not in used


def test_a_kind_that_is_added_changes_no_digest():
    assert not [name for name in names(*SCRIPTS) if name.startswith("pagboost/options/")]


def test_an_edit_changes_the_digests_of_what_uses_the_file(tmp_path):
    """In a copy of the sources: of the scripts that import it, at whatever time, and of no others."""
    code = "import sys; from pagboost.planning import sourcecode as s; print(*(s.digest(n) for n in sys.argv[1:]))"
    for path in (*SOURCE.glob("*.py"), *SOURCE.glob("pagboost/**/*.py")):
        target = tmp_path / path.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())

    def digests() -> list[str]:
        command = [sys.executable, "-c", code, "boost.py", "sample.py", "make_table.py"]
        return subprocess.run(
            command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, check=True
        ).stdout.split()

    before = digests()
    assert before == digests()
    with open(tmp_path / "pagboost" / "attacks.py", "a") as file:
        file.write("# another line\n")
    assert [a == b for a, b in zip(before, digests(), strict=True)] == [False, True, True]
