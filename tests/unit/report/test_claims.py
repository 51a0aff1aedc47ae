from __future__ import annotations

import statistics

import pandas as pd
import pytest

from pagboost.errors import InputError
from pagboost.report import cells, claims, intervals, judging, tables


def row(frame, name):
    return frame.set_index("id").loc[name]


def test_interval_is_students():
    from scipy import stats

    values = [0.3, 1.1, 0.7, 0.2]
    expected = stats.t.interval(0.95, len(values) - 1, statistics.fmean(values), stats.sem(values))
    mean, low, high = intervals.paired_interval(values)
    assert (low, high) == pytest.approx(expected)
    assert mean == pytest.approx(0.575)


def test_a_single_difference_has_no_interval():
    assert intervals.paired_interval([1.5]) == (1.5, None, None)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 0.5, "held"), (-0.5, -0.1, "not held"), (-0.1, 0.5, "within noise"), (0.0, 0.5, "within noise")],
)
def test_verdicts(low, high, expected):
    assert judging.verdict(low, high) == expected


def test_sides_and_paired_difference(paper, measured):
    first = row(claims.evaluate(paper, measured.root, {}), "helps/g1")
    assert (first["left"], first["right"], first["difference"], first["n_pairs"]) == (9.5, 13.0, 3.5, 2)
    _, low, high = intervals.paired_interval([12.0 - 9.0, 14.0 - 10.0])
    assert (first["ci_low"], first["ci_high"]) == pytest.approx((low, high))
    assert first["improvement_percent"] == pytest.approx(100 * 3.5 / 13)
    assert first["improvement_percent_reported"] == pytest.approx(20)
    assert first["difference_heldout"] == -0.25
    assert (first["lower"], first["than"]) == ("g1/good", "g1/none")


def test_direction(paper, measured):
    measured.metrics("g1", "good", [9.0, 11.01], heldout=[30.0, 32.01])
    first = row(claims.evaluate(paper, measured.root, {}), "helps/g1")
    assert (first["verdict"], first["verdict_heldout"]) == ("held, one training", "not held, one training")
    assert first["protocols_agree"] == "no"


def test_seeds_are_paired_not_pooled(paper, measured):
    """Seeds that differ a lot, by the same amount on both sides: only pairing sees the difference."""
    measured.metrics("g1", "none", [10.0, 50.0, 90.0])
    measured.metrics("g1", "good", [9.0, 49.1, 88.9])
    claim = paper | {"claims": paper["claims"][:1]}
    assert row(claims.evaluate(claim, measured.root, {"g2": "not needed"}), "helps/g1")["verdict"].startswith("held")


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


def test_unavailable_cells_leave_the_claim_with_its_reason(paper, measured):
    frame = claims.evaluate(paper, measured.root, {"g2": "no data"})
    assert row(frame, "helps/g1")["verdict"] != "not measured"
    for name in ("helps/g2", "gain_shrinks", "on_average"):
        assert row(frame, name)["verdict"] == row(frame, name)["verdict_heldout"] == "not measured"
        assert row(frame, name)["unavailable"] == "no data"
    counts = {"held": 0, "not held": 0, "within noise": 1, "not judged": 0, "not measured": 3}
    assert claims.counts(frame) == counts


def test_an_unavailable_protocol_leaves_the_other(paper, measured):
    frame = claims.evaluate(paper, measured.root, {"heldout": "one split only"})
    assert set(frame["verdict_heldout"]) == {"not measured"}
    assert "not measured" not in set(frame["verdict"])
    assert set(frame["protocols_agree"]) == {""}


@pytest.mark.parametrize(("correlation", "expected"), [("gain", 1.0), ("percent", -1.0)])
def test_weaker_generators_gain_more(paper, measured, correlation, expected):
    """Raw FIDs 10, 20, 40 and falls of 5, 8, 12: the weaker the larger the fall, and the smaller its percentage."""
    for name, raw, fall in (("g1", 10, 5), ("g2", 20, 8), ("g3", 40, 12)):
        measured.metrics(name, "none", [raw, raw])
        measured.metrics(name, "good", [raw - fall, raw - fall])
    claim = {"id": "weaker", "text": "", "source": "", "metric": "fid", "boost": "good", "correlation": correlation}
    paper["claims"] = [claim | {"over": ["g1", "g2", "g3"]}]
    result = row(claims.evaluate(paper, measured.root, {}), "weaker")
    assert (result["left"], result["right"], result["difference"]) == (
        0,
        pytest.approx(expected),
        pytest.approx(expected),
    )
    assert result["quantity"] == f"rank correlation, {correlation}"
    assert result["holds_in_paper"] == ""  # the paper has no number for g2/good
    assert pd.isna(result["improvement_percent"])


def test_a_claim_under_a_protocol_of_its_own_is_judged_once(paper, measured):
    paper["claims"] = [paper["claims"][0] | {"each": ["g1"], "protocol": "heldout"}]
    paper["tables"]["table1"]["rows"][0]["reported"] = {"fid": {"train": 10.0, "heldout": 30.0}}
    paper["tables"]["table1"]["rows"][1]["reported"] = {"fid": {"train": 8.0, "heldout": 31.0}}
    result = row(claims.evaluate(paper, measured.root, {}), "helps/g1")
    assert (result["basis"], result["difference"]) == ("heldout", -0.25)
    assert (result["verdict_heldout"], result["protocols_agree"]) == ("", "")
    assert (result["reported_left"], result["holds_in_paper"]) == (31.0, "no")


