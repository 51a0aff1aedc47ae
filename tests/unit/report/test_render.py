from __future__ import annotations

import pytest

from pagboost.report import claims, render, tables


@pytest.fixture
def rendered(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {"g2": "no data"}, {"g1": 2})
    return render.people(frame, paper["tables"]["table1"], "train")


@pytest.mark.parametrize(
    ("value", "decimals", "sign", "text"),
    [(1.005, 1, "", "1.0"), (-0.001, 2, "+", "+0.00"), (-0.001, 2, "", "0.00"), (2.0, 0, "+", "+2"), (None, 2, "", "")],
)
def test_numbers_in_fixed_notation(value, decimals, sign, text):
    assert render.number(value, decimals, sign) == text
    assert render.number(float("nan"), decimals, sign) == ""


def test_cells_say_measured_spread_reported_and_difference(rendered):
    assert rendered.header == [
        "",
        "NFE (reported)",
        "FID (train)",
        "FID lower by, % (reported)",
        "Precision (train)",
        "FID (heldout)",
    ]
    row = ["First", "2 (1)", "13.00 ± 1.41 (10.00; +3.00)", "", "0.500 ± 0.000 (0.70; -0.20)", "21.00 ± 1.41"]
    assert rendered.rows[0] == row
    assert rendered.rows[1][:4] == ["First + Good [1]", "2 (1)", "9.50 ± 0.71 (8.00; +1.50)", "26.9 (20.0)"]


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


def test_remarks_state_seeds_and_protocols(rendered):
    assert "trained once" in rendered.remarks[0]
    assert rendered.remarks[1].startswith("Protocol train: extractor cnn_a")
    assert rendered.remarks[2].startswith("Protocol heldout: extractor cnn_a")


def test_reading_a_table_from_csv_renders_the_same(paper, measured, rendered, tmp_path):
    frame = tables.table(paper, "table1", measured.root, {"g2": "no data"}, {"g1": 2})
    tables.save(frame, tmp_path / "t.csv")
    assert render.people(tables.load(tmp_path / "t.csv"), paper["tables"]["table1"], "train") == rendered


def test_steps(paper, measured):
    spec = paper["tables"]["table2"]
    shown = render.people(tables.table(paper, "table2", measured.root, {}, {}), spec, "train")
    assert shown.rows == [["First + Good", "(1)", "8 (35; -27)", "0.200 (0.100; +0.100)"]]
    assert shown.remarks == []


def test_claims_for_people(paper, measured):
    shown = render.claims(claims.evaluate(paper, measured.root, {}), paper)
    assert shown.rows[0][0] == "First: Boosting helps"
    assert shown.rows[3][0] == "Boosting helps"
    verdicts = [shown.header.index(f"Verdict ({protocol})") for protocol in ("train", "heldout")]
    assert [shown.rows[0][column] for column in verdicts] == ["within noise", "within noise"]
    assert shown.rows[3][4].split(" ", 1)[1].startswith("(20.00")
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


def test_latex_escapes_and_balances(rendered):
    text = render.latex(rendered)
    assert text.count("\\begin{") == text.count("\\end{") == 2
    assert text.count(r" \\") == 5
    assert r"lower by, \% (reported)" in text
    assert r"13.00 $\pm$ 1.41 (10.00; +3.00)" in text
