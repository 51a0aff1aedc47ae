from __future__ import annotations

import pytest

from pagboost.report import claims, columns, render, tables


@pytest.fixture
def rendered(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {"g2": "no data"}, {"g1": 2})
    return render.people(frame, paper["tables"]["table1"], paper)


@pytest.mark.parametrize(
    ("value", "decimals", "sign", "text"),
    [(1.005, 1, "", "1.0"), (-0.001, 2, "+", "+0.00"), (-0.001, 2, "", "0.00"), (2.0, 0, "+", "+2"), (None, 2, "", "")],
)
def test_numbers_in_fixed_notation(value, decimals, sign, text):
    assert columns.number(value, decimals, sign) == text
    assert columns.number(float("nan"), decimals, sign) == ""


def test_cells_say_measured_spread_and_reported(rendered):
    assert rendered.header == [
        "",
        "NFE (reported)",
        "FID (train)",
        "FID lower by, % (reported)",
        "Precision (train)",
        "FID (heldout)",
    ]
    row = ["First", "2 (1)", "13.00 ± 1.41 (10.00)", "", "0.500 ± 0.000 (0.70)", "21.00 ± 1.41"]
    assert rendered.rows[0] == row
    assert rendered.rows[1][:4] == ["First + Good [1]", "2 (1)", "9.50 ± 0.71 (8.00)", "26.9 (20.0)"]


def test_fid_and_is_are_inception_s_alone(paper, measured):
    """Of another public network a table shows its distance under its own name."""
    for cell in [("g1", "none"), ("g1", "good"), ("g2", "none"), ("g2", "good")]:
        measured.metrics(*cell, [13.0, 12.0], distance="FD-EfficientNet-Lite0")
    frame = tables.table(paper, "table1", measured.root, {"g2": "no data"}, {"g1": 2})
    shown = render.people(frame, paper["tables"]["table1"], paper).header
    names = ("FD-EfficientNet-Lite0 (train)", "FD-EfficientNet-Lite0 lower by, % (reported)")
    assert shown[2:4] == [*names] and shown[5] == "FD-EfficientNet-Lite0 (heldout)"
    assert not any("FID" in header for header in shown)


def test_a_difference_stands_where_both_were_measured_alike(alike, measured):
    frame = tables.table(alike, "table1", measured.root, {}, {})
    shown = render.people(frame, alike["tables"]["table1"], alike)
    assert [row[2] for row in shown.rows[:2]] == ["13.00 ± 1.41 (10.00; +3.00)", "9.50 ± 0.71 (8.00; +1.50)"]
    assert shown.rows[0][4] == "0.500 ± 0.000 (0.70)"
    assert shown.shared["reported"].endswith("number of samples are the paper's: FID (train, Dots).")


def test_an_unavailable_row_shows_the_reported_number_and_the_reason(rendered):
    assert rendered.rows[2] == [
        "Second [2]",
        "",
        "not available (5.00)",
        "not available",
        "not available",
        "not available",
    ]
    assert rendered.notes == ["A remark.", "no data"]


def test_what_tables_share_states_seeds_protocols_and_what_compares(rendered):
    assert list(rendered.shared) == ["measured", "reported", "improvements", "protocol train", "protocol heldout"]
    assert "trained once" in rendered.shared["measured"]
    assert "no difference that means anything" in rendered.shared["reported"]
    assert rendered.shared["improvements"].endswith("over the same generator without boosting.")
    assert rendered.shared["protocol heldout"].startswith("Protocol heldout: extractor cnn_a")
    assert rendered.remarks == []


def test_a_table_says_what_its_improvements_are_over(paper, measured):
    spec = paper["tables"]["table1"] | {"base": {"generator": "g2", "boost": "none"}}
    paper["tables"]["table1"] = spec | {"rows": spec["rows"][::2]}  # nothing boosted, but a base to be better than
    shown = render.people(tables.table(paper, "table1", measured.root, {}, {}), paper["tables"]["table1"], paper)
    assert shown.rows[0][shown.header.index("FID lower by, % (reported)")] == "-108.0 (-100.0)"
    assert shown.shared["improvements"].endswith("are over Second.")


