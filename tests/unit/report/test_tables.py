from __future__ import annotations

import pandas as pd
import pytest

from pagboost.errors import InputError
from pagboost.options.reading import read
from pagboost.options.tables import ReportedEps
from pagboost.report import render, reported, tables
from pagboost.report.sheets import sheet


def test_measured_beside_reported(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {}, {"g1": 2})
    base, good = frame.iloc[0], frame.iloc[1]
    assert (base["label"], good["label"]) == ("First", "First + Good")
    assert (base["nfe"], base["nfe_reported"], base["n_seeds"]) == (2, 1, 2)
    assert (base["fid_train"], base["fid_train_reported"]) == (13.0, 10.0)
    assert base["fid_train_std"] == pytest.approx(2**0.5)
    assert base["fid_heldout"] == 21.0
    assert good["note"] == "A remark."
    assert "reference heldout" in base["protocol_heldout"]


def test_improvements_are_computed_from_the_rows(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {}, {})
    assert frame["fid_train_improvement_percent"][1] == pytest.approx(100 * (13 - 9.5) / 13)
    assert frame["fid_train_improvement_percent_reported"][1] == pytest.approx(20)
    assert frame["fid_train_improvement_percent"].isna().tolist() == [True, False, True, False]
    assert pd.isna(frame["fid_train_improvement_percent_reported"][3])  # the paper has no number there


def test_numbers_measured_otherwise_have_no_difference_but_its_column(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {}, {})
    assert frame["fid_train_difference"].isna().all() and frame["precision_train_difference"].isna().all()
    assert "fid_heldout_difference" not in frame  # nothing is printed there


def test_numbers_measured_as_in_the_paper_have_a_difference(alike, measured):
    frame = tables.table(alike, "table1", measured.root, {}, {})
    assert frame["fid_train_difference"].tolist()[:3] == [3.0, 1.5, 1.25]
    assert pd.isna(frame["fid_train_difference"][3])  # the paper has no number there
    assert frame["precision_train_difference"].isna().all()  # a metric that was measured otherwise
    absent = tables.table(alike, "table1", measured.root, {"train": "no data"}, {})
    assert absent["fid_train_difference"].isna().all()


@pytest.mark.parametrize(
    "other", [{"n": 999}, {"extractor": "cnn_b"}, {"reference_n": 1098}, {"reference": "test"}, {"input_size": 299}]
)
def test_any_other_fact_leaves_no_difference(alike, results, other):
    """Another count, extractor, data set or part of it: no number of the two subtracts."""
    for cell in [("g1", "none"), ("g1", "good"), ("g2", "none"), ("g2", "good")]:
        results.metrics(*cell, [5.0, 6.0], **other)
    frame = tables.table(alike, "table1", results.root, {}, {})
    assert frame["fid_train_difference"].isna().all()


def test_what_was_run_stands_beside_what_is_reported(alike, measured):
    """The difference is to the number of the authors' code, where there is one."""
    rows = alike["tables"]["table1"]["rows"]
    rows[0]["as_run"], rows[3]["as_run"] = {"fid": 10.126}, {"fid": 5.0}
    frame = tables.table(alike, "table1", measured.root, {}, {})
    assert frame["fid_train_as_run"].tolist()[::3] == [10.126, 5.0] and frame["fid_train_as_run"].isna().sum() == 2
    assert frame["fid_train_difference"].tolist() == pytest.approx([2.874, 1.5, 1.25, 0.225])
    shown = sheet(alike["tables"]["table1"], alike).people(frame)
    assert any("13.00 ± 1.41 (10.00; as run 10.126; +2.87)" in cell for cell in shown.rows[0])
    assert "As run: what the authors' code printed" in " ".join(shown.shared.values())


def test_a_table_may_say_how_its_own_numbers_were_measured(alike, measured):
    alike["tables"]["table1"]["measured_as"] = {"train": {**alike["measured_as"]["train"], "statistics": "openai"}}
    assert tables.table(alike, "table1", measured.root, {}, {})["fid_train_difference"].isna().all()
    for cell in [("g1", "none"), ("g1", "good"), ("g2", "none"), ("g2", "good")]:
        measured.metrics(*cell, [13.0, 13.0], statistics="openai", resize="tensorflow")
    frame = tables.table(alike, "table1", measured.root, {}, {})
    assert frame["fid_train_difference"].tolist()[0] == 3.0
    assert frame["protocol_train"][0].endswith("TensorFlow's resize, statistics of the reference's full set")


