from __future__ import annotations

import pytest

from pagboost.report import reported
from pagboost.report.reported import Number


def table(*rows):
    return {
        "rows": [{"generator": "g", "boost": boost, **row} for boost, row in zip(("none", "good"), rows, strict=False)]
    }


def test_a_bare_number_belongs_to_the_papers_own_protocol():
    found = reported.numbers_of(table({"reported": {"fid": 3.0, "recall": {"small": [0.5, 0.1]}}}), "train")
    assert found == {
        ("fid", "train", ("g", "none")): Number(3.0),
        ("recall", "small", ("g", "none")): Number(0.5, 0.1),
    }


def test_where_tables_disagree_the_first_counts():
    paper = {"protocol": "train", "tables": {
        "steps": {"kind": "steps", "rows": []},
        "a": {"kind": "metrics"} | table({"reported": {"fid": 10.0}}),
        "b": {"kind": "metrics"} | table({"reported": {"fid": 99.0}})}}  # fmt: skip
    assert reported.numbers(paper) == {("fid", "train", ("g", "none")): Number(10.0)}


def test_where_rows_of_one_cell_disagree_the_first_counts():
    rows = [{"generator": "g", "boost": "none", "reported": {"fid": fid}} for fid in (7.67, 7.65)]
    assert reported.numbers_of({"rows": rows}, "train") == {("fid", "train", ("g", "none")): Number(7.67)}
    assert reported.numbers_of_row(rows[1], "train") == {("fid", "train", ("g", "none")): Number(7.65)}


def test_improvements_are_over_no_boosting_or_a_base():
    assert reported.base_of(("g", "good")) == ("g", "none")
    assert reported.base_of(("g", "none")) is None
    assert reported.base_of(("g", "none"), ("other", "none")) == reported.base_of(("g", "good"), ("other", "none"))
    assert reported.base_of(("other", "none"), ("other", "none")) is None


def test_numbers_are_found_by_their_cell():
    rows = table({"reported": {"fid": 6.0, "recall": 0.5}}, {"reported": {"fid": {"train": 4.8, "cross": 5.0}}})
    numbers = reported.numbers_of(rows, "train")
    found = reported.by_cell(numbers)
    assert [key for part in found.values() for key in part] == list(numbers)
    assert all(key[2] == cell for cell, part in found.items() for key in part) and len(found) == 2


def test_improvement_goes_with_the_metric():
    assert reported.improvement(4.0, 5.0) == -25
    assert reported.improvement(4.0, 5.0, "inception_score") == 25
    assert reported.improvement(4.0, 5.0, "recall") is None
    assert reported.improvement(None, 1.0) is None
    assert reported.improvement(0.0, 1.0) is None


@pytest.mark.parametrize(
    ("percent", "noted"),
    [(20.00, False), (20.13, False), (19.87, False), (20.16, True), (19.84, True), (12.45, True)],
)
def test_a_printed_percentage_may_differ_by_rounding_only(percent, noted):
    """6.00 to 4.80: between (5.995 - 4.805) / 5.995 = 19.85 % and (6.005 - 4.795) / 6.005 = 20.15 %."""
    rows = table({"reported": {"fid": 6.0}}, {"reported": {"fid": 4.8}, "printed_percent": {"fid": {"train": percent}}})
    notes = reported.disagreements(reported.numbers_of(rows, "train"), ("g", "good"))
    assert bool(notes) == noted
    assert all(f"{percent:.2f} %" in note and "6.00 and 4.80, give 20.00 %" in note for note in notes)