def test_reading_a_table_from_csv_renders_the_same(paper, measured, rendered, tmp_path):
    frame = tables.table(paper, "table1", measured.root, {"g2": "no data"}, {"g1": 2})
    tables.save(frame, tmp_path / "t.csv")
    assert render.people(tables.load(tmp_path / "t.csv"), paper["tables"]["table1"], paper) == rendered


def test_steps(paper, measured):
    spec = paper["tables"]["table2"]
    shown = render.people(tables.table(paper, "table2", measured.root, {}, {}), spec, paper)
    assert shown.rows == [["First + Good", "(1)", "8 (35)", "0.200 (0.100)"]]
    assert shown.remarks == [] and shown.shared == {}


def test_reported_deviation_other_protocols_and_percentages_for_people(paper, measured):
    table = paper["tables"]["table1"]
    table["columns"] = [
        {"metric": "fid", "protocol": "heldout", "printed": "FID 10K", "improvement": True},
        {"metric": "inception_score", "protocol": "train", "improvement": True},
    ]
    table["rows"] = [
        {"generator": "g1", "boost": "none", "reported": {"fid": {"heldout": [30.0, 0.5]}}},
        {"generator": "g1", "boost": "good", "reported": {"fid": {"heldout": [24.0, 0.25]}}},
    ]
    shown = render.people(tables.table(paper, "table1", measured.root, {}, {}), table, paper | {"nfe": {}})
    assert shown.header == [
        "",
        "FID (heldout; the paper's FID 10K)",
        "FID (heldout) lower by, % (reported)",
        "IS (train)",
        "IS higher by, %",
    ]
    assert shown.rows[1][1:] == ["21.25 ± 3.18 (24.00 ± 0.25)", "-1.2 (20.0)", "9.05 ± 0.07", "4.0"]


def test_radii_and_label_shares_for_people(paper, measured):
    rows = [{"generator": "g1", "boost": "good"}, {"generator": "g2", "boost": "good"}]
    for kind in ("eps", "labels"):
        paper["tables"][kind] = {"kind": kind, "title": kind, "place": "here", "rows": rows}
    measured.labels("g1", "good", {"0": [3, 1], "1": [1, 1]}, rule="debiased")
    eps, labels = (
        render.people(tables.table(paper, kind, measured.root, {"g2": "no data"}, {}), paper["tables"][kind], paper)
        for kind in ("eps", "labels")
    )
    assert eps.rows[0] == ["First + Good", "", "", "assumed 5.00", "0.300", "0.600", "2.00", "30", "0.0200"]
    assert eps.rows[1][:5] == ["Second + Good [1]", "", "", "", "not available"]
    assert labels.header[-2:] == ["Class 0, %", "Class 1, %"]
    assert labels.rows[0][1:3] == ["debiased", "0.125 ± 0.177"]
    assert labels.rows[0][-1] == "37.5 ± 17.7"
    assert (labels.further, eps.further) == (2, 0)


def show(paper, results, unavailable, tmp_path):
    tables.save(tables.table(paper, "grid", results.root, unavailable, {"g0": 250}), tmp_path / "t.csv")
    return render.people(tables.load(tmp_path / "t.csv"), paper["tables"]["grid"], paper)


def test_a_grid_has_a_line_per_row_and_a_column_per_label(grid, results, tmp_path):
    shown = show(grid, results, {}, tmp_path)
    assert shown.header == ["Classifier", "0", "0.5", "1.0"]
    assert shown.rows == [
        ["First", "8.00 ± 0.71 (7.50)", "6.00 ± 0.71 [1]", ""],
        ["Second", "8.00 ± 0.71 (7.00)", "", "5.00 ± 0.71"],
    ]
    assert shown.notes == ["A remark."]
    assert shown.remarks[0] == "In each cell: FID (train)."


