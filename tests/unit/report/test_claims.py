from __future__ import annotations

import statistics

import pytest

from pagboost.errors import InputError
from pagboost.report import claims, tables


def row(frame, name):
    return frame.set_index("id").loc[name]


def test_interval_is_students():
    from scipy import stats

    values = [0.3, 1.1, 0.7, 0.2]
    expected = stats.t.interval(0.95, len(values) - 1, statistics.fmean(values), stats.sem(values))
    mean, low, high = claims.paired_interval(values)
    assert (low, high) == pytest.approx(expected)
    assert mean == pytest.approx(0.575)


def test_a_single_difference_has_no_interval():
    assert claims.paired_interval([1.5]) == (1.5, None, None)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 0.5, "held"), (-0.5, -0.1, "not held"), (-0.1, 0.5, "within noise"), (None, None, "within noise")],
)
def test_verdicts(low, high, expected):
    assert claims.verdict(low, high) == expected


def test_sides_and_paired_difference(paper, measured):
    first = row(claims.evaluate(paper, measured.root, {}), "helps/g1")
    assert (first["left"], first["right"], first["difference"], first["n_seeds"]) == (9.5, 13.0, 3.5, 2)
    _, low, high = claims.paired_interval([12.0 - 9.0, 14.0 - 10.0])
    assert (first["ci_low"], first["ci_high"]) == pytest.approx((low, high))
    assert first["improvement_percent"] == pytest.approx(100 * 3.5 / 13)
    assert first["reported_improvement_percent"] == pytest.approx(20)
    assert first["difference_heldout"] == -0.25
    assert (first["lower"], first["than"]) == ("g1/good", "g1/none")


def test_direction(paper, measured):
    measured.metrics("g1", "good", [9.0, 11.01], heldout=[30.0, 32.01])
    first = row(claims.evaluate(paper, measured.root, {}), "helps/g1")
    assert (first["verdict"], first["verdict_heldout"]) == ("held", "not held")
    assert first["protocols_agree"] == "no"


def test_seeds_are_paired_not_pooled(paper, measured):
    """Seeds that differ a lot, by the same amount on both sides: only pairing sees the difference."""
    measured.metrics("g1", "none", [10.0, 50.0, 90.0])
    measured.metrics("g1", "good", [9.0, 49.1, 88.9])
    claim = paper | {"claims": paper["claims"][:1]}
    assert row(claims.evaluate(claim, measured.root, {"g2": "not needed"}), "helps/g1")["verdict"] == "held"


def test_gain_is_the_fall_from_raw(paper, measured):
    gain = row(claims.evaluate(paper, measured.root, {}), "gain_shrinks")
    assert gain["left"] == pytest.approx((1.0 + 1.05) / 2)
    assert gain["right"] == 3.5
    assert gain["improvement_percent"] != gain["improvement_percent"]  # percentages of gains mean nothing


def test_a_mean_over_generators(paper, measured):
    mean = row(claims.evaluate(paper, measured.root, {}), "on_average")
    assert mean["left"] == pytest.approx((9.5 + 5.225) / 2)
    assert mean["right"] == pytest.approx((13.0 + 6.25) / 2)
    assert mean["stated_percent"] == 20.0
    assert mean["lower"] == "g1+g2/good"


def test_the_papers_own_numbers(paper, measured):
    frame = claims.evaluate(paper, measured.root, {})
    assert row(frame, "helps/g1")["holds_in_paper"] == "yes"
    assert row(frame, "helps/g2")["holds_in_paper"] == ""  # no number reported for g2/good
    paper["tables"]["table1"]["rows"][3]["reported"] = {"fid": 6.0}
    assert row(claims.evaluate(paper, measured.root, {}), "helps/g2")["holds_in_paper"] == "no"


def test_where_tables_disagree_the_first_counts(paper):
    second = {"rows": [{"generator": "g1", "boost": "none", "reported": {"fid": 99.0}}]}
    paper["tables"] = paper["tables"] | {"table3": second}
    assert claims.reported_numbers(paper)["fid", ("g1", "none")] == 10.0


def test_unavailable_cells_leave_the_claim_with_its_reason(paper, measured):
    frame = claims.evaluate(paper, measured.root, {"g2": "no data"})
    assert row(frame, "helps/g1")["verdict"] != "not measured"
    for name in ("helps/g2", "gain_shrinks", "on_average"):
        assert row(frame, name)["verdict"] == row(frame, name)["verdict_heldout"] == "not measured"
        assert row(frame, name)["unavailable"] == "no data"
    assert claims.counts(frame) == {"held": 0, "not held": 0, "within noise": 1, "not measured": 3}


def test_an_unavailable_protocol_leaves_the_other(paper, measured):
    frame = claims.evaluate(paper, measured.root, {"heldout": "one split only"})
    assert set(frame["verdict_heldout"]) == {"not measured"}
    assert "not measured" not in set(frame["verdict"])
    assert set(frame["protocols_agree"]) == {""}


def test_other_seeds_are_refused(paper, measured):
    measured.metrics("g1", "good", [9.0, 10.0, 11.0])
    with pytest.raises(
        InputError, match=r"none\.json: train has sampling seeds 0, 1, but .*good\.json has 0, 1, 2: expected the same"
    ):
        claims.evaluate(paper, measured.root, {})


def test_mixed_protocols_are_refused(paper, measured):
    measured.metrics("g1", "good", [9.0, 10.0], extractor_sha256="b" * 64)
    with pytest.raises(InputError, match="extractor_sha256"):
        claims.evaluate(paper, measured.root, {})


def test_csv_is_bit_identical_and_reads_back(paper, measured, tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    for path in (first, second):
        tables.save(claims.evaluate(paper, measured.root, {"g2/good": "no time"}), path)
    assert first.read_bytes() == second.read_bytes()
    frame = claims.evaluate(paper, measured.root, {"g2/good": "no time"})
    assert tables.load(first)["verdict"].tolist() == frame["verdict"].tolist()
    assert tables.load(first)["holds_in_paper"].tolist() == frame["holds_in_paper"].tolist()
