"""Base rows: what papers print of samples without boosting, beside what was measured as they did."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from pagboost.errors import InputError
from pagboost.report import base_rows

SCRIPT = Path(__file__).parents[3] / "src" / "check_base_rows.py"


def test_rows_without_boosting_whose_measurement_is_stated(alike):
    found = list(base_rows.printed(alike))
    assert [(one.protocol, one.generator, one.fid) for one in found] == [("train", "g1", 10.0), ("train", "g2", 5.0)]
    assert {one.place for one in found} == {"Table 1"} and found[0].how["n"] == 1000


def test_what_the_authors_code_printed_stands_where_the_paper_prints_nothing(alike):
    alike["tables"]["table1"]["rows"][0]["as_run"] = {"fid": 10.4}
    alike["tables"]["table1"]["rows"][2] = {"generator": "g2", "boost": "none", "as_run": {"fid": 5.1}}
    assert [one.fid for one in base_rows.printed(alike)] == [10.0, 5.1]


def test_a_number_that_two_tables_print_is_one_row(alike):
    alike["tables"]["table3"] = alike["tables"]["table1"] | {"place": "Table 3"}
    assert len(list(base_rows.printed(alike))) == 2


def test_without_a_statement_there_is_none(paper):
    assert list(base_rows.printed(paper)) == []


def test_rows_and_by_how_much_they_are_off(alike, measured):
    first, second = base_rows.rows(alike, measured.root, ["g1", "g2"])
    assert (first.measured, first.printed, first.off) == (13.0, 10.0, pytest.approx(30))
    assert first.line(2) == "OFF First: FID 13.00, made_up, Table 1, has 10.00 (+30.0 %)"
    assert second.line(30).startswith("ok  Second: FID 6.25")
    with pytest.raises(InputError, match=r"^2 of 2 base rows are off by more than 2 %: First: FID 13.00, .*, Second"):
        base_rows.check([first, second])
    base_rows.check([first, second], 31)


def test_what_was_measured_otherwise_is_not_compared(alike, results):
    results.metrics("g1", "none", [10.0], n=4)
    with pytest.raises(
        InputError, match=r"boost=none.json: train has .* 4 samples .*, expected the paper's: .* n 1000"
    ):
        base_rows.rows(alike, results.root, ["g1"])


def test_the_script_fails_and_says_each_row(alike, measured, monkeypatch, capsys, tmp_path):
    (tmp_path / "paper.json").write_text(json.dumps(alike))
    given = [
        "--paper",
        json.dumps(alike),
        "--results",
        str(measured.root),
        "--generators",
        "g1",
        "g2",
        "--threads",
        "1",
    ]
    for within, fails in (("50", False), ("26", True)):
        monkeypatch.setattr(sys, "argv", ["check_base_rows.py", *given, "--within", within])
        if fails:
            with pytest.raises(SystemExit, match="error: 1 of 2 base rows are off by more than 26 %: First"):
                runpy.run_path(str(SCRIPT), run_name="__main__")
        else:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith("OFF First" if fails else "ok  First") and said[1].startswith("ok  Second")
