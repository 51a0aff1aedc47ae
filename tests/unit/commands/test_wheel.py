"""What `pip install` puts into an environment: the package with all its files, and `pagboost`, without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from pagboost import artifacts, networks, version

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "pagboost"
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy: setuptools leaves folders where it builds."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    done = subprocess.run([sys.executable, "-c", BUILD, copy / "dist"], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return copy / "dist" / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a fresh environment with that wheel alone, which finds the dependencies in this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*command, "--no-compile", "--disable-pip-version-check", wheel], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PAGBOOST"))}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_all_files_of_the_package_are_in_it(wheel):
    own = {p.relative_to(PACKAGE.parent).as_posix() for p in PACKAGE.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
        facts = next(name for name in packed if name.endswith("/METADATA"))
        stated = archive.read(facts).decode()
    assert own == {name for name in packed if ".dist-info/" not in name}  # the scripts of src/ are the rules' own
    assert f"\nVersion: {version.__version__}\n" in stated


def test_its_commands_run_in_an_empty_environment(scripts, tmp_path, samples, classifier, cnn_spec):
    """Away from the checkout: the weights of this one boost samples there."""
    dataset = {"num_classes": 3, "channels": 1, "size": 8}
    networks.save(tmp_path / "w.safetensors", classifier, cnn_spec, {"kind": "classifier", "dataset": dataset})
    artifacts.save_samples(tmp_path / "a.npz", samples)
    assert run(scripts / "pagboost", "--version", cwd=tmp_path).stdout == f"pagboost {version.__version__}\n"
    shown = run(scripts / "python", "-m", "pagboost", "evaluate", "-h", cwd=tmp_path).stdout
    assert shown.startswith("usage: pagboost evaluate ")
    spec = '{"objective": "ce", "sampler": "pgd", "alpha": 0.1}'
    flags = ("--guide", "w.safetensors", "--boost", spec, "--steps", 2, "--out", "boosted.npz", "--threads", 1)
    run(scripts / "pagboost", "boost", "a.npz", *flags, cwd=tmp_path)
    assert (artifacts.load_samples(tmp_path / "boosted.npz").images != samples.images).any()
    code = "import pagboost; print(pagboost.__file__, len(pagboost.load_samples('boosted.npz')))"
    file, count = run(scripts / "python", "-c", code, cwd=tmp_path).stdout.split()
    assert Path(file).is_relative_to(scripts.parent) and count == "12"
