"""The scripts that make tables, figures, claims and the page, run as a workflow runs them."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
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


def test_bad_input_is_one_line(paper, measured, script):
    (measured.root / "metrics" / "g1" / "boost=none.json").unlink()
    outputs = [text for name in ("csv", "md", "tex") for text in (f"--out-{name}", measured.root / name)]
    with pytest.raises(SystemExit, match=r"^error: .*boost=none\.json: no such file"):
        script("make_table", "--paper", json.dumps(paper), "--table", "table1", "--results", measured.root, *outputs)
    assert not (measured.root / "csv").exists()


@pytest.mark.parametrize("module", ["tables", "render", "claims", "figures", "page"])
def test_reporting_needs_no_torch(module):
    code = f"import sys, pagboost.report.{module}; print('torch' in sys.modules, 'scipy.stats' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == "False False"
