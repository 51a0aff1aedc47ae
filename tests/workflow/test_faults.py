"""After a failure, a loss or an edit, the same command makes what is missing, and never shows what is old."""

from __future__ import annotations

import csv
import shutil

import pytest
import torch

from pagboost.artifacts import load_json

from .conftest import Workplace
from .test_pipeline import jobs

pytestmark = pytest.mark.workflow
TABLE = "tables/golan2024/table2.csv"
BOOST = "rn50_joint_bce"  # shown for ct1 and cd1 in Table 2
DONE = "Nothing to be done"


@pytest.fixture
def work(finished, run, tmp_path) -> Workplace:
    """A copy of the finished run, with its times and Snakemake's memory: nothing is to be done in it."""
    return run.copy(tmp_path / "work")


def said(done) -> str:
    return done.stdout + done.stderr


def alpha(value: float):
    return lambda scale: scale["boosts"][BOOST].update(alpha=value)


def shown_is_measured(work: Workplace) -> None:
    """Table 2 shows the metrics that lie there."""
    with (work.results / TABLE).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["boost"] == BOOST and row["fid_train"]]
    assert [row["generator"] for row in rows] == ["ct1", "cd1"]
    for row in rows:
        metrics = load_json(work.results / "metrics" / row["generator"] / f"boost={BOOST}.json")
        assert float(row["fid_train"]) == pytest.approx(metrics["protocols"]["train"]["mean"]["fid"], abs=1e-5)


def test_a_failed_job_is_remembered_until_it_was_done(work):
    """Twice it fails, asked for by its own file and by a table's, the second time while the others go on; no table
    shows the old boost's numbers beside the new."""
    cell = work.results / f"metrics/cd1/boost={BOOST}.json"
    before = (work.results / TABLE).read_bytes()
    with work.changed(alpha(0.3)):
        for arguments in ([cell], [work.results / TABLE, "--keep-going"]):
            failed = work(*arguments, kill="boost.py cd1")
            assert failed.returncode == 1
            assert not (work.results / TABLE).exists() or (work.results / TABLE).read_bytes() == before
        done = work(cell)
        assert done.returncode == 0, said(done)
        assert load_json(work.results / f"steps/cd1/boost={BOOST}.json")["alpha"] == pytest.approx(0.3)
        shown = work("tables")
        assert shown.returncode == 0, said(shown)
        shown_is_measured(work)
        assert (work.results / TABLE).read_bytes() != before
        assert DONE in said(work("tables"))


@pytest.mark.parametrize(
    ("lost", "asked"),
    [("weights/rn50_joint.safetensors", "tables"), (f"metrics/ct1/boost={BOOST}.json", TABLE)],
)
def test_what_was_deleted_is_made_again_with_all_that_is_made_from_it(work, lost, asked):
    (work.results / lost).unlink()
    target = asked if asked == "tables" else work.results / asked
    planned = jobs(said(work(target, "--dry-run")))
    assert {f"Scoring ct1, boost {BOOST}", "Table table2 of golan2024"} <= planned
    assert ("Training rn50_joint" in planned) == lost.startswith("weights")
    assert "Training wrn_joint" not in planned


def test_what_was_deleted_is_made_once(work):
    """To ask for a file is enough, and to ask again does nothing."""
    (work.results / "samples/ct1/boost=none/eval.npz").unlink()
    cell = work.results / f"metrics/ct1/boost={BOOST}.json"
    before = cell.read_bytes()
    done = work(cell)
    assert done.returncode == 0, said(done)
    assert {"Sampling ct1 (eval)", f"Scoring ct1, boost {BOOST}"} <= jobs(said(done))
    assert not [job for job in jobs(said(done)) if job.startswith("Training")]
    assert cell.read_bytes() == before
    assert DONE in said(work(cell))


def test_what_was_damaged_is_noticed_and_made_again_once_it_is_deleted(work):
    """A truncated weights file, as a full disk leaves it."""
    weights, cell = work.results / "weights/rn50_joint.safetensors", work.results / f"metrics/ct1/boost={BOOST}.json"
    weights.write_bytes(weights.read_bytes()[:-1000])
    failed = work(cell)
    assert failed.returncode == 1
    assert "rn50_joint.safetensors: not readable as weights" in said(failed)
    assert work(cell).returncode == 1
    weights.unlink()
    planned = jobs(said(work(work.results / TABLE, "--dry-run")))
    assert {"Training rn50_joint", f"Boosting ct1 by {BOOST}", "Table table2 of golan2024"} <= planned


def test_an_edited_number_never_reaches_a_table(work):
    path = work.results / f"metrics/ct1/boost={BOOST}.json"
    path.write_text(path.read_text().replace('"fid": ', '"fid": 1', 1))
    failed = work(work.results / TABLE)
    assert failed.returncode == 1
    assert f"boost={BOOST}.json: was changed or damaged after it was written" in said(failed)


def test_edited_code_remakes_what_it_makes_and_touch_keeps_it(work, tmp_path):
    """In a working folder and a checkout that were both moved, with their times: that alone remakes nothing."""
    work.root = shutil.copytree(work.root, tmp_path / "checkout", symlinks=True)
    assert DONE in said(work("tables"))
    script = work.root / "src" / "boost.py"
    script.write_text(script.read_text() + "# another line\n")
    table = work.results / TABLE
    planned = jobs(said(work(table, "--dry-run")))
    assert {f"Boosting ct1 by {BOOST}", f"Scoring ct1, boost {BOOST}", "Table table2 of golan2024"} <= planned
    assert not [job for job in planned if job.startswith(("Training", "Sampling"))]
    assert work(table, "--touch").returncode == 0
    assert DONE in said(work(table))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to take")
def test_a_job_that_declares_a_gpu_takes_one_and_no_other_does(work):
    """On a machine that pretends to have one: the whole run, which declares none, never asked for it."""
    with work.changed(lambda scale: scale["jobs"]["reference"].update(gpu=1)):
        taken = work(work.results / "references/digits16/cross.npz", PAGBOOST_WARM="off")
    assert taken.returncode == 1
    assert "--device auto" in said(taken)
    assert "NVIDIA" in said(taken) or "CUDA" in said(taken)