def test_a_grid_of_several_metrics_has_a_line_for_each(grid, results, tmp_path):
    grid["tables"]["grid"]["columns"].append({"metric": "recall", "protocol": "heldout"})
    shown = show(grid, results, {}, tmp_path)
    assert shown.header == ["Classifier", "Metric", "0", "0.5", "1.0"]
    assert [row[:2] for row in shown.rows] == [
        [row, metric] for row in ("First", "Second") for metric in ("FID (train)", "Recall (heldout)")
    ]
    assert shown.rows[1][2:] == ["0.250 ± 0.000", "0.250 ± 0.000 [1]", ""]
    assert not any(remark.startswith("In each cell") for remark in shown.remarks)


def test_what_a_grid_cannot_have_says_why_in_its_place(grid, results, tmp_path):
    shown = show(grid, results, {"g0": "no time", "g2": "too large"}, tmp_path)
    assert shown.rows == [
        ["First", "not available (7.50) [1]", "6.00 ± 0.71 [2]", ""],
        ["Second", "not available (7.00) [1]", "", "not available [3]"],
    ]
    assert shown.notes == ["no time", "A remark.", "too large"]


def test_a_grid_as_markdown_and_latex(grid, results, tmp_path):
    shown = show(grid, results, {}, tmp_path)
    lines = render.markdown(shown).splitlines()
    assert lines[2:4] == ["| Classifier | 0 | 0.5 | 1.0 |", "| --- | --- | --- | --- |"]
    assert lines[5] == "| Second | 8.00 ± 0.71 (7.00) |  | 5.00 ± 0.71 |"
    assert r"Second & 8.00 $\pm$ 0.71 (7.00) &  & 5.00 $\pm$ 0.71 \\" in render.latex(shown)


def test_claims_that_are_measured_otherwise_say_by_what(paper, measured):
    measured.study("targeted", {"l2": {"r": [2.0, 3.0], "v": [1.0, 1.5]}})
    study = {"id": "more", "text": "More", "source": "Fig. 2", "study": "targeted", "quantity": "l2"}
    paper["claims"] = [paper["claims"][1], study | {"lower": "v", "than": "r"}]
    shown = render.claims(claims.evaluate(paper, measured.root, {}), paper)
    assert shown.header[2] == "Measured by"
    assert [row[2] for row in shown.rows] == ["train over 2 sampling seeds", "study targeted over 2 images"]
    assert shown.rows[1][shown.header.index("Verdict (heldout)")] == ""
    assert "judged once" in shown.remarks[1]


def test_claims_for_people(paper, measured):
    shown = render.claims(claims.evaluate(paper, measured.root, {}), paper)
    assert shown.rows[0][0] == "First: Boosting helps"
    assert shown.rows[3][0] == "Boosting helps"
    verdicts = [shown.header.index(f"Verdict ({protocol})") for protocol in ("train", "heldout")]
    assert [shown.rows[0][column] for column in verdicts] == ["within noise, one training"] * 2
    assert shown.rows[3][5].split(" ", 1)[1].startswith("(20.00")
    assert "networks were trained once" in shown.remarks[0]


def test_protocols_that_disagree_are_named(paper, measured):
    agree = render.claims(claims.evaluate(paper, measured.root, {}), paper)
    assert "agree on every claim" in agree.remarks[1]
    measured.metrics("g1", "good", [9.0, 11.01], heldout=[30.0, 32.01])
    split = render.claims(claims.evaluate(paper, measured.root, {}), paper)
    assert "helps/g1" in split.remarks[1]


def test_markdown_is_a_table_with_escaped_text(rendered):
    lines = render.markdown(rendered).splitlines()
    assert lines[0] == "### Boosting (Table 1)"
    assert lines[3] == "| " + " | ".join(["---"] * 6) + " |"
    assert all(line.count("|") == 7 for line in lines[2:8])
    assert "| First + Good \\[1] |" in lines[5]
    assert "\\[2] no data" in lines
    assert lines[-1] == rendered.shared["protocol heldout"]  # a table that stands alone says what others say too


def test_latex_escapes_and_balances(rendered):
    text = render.latex(rendered)
    assert text.count("\\begin{") == text.count("\\end{") == 2
    assert text.count(r" \\") == 5
    assert r"lower by, \% (reported)" in text
    assert r"13.00 $\pm$ 1.41 (10.00)" in text and "Protocol heldout: extractor" in text
