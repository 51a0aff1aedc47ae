"""Finished results elsewhere: a copy is known by what its files hold, not by when they were copied."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time

import pytest

from pagboost.planning import provenance

from .conftest import Workplace
from .test_pipeline import jobs

pytestmark = pytest.mark.workflow


@pytest.fixture
def copied(finished, run, tmp_path) -> Workplace:
    """A copy of the working folder, Snakemake's memory with it, whose times are in no order: `cp -r`, an archive."""
    folder = tmp_path / "copied"
    shutil.copytree(run.folder, folder, copy_function=shutil.copyfile, symlinks=True)
    draw, now = random.Random(0), time.time()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            when = now - draw.uniform(0, 10_000)
            os.utime(path, (when, when))
    return Workplace(folder, run.root)


def planned(workplace: Workplace) -> set[str]:
    dry = workplace("all", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    found = jobs(dry.stdout + dry.stderr)
    assert bool(found) != ("Nothing to be done" in dry.stdout + dry.stderr)
    return found


def test_a_copy_without_times_is_finished(copied):
    assert planned(copied) == set()


def test_in_a_copy_an_edited_boost_remakes_what_shows_it_and_nothing_else(copied):
    with copied.changed(lambda scale: scale["boosts"]["rn50_joint_bce"].update(alpha=0.3)):
        found = planned(copied)
    expected = {f"Boosting {generator} by rn50_joint_bce" for generator in ("ct1", "cd1")}
    expected |= {f"Scoring {generator}, boost rn50_joint_bce" for generator in ("ct1", "cd1")}
    expected |= {"Table table2 of golan2024", "Claims of golan2024", "Report of all papers"}
    expected |= {"Provenance of all results"}
    assert found == expected


def test_in_a_copy_what_was_deleted_is_made_again_and_what_was_replaced_is_noticed(copied):
    """Another network in the place of one: it is of another content, and newer than what was made from the first."""
    weights = copied.results / "weights"
    (weights / "rn50_joint.safetensors").unlink()
    shutil.copyfile(weights / "rn50_robust.safetensors", weights / "wrn_joint.safetensors")
    found = planned(copied)
    assert {"Training rn50_joint", "Boosting ct1 by rn50_joint", "Report of all papers"} <= found
    assert {"Boosting ct1 by wrn_joint", "Scoring ct1, boost wrn_joint"} <= found
    assert not {"Training cnn_a", "Training rn50_robust", "Training wrn_joint"} & found
    assert "Boosting ct1 by rn50_classifier_ce" not in found


def test_what_was_packed_is_known_elsewhere(finished, run, tmp_path):
    """Another machine makes the data and gets what was packed: nothing is left to do, and it knows what made all."""
    (tmp_path / "elsewhere").mkdir()
    there = Workplace(tmp_path / "elsewhere", run.root)
    for file in (run.scale, run.settings):
        shutil.copy2(file, there.folder)
    data = [there.results / path.relative_to(run.results) for path in run.results.glob("data/*/train.npz")]
    assert there(*data).returncode == 0
    results = run.results.relative_to(run.folder)
    script = [sys.executable, run.root / "src" / "pack.py", results, "--out", tmp_path / "parts"]
    subprocess.run(script, cwd=run.folder, check=True)
    script = [sys.executable, run.root / "src" / "unpack.py", tmp_path / "parts", "--out", results]
    subprocess.run(script, cwd=there.folder, check=True)
    assert planned(there) == set()
    assert there("provenance", "--forcerun", "provenance").returncode == 0
    before, after = (
        {row["file"]: row for row in provenance.load(place.results / "provenance.csv")} for place in (run, there)
    )
    assert before.keys() == after.keys()
    varies = {"sha256", "finished", "seconds", "memory_mb"}
    for file, row in before.items():
        if not file.startswith("data/"):
            same = row.keys() - (varies if file.startswith("weights/") else {"sha256"} if file == "report.html" else ())
            assert {name: row[name] for name in same} == {name: after[file][name] for name in same}, file
