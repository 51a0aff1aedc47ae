"""The scripts that make tables, figures, claims and the page, run as a workflow runs them."""

from __future__ import annotations

import itertools
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pagboost.report.cells import claims_file, figure_file, table_file

SOURCE = Path(__file__).parents[3] / "src"


@pytest.fixture
def script(monkeypatch):
    """script("make_table", "--table", …) runs src/make_table.py in this process."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, "--threads", "1", *map(str, arguments)])
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            monkeypatch.setenv(variable, "1")
        runpy.run_path(str(SOURCE / f"{name}.py"), run_name="__main__")

    return run


def test_from_metrics_to_page(paper, measured, script, tmp_path):
    for boost in ("none", "good"):
        measured.samples("g1", boost, np.zeros((2, 8, 8, 1), np.uint8), [0, 1])
    common = ["--paper", json.dumps(paper), "--results", measured.root, "--unavailable", '{"g2": "no data"}']
    for name in paper["tables"]:
        outputs = [
            text
            for extension in ("csv", "md", "tex")
            for text in (f"--out-{extension}", table_file(measured.root, "made_up", name, extension))
        ]
        script("make_table", *common, "--table", name, "--nfe", '{"g1": 2}', *outputs)
    script("make_figure", *common, "--figure", "figure1", "--out", figure_file(measured.root, "made_up", "figure1"))
    verdicts = claims_file(measured.root, "made_up")
    script("make_claims", *common, "--out-csv", verdicts, "--out-md", verdicts.with_suffix(".md"))
    script("make_report", *common, "--out", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "results at the scale results" in text
    assert "Second: Boosting helps" in text and "no data" in text
    assert r"\pm" in table_file(measured.root, "made_up", "table1", "tex").read_text(encoding="utf-8")


def test_what_a_scale_leaves_out_is_neither_read_nor_published(paper, measured, script, tmp_path):
    """Of g2, which the scale has not, there are no metrics. As JSON, and as a scale's file says it over its base."""
    for path in measured.root.glob("metrics/g2/*.json"):
        path.unlink()
    paper["figures"] = {}
    kept = [name for name in paper["tables"] if name != "table1"]
    gone = {"because": "no time", "tables": ["table1"], "claims": [c["id"] for c in paper["claims"]]}
    (tmp_path / "base.yaml").write_text(f"without: {json.dumps({'made_up': gone})}\n")
    (tmp_path / "mine.yaml").write_text(f"base: {tmp_path / 'base.yaml'}\n")
    common = ["--paper", json.dumps(paper), "--results", measured.root]
    for name in kept:
        files = [table_file(measured.root, "made_up", name, extension) for extension in ("csv", "md", "tex")]
        outputs = zip(("--out-csv", "--out-md", "--out-tex"), files, strict=True)
        script("make_table", *common, "--table", name, *itertools.chain.from_iterable(outputs))
    sides = {"lower": {"generator": "g1", "boost": "good"}, "than": {"generator": "g1", "boost": "none"}}
    paper["claims"].append({"id": "own", "text": "Kept", "source": "Table 1", "metric": "fid", **sides})
    common[1] = json.dumps(paper)
    verdicts = claims_file(measured.root, "made_up")
    as_json = [*common, "--without", json.dumps({"made_up": gone})]
    script("make_claims", *as_json, "--out-csv", verdicts, "--out-md", verdicts.with_suffix(".md"))
    script("make_report", *as_json, "--out", tmp_path / "report.html")
    assert pd.read_csv(verdicts)["id"].tolist() == ["own"]
    assert "Left out at this scale: tables table1; claims helps" in (tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    script("publish", *common, "--without", tmp_path / "mine.yaml", "--out", tmp_path / "published")
    assert json.loads((tmp_path / "published" / "provenance.json").read_text())["sample sets scored"] == "0"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ('{"made_up": {"tables": ["table1"]}}', "without.made_up.because: missing key"),
        ('{"made_up": {"because": "x", "table": []}}', "without.made_up.table: unknown key (did you mean tables?)"),
        ("none.yaml", "none.yaml: no such file"),
    ],
)
def test_what_is_left_out_is_checked(paper, measured, script, capsys, value, named):
    with pytest.raises(SystemExit):
        script("make_claims", "--paper", json.dumps(paper), "--results", measured.root, "--without", value)
    assert named in capsys.readouterr().err


def test_two_trainings_end_to_end(paper, measured, script, tmp_path):
    """Boosting lowers g1's FID by 3 or 4 in one training and by the same in another, g2's in the first alone."""
    other = measured.training(7)
    for generator, boost, fids in (
        ("g1", "none", [12.0, 14.0]),
        ("g1", "good", [9.0, 10.0]),
        ("g2", "none", [6.0, 6.5]),
        ("g2", "good", [7.0, 7.0]),
    ):
        other.metrics(generator, boost, fids)
    paper["figures"] = {}
    common = ["--paper", json.dumps(paper), "--results", measured.root, "--trainings", "0", "7"]
    for name in paper["tables"]:
        files = [table_file(measured.root, "made_up", name, extension) for extension in ("csv", "md", "tex")]
        outputs = zip(("--out-csv", "--out-md", "--out-tex"), files, strict=True)
        script("make_table", *common, "--table", name, *itertools.chain.from_iterable(outputs))
    verdicts = claims_file(measured.root, "made_up")
    script("make_claims", *common, "--out-csv", verdicts, "--out-md", verdicts.with_suffix(".md"))
    script("make_report", *common, "--out", tmp_path / "report.html")
    frame = pd.read_csv(verdicts).set_index("id")
    assert frame["trainings"].tolist() == [2] * 4
    assert frame.loc[["helps/g1", "helps/g2"], "verdict"].tolist() == ["held", "within noise"]
    assert pd.read_csv(table_file(measured.root, "made_up", "table1"))["n_trainings"].tolist() == [2] * 4
    assert "over 2 trainings" in verdicts.with_suffix(".md").read_text(encoding="utf-8")
    assert "over 2 trainings" in table_file(measured.root, "made_up", "table1", "md").read_text(encoding="utf-8")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Claims (train; over 2 trainings):" in text and "one training" not in text


def test_bad_input_is_one_line(paper, measured, script):
    (measured.root / "metrics" / "g1" / "boost=none.json").unlink()
    outputs = [text for name in ("csv", "md", "tex") for text in (f"--out-{name}", measured.root / name)]
    with pytest.raises(SystemExit, match=r"^error: .*boost=none\.json: no such file"):
        script("make_table", "--paper", json.dumps(paper), "--table", "table1", "--results", measured.root, *outputs)
    assert not (measured.root / "csv").exists()


def test_reporting_needs_no_torch():
    code = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(f'pagboost.report.{name}')\n"
    code += "print('torch' in sys.modules, 'scipy.stats' in sys.modules)"
    command = [sys.executable, "-c", code, "tables", "render", "claims", "figures", "page", "survey"]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == "False False"
