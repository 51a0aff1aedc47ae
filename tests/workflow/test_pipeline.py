"""The whole DAG by real Snakemake on the small scale: contents of what it makes, and what a change makes again."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from pagboost.artifacts import load_json, load_samples, load_weights
from pagboost.report import survey

from .conftest import HOSTILE, INJECTED, LEFT_OUT, ROOT

pytestmark = pytest.mark.workflow
TABLES = Path("tables", "golan2024")


def jobs(stdout: str) -> set[str]:
    """The outputs' stems that a dry run would make, by the rules' messages."""
    return set(re.findall(r"^ *Job \d+: (.*)$", stdout, flags=re.MULTILINE))  # indented: jobs of a group


def test_table_holds_what_was_measured_beside_what_is_reported(finished):
    table = pd.read_csv(finished / TABLES / "table1.csv")
    assert len(table) == 20  # every row of the paper, those that this scale lacks too
    assert set(table.loc[table["fid_train"].isna(), "unavailable"]) == {LEFT_OUT}
    rows = table[table["fid_train"].notna()].set_index(["generator", "boost"])
    boosts = ("none", "rn50_classifier_ce", "rn50_joint", "wrn_joint")
    assert set(rows.index) == {(generator, boost) for generator in ("ct1", "cd1") for boost in boosts}
    for (generator, boost), row in rows.iterrows():
        metrics = json.loads((finished / "metrics" / generator / f"boost={boost}.json").read_text())
        by_seed = [entry["fid"] for entry in metrics["protocols"]["train"]["seeds"].values()]
        assert row["n_seeds"] == len(by_seed) == 2
        assert row["fid_train"] == pytest.approx(np.mean(by_seed), abs=1e-5)
        assert row["fid_train_std"] == pytest.approx(np.std(by_seed, ddof=1), abs=1e-5)
        assert math.isnan(row["fid_train_difference"])  # digits and ImageNet, two extractors: they do not subtract
    assert rows.loc[("ct1", "none"), "fid_train_reported"] == 13.0


def test_boosting_changes_images_and_keeps_labels_and_order(finished):
    raw = load_samples(finished / "samples/ct1/boost=none/eval.npz")
    boosted = load_samples(finished / "samples/ct1/boost=rn50_joint/eval.npz")
    assert np.array_equal(raw.labels, boosted.labels)
    assert np.array_equal(raw.seeds, boosted.seeds)
    assert (raw.images != boosted.images).any(axis=(1, 2, 3)).mean() > 0.9


def test_chosen_steps_are_those_of_lowest_validation_fid(finished):
    choice = json.loads((finished / "steps/ct1/boost=rn50_joint.json").read_text())
    best = min(choice["candidates"], key=lambda entry: entry["fid"])
    assert choice["steps"] == best["steps"]
    assert choice["unboosted_fid"] > 0
    shown = pd.read_csv(finished / TABLES / "table5.csv").set_index("generator")
    wide = json.loads((finished / "steps/ct1/boost=wrn_joint.json").read_text())
    assert shown.loc["ct1", "steps"] == wide["steps"]
    assert shown.loc["ct1", "steps_reported"] == 35
    assert math.isnan(shown.loc["adm", "steps"])


def test_unlabelled_samples_are_boosted_towards_debiased_classes(finished):
    raw = load_samples(finished / "samples/sngan/boost=none/eval.npz")
    assert raw.labels is None
    plain, debiased = (
        load_samples(finished / f"samples/sngan/boost={boost}/eval.npz") for boost in ("bigroc_undebiased", "bigroc")
    )
    choice = json.loads((finished / "steps/sngan/boost=bigroc.json").read_text())
    assert choice["labels"]["rule"] == "debiased"
    assert len(choice["labels"]["shift"]) == 10
    for seed, counts in choice["labels"]["counts"].items():
        assert np.bincount(debiased.labels[raw.seeds == int(seed)], minlength=10).tolist() == counts
    assert (plain.labels != debiased.labels).any()
    assert choice["alpha"] == pytest.approx(choice["eps"] / 30)
    assert choice["scaled_eps"] == pytest.approx(2.5 * (256 / 3072) ** 0.5)
    change = debiased.images.astype(float) - raw.images
    assert np.sqrt((change**2).sum((1, 2, 3))).max() / 255 <= choice["eps"] + 0.03  # stored in grey levels


def test_the_linf_ball_is_as_wide_as_the_l2_run_says(finished):
    raw, wide, linf = (
        load_samples(finished / f"samples/cgan/boost={boost}/eval.npz").images.astype(int)
        for boost in ("none", "bigroc_wide", "bigroc_linf")
    )
    choice = json.loads((finished / "steps/cgan/boost=bigroc_linf.json").read_text())
    assert choice["norm"] == "linf"
    assert choice["eps"] == pytest.approx(np.percentile(np.abs(wide - raw), 70) / 255)
    assert np.abs(linf - raw).max() <= round(choice["eps"] * 255) + 1


def test_bigroc_tables_show_both_counts_of_samples(finished):
    table = pd.read_csv(finished / "tables/ganz2021/table1.csv").set_index(["generator", "boost"])
    row = table.loc[("cgan", "bigroc")]
    metrics = json.loads((finished / "metrics/cgan/boost=bigroc.json").read_text())["protocols"]
    assert (metrics["small"]["protocol"]["n"], metrics["train"]["protocol"]["n"]) == (20, 40)
    for protocol, reported in (("small", 23.62), ("train", 19.54)):
        assert row[f"fid_{protocol}"] == pytest.approx(metrics[protocol]["mean"]["fid"], abs=1e-5)
        assert row[f"fid_{protocol}_reported"] == reported


def test_a_further_training_adds_its_own_jobs_and_remakes_what_shows_it(run, finished, tmp_path):
    (run.folder / "again.yaml").write_text("trainings: [0, 1]\n")
    done = run("-n", "tables", over=run.folder / "again.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^(\w+) +(\d+)$", done.stdout, flags=re.MULTILINE)
    counts = {rule: int(count) for rule, count in found}
    assert counts["boost"] and counts["train_with_checkpoints"] == 1 and "data" not in counts
    assert "reference" not in counts  # they are measured by the same networks
    assert "Training cnn_a" not in done.stdout and "Training cnn_b" not in done.stdout


def test_joint_weights_carry_the_reference_level(finished):
    _, description = load_weights(finished / "weights/rn50_joint.safetensors")
    assert description["l0"] > 0
    assert description["kind"] == "joint"


def test_weights_kept_during_a_training_are_models_of_their_own(finished):
    kept, description = load_weights(finished / "weights/ddpm_at_2.safetensors")
    last, _ = load_weights(finished / "weights/ddpm.safetensors")
    assert (description["iterations"], description["checkpoint_of"]) == (2, "ddpm")
    assert any(not kept[name].equal(last[name]) for name in last)


def test_a_grid_s_cells_stand_where_the_paper_has_them(finished):
    rows = pd.read_csv(finished / "tables/kawar2023/table5.csv").set_index("generator")
    assert rows.loc["vanilla_s0_5", ["row", "column", "fid_heldout_reported"]].tolist() == ["Vanilla", "s = 0.5", 7.87]
    metrics = load_json(finished / "metrics/vanilla_s0_5/boost=none.json")["protocols"]["heldout"]["mean"]
    assert rows.loc["vanilla_s0_5", "fid_heldout"] == pytest.approx(metrics["fid"], abs=1e-5)
    shown = (finished / "tables/kawar2023/table5.md").read_text()
    assert "| Classifier | Metric | s = 0 | s = 0.0625 | s = 0.125 | s = 0.25 | s = 0.5 |" in shown


def rater(name: str, asked: survey.Survey) -> str:
    """The answers of someone who always prefers the first set, on a side of their own, as the page exports them."""
    choice = {"left": name, "choice": "left" if name == "a" else "right"}
    answers = [{"pair": i, **choice, "seconds": 1.5} for i in range(asked.pairs)]
    exported = {"survey": asked.id, "rater": name, "answers": answers, "complete": True, "version": survey.VERSION}
    return json.dumps(exported)


def test_a_survey_is_asked_and_its_table_waits_for_answers(finished, run, tmp_path):
    page, table = finished / "surveys/kawar2023/table2.html", finished / "tables/kawar2023/table2.csv"
    assert "data:image/png;base64" in page.read_text()
    assert pd.read_csv(table)["pairs_a"].isna().all()
    folder = tmp_path / HOSTILE / "kawar2023" / "table2"
    folder.mkdir(parents=True)
    answers = tmp_path / "answers.yaml"
    answers.write_text(yaml.safe_dump({"answers": str(tmp_path)}))
    asked = survey.load_survey(page)
    (folder / f"$(touch {INJECTED})x.json").write_text(rater("a", asked))  # names that browsers and people give
    (folder / "survey-1 (1).json").write_text(rater("b", asked))
    (folder / "._survey-1 (1).json").write_bytes(b"\0")  # what macOS leaves beside a file
    counted = run(table, over=answers)
    assert counted.returncode == 0, counted.stdout + counted.stderr
    assert pd.read_csv(table)[["raters", "pairs_a"]].iloc[0].tolist() == [2, asked.pairs]
    (folder / "someone.json").write_text("{}")  # a malformed answer, never a made-up one
    refused = run(table, over=answers)
    assert refused.returncode == 1
    assert "someone.json: not a rater's answers" in refused.stdout + refused.stderr
    assert run(table).returncode == 0  # without the answer the table is the paper's again
    assert pd.read_csv(table)["pairs_a"].isna().all()


def test_no_name_of_a_file_or_folder_was_run(finished, run):
    """The checkout, the working folder, results, scale and answers are all called HOSTILE."""
    assert [path for path in run.folder.parent.rglob("*") if path.name == INJECTED] == []
    assert not (ROOT / INJECTED).exists()
    assert [path.name for path in run.folder.parent.iterdir() if path.is_file()] == []


def test_claims_have_verdicts(finished):
    claims = pd.read_csv(finished / TABLES / "claims.csv")
    verdicts = set(claims["verdict"])
    assert {verdict.removesuffix(", one training") for verdict in verdicts} <= {
        *("held", "held, counted", "not held", "within noise", "not measured", "not judged: one curve"),
    }
    assert "not measured" in verdicts
    assert len(verdicts) > 1


def test_figures_and_report_can_be_looked_at(finished):
    with Image.open(finished / "figures/golan2024/figure1.png") as picture:
        assert min(picture.size) > 200
        assert np.asarray(picture.convert("L")).std() > 10
    page = (finished / "report.html").read_text()
    assert "data:image/png;base64" in page
    assert "Table 1" in page


def test_settings_that_reach_a_script_as_flags_are_remembered(finished, run):
    """A sampler, and multiples of a radius: what is made from them is made again."""

    def change(scale):
        scale["generators"]["ct1"]["sampler"]["sigmas"] = [60.0]
        scale["eps_choice"]["multiples"] = [1, 3]

    with run.changed(change):
        dry = run("all", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    found = jobs(dry.stdout + dry.stderr)
    assert {"Sampling ct1 (eval)", "Sampling ct1 (validation)", "Boosting cgan by bigroc"} <= found
    assert not {"Sampling cd1 (eval)", "Boosting cgan by bigroc_wide", "Training sngan"} & found


def test_same_seed_gives_the_same_bytes(finished, run):
    """Weights trained again, samples boosted, scored and studied again: what shows them is bit for bit as before."""
    before = {path: path.read_bytes() for path in (finished / TABLES / f"{name}.csv" for name in ("table1", "guides"))}
    remade = run(*before, "--forcerun", finished / "weights/rn50_joint.safetensors")
    assert remade.returncode == 0, remade.stderr[-3000:]
    made = {"Training rn50_joint", "Boosting ct1 by rn50_joint", "Scoring cd1, boost rn50_joint", "Study robustness"}
    assert made <= jobs(remade.stdout + remade.stderr)
    assert {path: path.read_bytes() for path in before} == before


def test_every_reported_row_of_the_digits_scale_has_its_rule():
    """The committed scale plans all tables, figures, claims and the report from nothing."""
    from .conftest import snakemake

    papers = ("golan2024", "ganz2021", "kawar2023")
    dry = snakemake("all", *papers, "--dry-run", "--config", "results=does/not/exist")
    assert dry.returncode == 0, dry.stderr
    planned = jobs(dry.stdout + dry.stderr)
    assert {"Table table5 of golan2024", "Table debiasing of ganz2021", "Survey kawar2023/table2"} <= planned
    assert "workflow specific profile" in dry.stderr  # an interrupted run goes on by itself
    assert not (ROOT / "does").exists()
