"""What runs are noted with, and which of them a job was of."""

from __future__ import annotations

import subprocess

from pagboost.machine import warm
from pagboost.planning import runs


def test_each_run_is_a_line(tmp_path, monkeypatch):
    monkeypatch.delenv(warm.VARIABLE, raising=False)
    runs.note(tmp_path, tmp_path)
    monkeypatch.setenv(warm.VARIABLE, '["address", "python"]')
    runs.note(tmp_path, tmp_path)
    first, second = runs.noted(tmp_path)
    assert (first["warm"], second["warm"]) == (False, True)
    assert {"python", "numpy", "torch", "snakemake"} <= first["packages"].keys()
    assert first["code"] == ""
    assert "CPUs" in first["machine"]


def test_of_a_run_that_only_touches_nothing_more_is_known(tmp_path):
    runs.note(tmp_path, tmp_path, touched=True)
    (run,) = runs.noted(tmp_path)
    assert run == {"started": run["started"], "touched": True}


def test_a_damaged_line_hides_no_other(tmp_path):
    file = runs.file_of(tmp_path)
    file.parent.mkdir()
    file.write_text('{"started": 5}\n{"star\n[]\n{"started": "x"}\n{"started": 1, "code": "a"}\n')
    assert [run["started"] for run in runs.noted(tmp_path)] == [1, 5]
    assert runs.noted(tmp_path / "elsewhere") == []


def test_a_job_is_of_the_last_run_before_it():
    known = [{"started": 1.0}, {"started": 5.0}]
    assert runs.run_of(known, 4.9) == {"started": 1.0}
    assert runs.run_of(known, 5.0) == {"started": 5.0}
    assert runs.run_of(known, 0.5) == {}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "logs").write_text("a file")
    runs.note(tmp_path, tmp_path)
    assert runs.noted(tmp_path) == []


def test_the_commit_says_whether_files_differ_from_it(tmp_path):
    def git(*arguments: str) -> None:
        own = ["-c", "user.name=x", "-c", "user.email=x@y", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *own, "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    clean = runs.commit(tmp_path)
    assert len(clean) == 12
    (tmp_path / "file").write_text("two")
    assert runs.commit(tmp_path) == f"{clean}-dirty"
    (tmp_path / "inside").mkdir()
    assert runs.commit(tmp_path / "inside") == ""  # a checkout in somebody else's repository