def test_labels_by_seed(paper, measured):
    measured.labels("g1", "plain", {"0": [4, 0], "1": [3, 1]})
    measured.labels("g1", "good", {"0": [2, 2], "1": [1, 1]})
    paper["claims"] = [{"id": "even", "text": "", "source": "", "metric": "total_variation", "each": ["g1"],
                        "lower": {"boost": "good"}, "than": {"boost": "plain"}}]  # fmt: skip
    result = row(claims.evaluate(paper, measured.root, {}), "even/g1")
    assert (result["left"], result["right"], result["n_pairs"]) == (0, 0.375, 2)
    assert (result["basis"], result["unit"], result["verdict_heldout"]) == ("target labels", "sampling seed", "")
    measured.labels("g1", "good", {"0": [2, 2]})
    with pytest.raises(
        InputError, match=r"plain\.json: target labels has sampling seeds 0, 1, but .*good\.json has 0:"
    ):
        claims.evaluate(paper, measured.root, {})


@pytest.fixture
def study_claim(paper):
    claim = {"id": "more", "text": "", "source": "", "study": "targeted", "quantity": "l2", "lower": "v", "than": "r"}
    paper["claims"] = [claim]
    return paper


def test_a_study_is_paired_over_images(study_claim, measured):
    measured.study("targeted", {"l2": {"r": [2.0, 13.0, 5.0], "v": [1.0, 12.1, 3.9]}})
    result = row(claims.evaluate(study_claim, measured.root, {}), "more")
    assert (result["n_pairs"], result["unit"], result["basis"]) == (3, "image", "study targeted")
    assert (result["difference"], result["verdict"]) == (pytest.approx(1.0), "held, one training")
    assert (result["lower"], result["than"], result["verdict_heldout"]) == ("v", "r", "")


@pytest.mark.parametrize("what", ["targeted", "v", "r", "targeted/r"])
def test_a_claim_of_what_a_scale_cannot_have_is_not_measured(study_claim, measured, what):
    measured.study("targeted", {"l2": {"s": [2.0, 13.0, 5.0]}})
    absent = row(claims.evaluate(study_claim, measured.root, {what: "no time"}), "more")
    assert (absent["verdict"], absent["unavailable"]) == ("not measured", "no time")


PREMISE = {"text": "r resists more", "study": "resists", "quantity": "accuracy", "lower": "v", "than": "r"}


@pytest.mark.parametrize(
    ("accuracy", "met"),
    [
        ({"v": [0, 0, 0, 0, 1], "r": [1, 1, 1, 1, 1]}, True),
        ({"v": [0, 1, 0, 1, 0], "r": [1, 0, 1, 0, 0]}, False),
        ({"v": [1, 1, 1, 1, 1], "r": [0, 0, 0, 0, 1]}, False),
    ],
)
def test_a_claim_is_judged_where_its_premise_holds(study_claim, measured, accuracy, met):
    measured.study("targeted", {"l2": {"r": [2.0, 13.0, 5.0], "v": [1.0, 12.1, 3.9]}})
    measured.study("resists", {"accuracy": accuracy})
    study_claim["claims"][0]["premise"] = PREMISE
    result = row(claims.evaluate(study_claim, measured.root, {}), "more")
    assert result["difference"] == pytest.approx(1.0)
    if met:
        assert (result["verdict"], result["verdict_holm"], result["note"]) == ("held, one training", "held", "")
    else:
        assert result["verdict"] == result["verdict_holm"] == "not judged: its premise does not hold"
        assert result["note"].startswith("Not judged: the claim presupposes that r resists more, which is ")
        assert "(accuracy of study resists: v " in result["note"]
    absent = row(claims.evaluate(study_claim, measured.root, {"resists": "no time"}), "more")
    assert absent["verdict"] == "held, one training"


def test_a_premise_s_study_is_an_input_of_its_claim(study_claim):
    claim = study_claim["claims"][0] | {"premise": PREMISE}
    assert [path.name for path in cells.inputs("r", claim, {})] == ["targeted.json", "resists.json"]
    assert [path.name for path in cells.inputs("r", claim, {"resists": ""})] == ["targeted.json"]
    assert cells.studies([claim]) == ["targeted", "resists"]


@pytest.mark.parametrize(
    ("quantities", "message"),
    [
        ({"distance": {}}, "has no l2, expected one of: distance"),
        ({"l2": {"r": [1.0]}}, "has no v, expected one of: r"),
        ({"l2": {"r": [1.0], "v": [1.0, 2.0]}}, "l2 has 2 values of v and 1 of r: expected one for each image"),
    ],
)
def test_a_study_without_what_a_claim_needs_is_refused(study_claim, measured, quantities, message):
    measured.study("targeted", quantities)
    with pytest.raises(InputError, match=rf"targeted\.json: {message}"):
        claims.evaluate(study_claim, measured.root, {})


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