def test_improvements_over_a_base_that_the_table_declares(paper, measured):
    table = paper["tables"]["table1"]
    table["base"] = {"generator": "g2", "boost": "none"}
    frame = tables.table(paper, "table1", measured.root, {}, {})
    assert frame["fid_train_improvement_percent"].tolist()[:2] == pytest.approx([-108, -52])
    assert frame["fid_train_improvement_percent_reported"].tolist()[:2] == pytest.approx([-100, -60])
    assert frame[["fid_train_improvement_percent", "fid_train_improvement_percent_reported"]].iloc[2].isna().all()
    paper["tables"]["elsewhere"] = table | {"rows": table["rows"][:2]}
    elsewhere = tables.table(paper, "elsewhere", measured.root, {}, {})
    assert elsewhere["fid_train_improvement_percent"].tolist() == pytest.approx([-108, -52])
    assert elsewhere["fid_train_improvement_percent_reported"].tolist() == pytest.approx([-100, -60])
    absent = tables.table(paper, "elsewhere", measured.root, {"g2": "no data"}, {})
    assert absent["fid_train_improvement_percent"].isna().all()


def test_numbers_of_another_protocol_with_deviation_and_printed_percentage(paper, measured):
    rows = paper["tables"]["table1"]["rows"]
    rows[0]["reported"] = {"fid": {"heldout": [30.0, 0.5], "train": 10.0}}
    rows[1] |= {"reported": {"fid": {"heldout": [24.0, 0.25]}}, "printed_percent": {"fid": {"heldout": 25.0}}}
    frame = tables.table(paper, "table1", measured.root, {}, {})
    good = frame.iloc[1]
    assert (good["fid_heldout_reported"], good["fid_heldout_reported_std"]) == (24.0, 0.25)
    assert good["fid_heldout_improvement_percent_reported"] == pytest.approx(20)
    assert good["fid_heldout_printed_percent"] == 25
    assert good["note"] == (
        "A remark. The paper prints an improvement of 25.00 % in FID (heldout); its own numbers, 30.00 and 24.00, give "
        "20.00 %."
    )
    assert pd.isna(good["fid_train_reported"])
    assert "fid_train_printed_percent" not in frame


def test_improvement_of_a_metric_that_should_be_high(paper, measured):
    paper["tables"]["table1"]["columns"].append({"metric": "inception_score", "protocol": "train", "improvement": True})
    frame = tables.table(paper, "table1", measured.root, {}, {})
    assert frame["inception_score_train_improvement_percent"][1] == pytest.approx(100 * (9.05 - 8.7) / 8.7)


def test_an_unavailable_row_stays_with_its_reason(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {"g2": "no data"}, {})
    assert frame["generator"].tolist() == ["g1", "g1", "g2", "g2"]
    assert frame["unavailable"].tolist() == ["", "", "no data", "no data"]
    assert frame["fid_train"].isna().tolist() == [False, False, True, True]
    assert frame["fid_train_reported"][2] == 5.0


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
    assert (row["steps"], row["steps_reported"], row["alpha"], row["alpha_reported"]) == (8, 35, 0.2, 0.1)
    empty = tables.table(paper, "table2", measured.root, {"good": "no time"}, {}).iloc[0]
    assert pd.isna(empty["steps"])
    assert empty["steps_reported"] == 35


def test_radius_beside_reported(paper, measured):
    rows = [{"generator": "g1", "boost": "good", "reported": {"eps": 5}}, {"generator": "g2", "boost": "good"}]
    paper["tables"]["eps"] = {"kind": "eps", "title": "eps", "place": "Table 3", "rows": rows}
    for generator in ("g1", "g2"):
        measured.labels(generator, "good", {"0": [1, 1]})
    frame = tables.table(paper, "eps", measured.root, {"g2": "no data"}, {})
    row = frame.iloc[0]
    assert (row["eps_reported"], row["eps_scaled"], row["eps"], row["eps_multiple"]) == (5, 0.3, 0.6, 2)
    assert frame["eps"].isna().tolist() == [False, True]
    paper["tables"]["eps"]["rows"][0]["reported"] = {"eps": 4}
    with pytest.raises(
        InputError, match=r"good\.json: published_eps 5\.0, but the paper's for g1 on \[0, 1\] is 4: expected the same"
    ):
        tables.table(paper, "eps", measured.root, {}, {})
    measured.steps("g1", "good", 8, 0.2)
    with pytest.raises(InputError, match=r"good\.json: expected eps, published_eps and scaled_eps"):
        tables.table(paper, "eps", measured.root, {}, {})


