"""Errors of configuration (tests/unit/planning has them all) come before any job starts, in one line."""

from __future__ import annotations

import pytest
import yaml

from .conftest import snakemake

pytestmark = pytest.mark.workflow


def test_an_error_is_one_line_that_names_key_and_value(tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"boosts": {"rn50_joint": {"alhpa": 0.2}}}))
    results = tmp_path / "results"
    done = snakemake("tables", "--configfile", tmp_path / "mine.yaml", "--config", f"results={results}")
    assert done.returncode != 0
    said = "mine.yaml: boosts.rn50_joint.alhpa: unknown key (did you mean alpha?), expected one of"
    assert [line for line in done.stderr.splitlines() if line.startswith(said)], done.stderr
    assert not results.exists()


def test_files_of_settings_are_read_strictly(tmp_path):
    (tmp_path / "mine.yaml").write_text("seeds: [0]\nseeds: [1]\n")
    done = snakemake("-n", "tables", "--configfile", tmp_path / "mine.yaml", "--config", f"results={tmp_path}")
    assert done.returncode != 0
    assert f"{tmp_path / 'mine.yaml'}: line 2: key seeds again, expected it once" in done.stdout + done.stderr


def test_a_boost_asked_for_by_its_file_needs_what_was_published(tmp_path):
    target = tmp_path / "digits" / "metrics" / "vae" / "boost=rn50_joint.json"
    done = snakemake("-n", target, "--config", f"results={tmp_path}")
    assert done.returncode != 0
    assert "generators.vae.published.steps: missing key, boosts.rn50_joint starts from it" in done.stdout
