"""Configuration errors come before any job starts, in one line that names the key."""

from __future__ import annotations

import pytest
import yaml

from .conftest import snakemake

pytestmark = pytest.mark.workflow


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"boosts": {"rn50_joint": {"alhpa": 0.2}}}, ["boosts.rn50_joint", "alhpa"]),
        ({"boosts": {"rn50_joint": {"alpha": -0.2}}}, ["boosts.rn50_joint.alpha", "-0.2"]),
        ({"boosts": {"rn50_joint": {"objective": "cee"}}}, ["boosts.rn50_joint.objective", "cee", "ce_bce_ref"]),
        ({"boosts": {"rn50_joint": {"guide": "rn51"}}}, ["boosts.rn50_joint.guide", "rn51", "rn50_joint"]),
        ({"models": {"rn50_joint": {"inputs": {"fakes": ["ct3"]}}}}, ["models.rn50_joint.inputs.fakes", "ct3"]),
        ({"models": {"edm": {"training": {"learning_rate": 1}}}}, ["models.edm.training", "learning_rate"]),
        ({"scael": "digits"}, ["scael"]),
        ({"scale": "mnist"}, ["mnist", "digits"]),
        ({"seeds": [0, 0]}, ["seeds"]),
        ({"papers": ["golan2025"]}, ["golan2025"]),
    ],
)
def test_error_names_key_and_value(override, named, tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(override))
    results = tmp_path / "results"
    done = snakemake("tables", "--configfile", tmp_path / "mine.yaml", "--config", f"results={results}")
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if all(word in line for word in named)]
    assert errors, done.stderr
    assert not results.exists()


def test_a_boost_asked_for_by_its_file_needs_what_was_published(tmp_path):
    target = tmp_path / "digits" / "metrics" / "vae" / "boost=rn50_joint.json"
    done = snakemake("-n", target, "--config", f"results={tmp_path}")
    assert done.returncode != 0
    assert "generators.vae.published.steps: missing key, boosts.rn50_joint starts from it" in done.stdout