def test_a_radius_says_of_which_images_it_is_one(paper, measured):
    """Printed and run on [-1, 1], where the same change is twice as long: what boosting starts from is half of it."""
    rows = [
        {"generator": "g1", "boost": "good", "reported": {"eps": 10, "scale": [-1, 1]}, "as_run": {"eps": 6}},
        {"generator": "g2", "boost": "good", "as_run": {"eps": 10, "scale": [-1, 1]}},
    ]
    paper["tables"]["eps"] = {"kind": "eps", "title": "eps", "place": "Table 3", "rows": rows}
    for generator in ("g1", "g2"):
        measured.labels(generator, "good", {"0": [1, 1]})
    frame = tables.table(paper, "eps", measured.root, {}, {})
    assert frame["eps_published"].tolist() == [5, 5]
    assert frame.loc[0, ["eps_reported", "eps_reported_low", "eps_reported_high"]].tolist() == [10, -1, 1]
    assert frame.loc[0, ["eps_as_run", "eps_as_run_low", "eps_as_run_high"]].tolist() == [6, 0, 1]
    shown = sheet(paper["tables"]["eps"], paper).people(frame)
    assert shown.header[1:4] == ["eps (reported)", "As run by the authors", "On [0, 1]"]
    assert [row[1:4] for row in shown.rows] == [
        ["10.00 on [-1, 1]", "6.00 on [0, 1]", "5.00"],
        ["", "10.00 on [-1, 1]", "5.00"],
    ]
    rows[1]["as_run"] = {"eps": 8, "scale": [-1, 1]}
    with pytest.raises(InputError, match=r"published_eps 5\.0, but the authors' for g2 on \[0, 1\] is 4: expected"):
        tables.table(paper, "eps", measured.root, {}, {})


def test_the_scale_of_a_radius_is_a_range():
    for scale in ([1, -1], [0, 0]):
        with pytest.raises(InputError, match=r"reported\.scale: \[.*\], expected the darkest value below"):
            read(ReportedEps, {"eps": 5, "scale": scale}, "reported")


def test_label_shares_by_seed(paper, measured):
    paper["tables"]["labels"] = {"kind": "labels", "title": "Labels", "place": "Fig. 3",
                                 "rows": [{"generator": "g1", "boost": "good"}]}  # fmt: skip
    measured.labels("g1", "good", {"0": [8, 1, 1, 0], "1": [2, 2, 3, 3]})
    row = tables.table(paper, "labels", measured.root, {}, {}).iloc[0]
    assert (row["rule"], row["n_seeds"], row["n"]) == ("argmax", 2, 20)
    assert (row["share_0"], row["smallest_share"], row["largest_share"]) == pytest.approx((0.5, 0.1, 0.55))
    assert row["total_variation"] == pytest.approx((0.55 + 0.1) / 2)  # (.55+.15+.15+.25)/2 and .05 twice up, twice down
    assert row["total_variation_std"] == pytest.approx(0.45 / 2**0.5)
    empty = tables.table(paper, "labels", measured.root, {"good": "no time"}, {}).iloc[0]
    assert empty["unavailable"] == "no time"


def test_a_grid_stays_one_row_per_cell_and_says_where_it_stands(grid, results):
    frame = tables.table(grid, "grid", results.root, {"g2": "too large"}, {})
    assert frame["row"].tolist() == ["First", "First", "Second", "Second"]
    assert frame["column"].tolist() == ["0", "0.5", "0", "1.0"]
    assert frame["generator"].tolist() == ["g0", "g1", "g0", "g2"]
    assert frame["fid_train"].tolist()[:3] == [8, 6, 8]
    assert frame["fid_train_reported"].tolist()[::2] == [7.5, 7.0]  # each row its own, though of one generator
    assert frame["unavailable"].tolist() == ["", "", "", "too large"]


def test_labels_of_a_grid_stay_text_in_csv(grid, results, tmp_path):
    frame = tables.table(grid, "grid", results.root, {}, {})
    tables.save(frame, tmp_path / "t.csv")
    assert tables.load(tmp_path / "t.csv")["column"].tolist() == ["0", "0.5", "0", "1.0"]


def test_a_table_that_names_no_kind_is_one_of_metrics(paper, measured):
    named = tables.table(paper, "table1", measured.root, {}, {})
    shown = render.people(named, paper["tables"]["table1"], paper)
    del paper["tables"]["table1"]["kind"]
    assert tables.table(paper, "table1", measured.root, {}, {}).equals(named)
    assert render.people(named, paper["tables"]["table1"], paper) == shown
    assert reported.numbers(paper)


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
