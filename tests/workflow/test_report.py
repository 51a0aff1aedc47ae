"""What a finished run says of itself: Snakemake's own report, and the provenance of every file."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import zipfile

import pytest

from pagboost.artifacts import load_json, load_weights

pytestmark = pytest.mark.workflow
PAPERS = {"Golan et al., NeurIPS 2024", "Ganz et al., TMLR 2022", "Kawar et al., TMLR 2023"}


def variable(page: str, name: str) -> dict:
    """A JavaScript variable of Snakemake's report."""
    return json.loads(re.search(rf"var {name} = (\{{.*?\}});?\s*\n", page, flags=re.DOTALL)[1])


@pytest.fixture(scope="module")
def report(finished, run, tmp_path_factory):
    """(page, names of files) of the report of the finished run."""
    file = run.folder / "report.zip"
    done = run("all", "--report", file)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    with zipfile.ZipFile(file) as archive:
        page = archive.read("report/report.html").decode()
        names = archive.namelist()
    file.unlink()
    return page, names


def test_tables_claims_figures_and_surveys_stand_under_their_papers(report, finished):
    page, names = report
    categories = variable(page, "categories")
    assert set(categories) == PAPERS | {"All papers"}
    for paper in PAPERS:
        assert set(categories[paper]) >= {"Tables", "Claims", "Figures"}
    assert "Surveys" in categories["Kawar et al., TMLR 2023"]
    held = {name.rpartition("/")[2] for name in names}
    assert {path.name for path in (finished / "figures").rglob("*.png")} <= held
    assert {path.name for path in (finished / "tables").rglob("*.csv")} <= held
    assert {"report.html", "provenance.csv", "claims.md"} <= held


def test_captions_say_what_the_paper_calls_it(report):
    results = variable(report[0], "results")
    table = next(entry for name, entry in results.items() if name.endswith("golan2024/table5.md"))
    assert table["labels"]["where"] == "Table 5, App. D"
    assert "Steps and step size of boosting" in table["caption"]
    assert "system-message" not in report[0]


@pytest.fixture(scope="module")
def rows(finished):
    with open(finished / "provenance.csv", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_every_artefact_has_its_row(finished, rows):
    kinds = ("data", "weights", "samples", "steps", "metrics", "references", "studies", "tables", "figures", "surveys")
    files = [path for kind in kinds for path in (finished / kind).rglob("*") if path.is_file()]
    assert {path.relative_to(finished).as_posix() for path in files} | {"report.html"} == set(rows)
    for row in rows.values():
        assert row["as_planned"] == "yes"
        assert row["code"] and row["settings"] and row["rule"] and row["device"] == "cpu"
        assert "torch " in row["packages"] and float(row["seconds"]) > 0
    weights = rows["weights/rn50_joint.safetensors"]
    assert weights["sha256"] == hashlib.sha256((finished / weights["file"]).read_bytes()).hexdigest()
    assert weights["training"] == str(load_weights(finished / weights["file"])[1]["seed"])
    assert rows["samples/ct1/boost=rn50_joint/eval.npz"]["seeds"] == "0 1"
    stated = load_json(finished / "metrics/ct1/boost=none.json")["provenance"]["versions"]
    assert all(
        f"{name} {version}" in rows["metrics/ct1/boost=none.json"]["packages"] for name, version in stated.items()
    )


def test_tables_name_the_runs_they_were_made_from(finished, rows):
    line = (finished / "tables/golan2024/table5.md").read_text().splitlines()[-1]
    made_from = rows["tables/golan2024/table5.md"]["made_from"]
    assert line.startswith("Made from ") and f"made_from {made_from[:12]} " in line
