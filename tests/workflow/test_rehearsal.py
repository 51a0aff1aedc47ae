"""The imagenet scale on made-up files, cut down and narrow: every kind of file from elsewhere is fetched and used."""

from __future__ import annotations

import json
import re
import runpy
import sys

import pytest
import yaml

from pagboost import artifacts
from pagboost.artifacts import load_samples, load_weights

from .conftest import ROOT, snakemake

pytestmark = pytest.mark.workflow
GENERATORS = ("ct1", "adm_g_2x", "robust_s1")  # a public network, a published batch, a guided public network


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """The results folder after a run of some targets."""
    folder = tmp_path_factory.mktemp("rehearsal") / "run"
    arguments = ["imagenet", "--narrow", "--generators", *GENERATORS, "--out", str(folder), "--threads", "1"]
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", ["rehearse.py", *arguments])
        runpy.run_path(str(ROOT / "src" / "rehearse.py"), run_name="__main__")
    wanted = ["samples/robust_s1/boost=none/eval.npz", "samples/adm_g_2x/boost=bigroc_128_1_5_gt/eval.npz"]
    wanted += ["samples/ct1/boost=wrn_joint/eval.npz", "tables/golan2024/table5.md", "metrics/adm_g_2x/boost=none.json"]
    # what the first paper's Inception looks at is enough: references of an own network would be trained for
    over = {"protocols": {"cross": {"extractor": "inception"}, "heldout": {"split": "validation"}}}
    (folder / "over.yaml").write_text(yaml.safe_dump(over))
    files = [str(folder / name) for name in wanted]
    done = snakemake(*files, "--configfile", folder / "rehearsal.yaml", folder / "over.yaml", cwd=folder.parent)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]
    return folder


def test_files_are_fetched_from_the_folder_that_stands_for_servers(rehearsed):
    copies = {path.name for path in (rehearsed / "downloads").iterdir()}
    assert {
        "ct_imagenet64.pt",
        "resnet50_l2_eps3.ckpt",
        "wide_resnet50_2_l2_eps3.ckpt",
        "128x128_diffusion.pt",
    } <= copies
    assert {"admnet_guided_imagenet128.npz", "VIRTUAL_imagenet128_labeled.npz"} <= copies
    assert "256x256_diffusion.pt" not in copies and "biggan_deep_imagenet64.npz" not in copies


def test_public_networks_draw_guide_and_boost(rehearsed):
    for name, kind in (
        ("ct", "consistency"),
        ("ddpm", "ddpm"),
        ("wrn_joint", "joint"),
        ("time_robust", "time_classifier"),
    ):
        assert load_weights(rehearsed / "weights" / f"{name}.safetensors")[1]["kind"] == kind
    guided = load_samples(rehearsed / "samples/robust_s1/boost=none/eval.npz")
    assert guided.images.shape == (4, 128, 128, 3) and guided.images.std() > 1
    for generator, boost in (("ct1", "wrn_joint"), ("adm_g_2x", "bigroc_128_1_5_gt")):
        raw, boosted = (
            load_samples(rehearsed / f"samples/{generator}/boost={name}/eval.npz") for name in ("none", boost)
        )
        assert (raw.images != boosted.images).any() and (raw.labels == boosted.labels).all()
    assert not list((rehearsed / "shards").rglob("*.npz"))  # merged, and gone


def test_numbers_say_what_they_are_of(rehearsed):
    found = artifacts.load_json(rehearsed / "metrics/adm_g_2x/boost=none.json")["protocols"]["train"]
    facts = found["protocol"]
    assert (facts["reference"], facts["statistics"], facts["resize"]) == ("openai_batch", "openai", "tensorflow")
    assert (facts["n"], facts["splits"], facts["resamplings"]) == (4, 2, 40)
    assert found["mean"]["fid"] > 0 and len(found["draws"]["0"]["fid"]) == 40


def test_tables_say_that_they_are_of_a_rehearsal(rehearsed):
    title = (rehearsed / "tables/golan2024/table5.md").read_text().splitlines()[0]
    assert re.fullmatch(r"### REHEARSAL: Steps .*", title)


def test_numbers_of_a_rehearsal_are_no_base_rows(rehearsed, monkeypatch):
    paper = json.dumps(yaml.safe_load((rehearsed / "papers" / "golan2024.yaml").read_text()))
    arguments = ["--paper", paper, "--results", str(rehearsed), "--generators", "adm_g_2x", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["check_base_rows.py", *arguments])
    with pytest.raises(SystemExit, match="train has .* 4 samples per seed.*, expected the paper's: .* n 50000"):
        runpy.run_path(str(ROOT / "src" / "check_base_rows.py"), run_name="__main__")
