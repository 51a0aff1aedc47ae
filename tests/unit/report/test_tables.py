from __future__ import annotations

import pandas as pd
import pytest

from pagboost.errors import InputError
from pagboost.report import tables


def test_measured_beside_reported(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {}, {"g1": 2})
    base, good = frame.iloc[0], frame.iloc[1]
    assert (base["label"], good["label"]) == ("First", "First + Good")
    assert (base["nfe"], base["nfe_reported"], base["n_seeds"]) == (2, 1, 2)
    assert (base["fid_train"], base["fid_reported"], base["fid_difference"]) == (13.0, 10.0, 3.0)
    assert base["fid_train_std"] == pytest.approx(2**0.5)
    assert base["fid_heldout"] == 21.0
    assert good["note"] == "A remark."
    assert "reference heldout" in base["protocol_heldout"]


def test_improvements_are_computed_from_the_rows(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {}, {})
    assert frame["fid_train_improvement_percent"][1] == pytest.approx(100 * (13 - 9.5) / 13)
    assert frame["fid_reported_improvement_percent"][1] == pytest.approx(20)
    assert frame["fid_train_improvement_percent"].isna().tolist() == [True, False, True, False]
    assert pd.isna(frame["fid_reported_improvement_percent"][3])  # the paper has no number there


def test_improvement_of_nothing():
    assert tables.improvement(None, 1.0) is None
    assert tables.improvement(0.0, 1.0) is None
    assert tables.improvement(4.0, 5.0) == -25


def test_an_unavailable_row_stays_with_its_reason(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {"g2": "no data"}, {})
    assert frame["generator"].tolist() == ["g1", "g1", "g2", "g2"]
    assert frame["unavailable"].tolist() == ["", "", "no data", "no data"]
    assert frame["fid_train"].isna().tolist() == [False, False, True, True]
    assert frame["fid_reported"][2] == 5.0


def test_an_unavailable_protocol_empties_its_column_and_says_why(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {"heldout": "no second split"}, {})
    assert frame["fid_heldout"].isna().all()
    assert (frame["protocol_heldout"] == "not available: no second split").all()
    assert frame["fid_train"].notna().all()


def test_a_table_without_any_measured_row(paper, results):
    frame = tables.table(paper, "table1", results.root, {"g1": "a", "g2": "b"}, {})
    assert len(frame) == 4
    assert (frame["protocol_train"] == "nothing measured").all()


def test_mixed_protocols_are_refused(paper, measured):
    measured.metrics("g2", "good", [5.0, 5.5], n=500)
    with pytest.raises(InputError, match=r"g2/boost=good\.json: train measured with n 500, but .*g1/boost=none\.json"):
        tables.table(paper, "table1", measured.root, {}, {})


def test_a_fact_that_may_differ_is_shown(paper, measured):
    measured.metrics("g2", "good", [5.0, 5.5], n=500)
    paper["tables"]["table1"]["per_row"] = ["n"]
    frame = tables.table(paper, "table1", measured.root, {}, {})
    assert frame["n"].tolist() == [1000, 1000, 1000, 500]
    assert "samples per seed" not in frame["protocol_train"][0]


def test_steps_beside_reported(paper, measured):
    row = tables.table(paper, "table2", measured.root, {}, {}).iloc[0]
    assert (row["steps"], row["steps_reported"], row["steps_difference"]) == (8, 35, -27)
    assert row["alpha_difference"] == pytest.approx(0.1)
    empty = tables.table(paper, "table2", measured.root, {"good": "no time"}, {}).iloc[0]
    assert pd.isna(empty["steps"])
    assert empty["steps_reported"] == 35


def test_an_unknown_table_is_refused(paper, measured):
    with pytest.raises(InputError, match="no table table9 in made_up, expected one of: table1, table2"):
        tables.table(paper, "table9", measured.root, {}, {})


@pytest.mark.parametrize("name", ["table1", "table2"])
def test_csv_is_bit_identical_and_reads_back(paper, measured, tmp_path, name):
    frame = tables.table(paper, name, measured.root, {"g2/good": "no time"}, {"g1": 2})
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    tables.save(frame, first)
    tables.save(tables.table(paper, name, measured.root, {"g2/good": "no time"}, {"g1": 2}), second)
    assert first.read_bytes() == second.read_bytes()
    assert b"\r" not in first.read_bytes()
    again = tables.load(first)
    assert list(again) == list(frame)
    assert again["unavailable"].tolist() == frame["unavailable"].tolist()
    assert again["boost"].tolist() == frame["boost"].tolist()
    tables.save(again, second)
    assert tables.load(second).equals(again)


def test_a_missing_csv_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        tables.load(tmp_path / "none.csv")
