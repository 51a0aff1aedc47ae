"""What the project promises about itself: one set of versions, hashed pins, thin scripts, modules of one idea."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from pagboost import version

ROOT = Path(__file__).parents[2]
# conda's names where they differ, and packages whose slim variant conda offers
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "snakemake": "snakemake-minimal"}
SCRIPTS = sorted((ROOT / "src").glob("*.py"))
MAIN = 'if __name__ == "__main__":'
COMMANDS = sorted((ROOT / "src" / "pagboost" / "commands").glob("*.py"))


def split_requirement(text: str) -> tuple[str, str]:
    name, bounds = re.fullmatch(r"([a-z0-9-]+)(.*)", text).groups()
    return name, bounds


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def requirements(project) -> dict[str, str]:
    extras = [line for extra in ("test", "lint", "extractors") for line in project["optional-dependencies"][extra]]
    return dict(split_requirement(line) for line in project["dependencies"] + extras)


def test_conda_environment_says_the_same_versions(project, requirements):
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    lines += lines.pop()["pip"]
    conda = dict(split_requirement(line) for line in lines if line != "pip")
    assert conda.pop("python") == project["requires-python"]
    assert conda == {CONDA_NAMES.get(name, name): bounds for name, bounds in requirements.items()}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-cluster.lock"])
def test_lock_pins_every_requirement_with_hashes_and_no_address(name, project, requirements):
    lock = (ROOT / name).read_text()
    pinned = set(re.findall(r"^([a-z0-9.-]+)==", lock, flags=re.MULTILINE))
    cluster = {split_requirement(line)[0] for line in project["optional-dependencies"]["cluster"]}
    assert pinned == cluster if "cluster" in name else set(requirements) <= pinned
    for entry in re.split(r"\n(?=[a-z0-9])", lock)[1:]:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
    assert "://" not in lock


def test_the_version_is_said_once_more_where_it_is_cited(project):
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == version.__version__ and "version" in project["dynamic"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda path: path.name)
def test_commands_are_thin(command):
    assert len(command.read_text().splitlines()) <= 80


def test_a_script_is_a_command_s_main():
    assert [path.name for path in SCRIPTS] == [path.name for path in COMMANDS if path.stem != "__init__"]
    for script in SCRIPTS:
        main = f"from pagboost.commands.{script.stem} import main"
        lines = ["#!/usr/bin/env python3", "from pagboost import cli", main, "", MAIN, "    cli.run(main)"]
        assert script.read_text().splitlines() == lines, script


def test_modules_stay_below_400_lines():
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "src" / "pagboost").rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_module_unpickles_or_names_a_scale():
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow" / "rules").glob("*.smk")]:
        text = path.read_text()
        assert not re.search(r"pickle\.load|weights_only\s*=\s*False|allow_pickle\s*=\s*True", text), path
        assert not re.search(r"\bscale\s*==", text), path
