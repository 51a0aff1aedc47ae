"""Claims that are more than one number below another: about equal, of candidate lengths, of a study's quantities."""

from __future__ import annotations

import pytest

from pagboost.errors import InputError
from pagboost.report import cells, claims, intervals, render

TEXT = {"id": "c", "text": "t", "source": "s"}
EQUAL = {**TEXT, "metric": "fid", "each": ["g1"], "lower": {"boost": "good"}, "than": {"boost": "none"}}
CHOICE = {**TEXT, "choice": {"boost": "good"}, "each": ["g1", "g2"]}
LONGEST = {**TEXT, "longest": {"lower": "good", "than": "bad"}, "each": ["g1"]}
TREND = {**TEXT, "study": "led", "network": "r", "quantities": ["d_1", "d_2", "d_3"], "trend": "falls"}
CERTAIN = {**TEXT, "study": "led", "quantity": "p", "lower": 0.99, "than": "r"}


@pytest.fixture
def judged(paper, results):
    """The only claim's rows, over the given further trainings."""

    def judge(claim, unavailable=None, trainings=()):
        paper["claims"] = [claim]
        return claims.evaluate(paper, results.root, unavailable or {}, trainings)

    return judge


def curve(results, boost, fids, generator="g1", lengths=(1, 2, 3)):
    found = [{"steps": n, "eps": None, "fid": fid} for n, fid in zip(lengths, fids, strict=True)]
    results.steps(generator, boost, 2, 0.1, candidates=found)


# -- about equal


@pytest.fixture
def alike(results):
    """Boosting lowers FID by 0.4, 0.5 and 0.6 of 10."""
    results.metrics("g1", "none", [10.0, 10.0, 10.0])
    results.metrics("g1", "good", [9.6, 9.5, 9.4])
    return results


@pytest.mark.parametrize(
    ("percent", "verdict", "in_paper"),
    [(8, "held", "no"), (5, "within noise", "no"), (2, "not held", "no"), (20, "held", "yes")],
)
def test_about_equal(judged, alike, percent, verdict, in_paper):
    """The paper prints 8.0 beside 10.0."""
    row = judged({**EQUAL, "within_percent": percent}).iloc[0]
    assert (row["verdict"], row["verdict_holm"]) == (f"{verdict}, one training", verdict)
    assert (row["quantity"], row["holds_in_paper"]) == (f"value, within {percent} %", in_paper)
    assert (row["difference"], row["improvement_percent"]) == (pytest.approx(0.5), pytest.approx(5))
    _, low, high = intervals.paired_interval([0.4, 0.5, 0.6])
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))  # as of any claim


def test_about_equal_over_trainings(judged, alike):
    """By training lower by 0.5, 0.4 and 0.6: the same numbers once more, of trainings now."""
    for training, fall in ((1, 0.4), (2, 0.6)):
        again = alike.training(training)
        again.metrics("g1", "none", [10.0, 10.0, 10.0])
        again.metrics("g1", "good", [9.0 - fall, 10.0 - fall, 11.0 - fall])
    frame = judged({**EQUAL, "within_percent": 8}, trainings=[1, 2])
    assert (frame["verdict"][0], frame["verdict_heldout"][0], frame["verdict_holm"][0]) == ("held",) * 3
    assert judged({**EQUAL, "within_percent": 5}, trainings=[1, 2])["verdict"][0] == "within noise"


def test_people_read_what_about_equal_means(judged, alike, paper):
    shown = render.claims(judged({**EQUAL, "within_percent": 8}), paper)
    assert any("about equal holds where the whole interval" in remark for remark in shown.remarks)
    assert not any("longest walk" in remark or "candidate lengths, by" in remark for remark in shown.remarks)


# -- candidate lengths


def test_the_best_length_is_inside_in_so_many_trainings(judged, results, paper):
    again = results.training(1)
    for one, last in ((results, 7), (again, 3)):
        curve(one, "good", [9, 5, last])
        curve(one, "good", [9, 5, 7], "g2")
    frame = judged(CHOICE, trainings=[1]).set_index("id")
    assert frame["verdict"].tolist() == ["within noise, in 1 of 2 trainings", "held, in 2 of 2 trainings"]
    assert frame["verdict_holm"].tolist() == ["", ""]  # no p
    first = frame.loc["c/g1"]
    assert (first["basis"], first["unit"], first["n_pairs"], first["verdict_heldout"]) == ("validation", "curve", 3, "")
    assert (first["lower"], first["than"], first["right"], first["metric"]) == ("0", "g1/good", 0.5, "fid")
    shown = render.claims(frame.reset_index(), paper)
    assert [row[2] for row in shown.rows] == ["validation over 2 trainings of 3 candidates"] * 2
    assert any("neither the shortest nor the longest" in remark for remark in shown.remarks)
    assert "over all 0 claims" in shown.remarks[-1]
    assert claims.counts(frame)["held"] == 1


def test_a_choice_is_measured_where_the_scale_has_it(judged, results):
    curve(results, "good", [9, 5, 7])
    frame = judged(CHOICE, {"g2": "no data"})
    assert frame["verdict"].tolist() == ["held, one training", "not measured"]
    assert frame["unavailable"].tolist() == ["", "no data"]
    results.steps("g1", "good", 2, 0.1, candidates=[{"steps": 2, "eps": None}])
    assert judged(CHOICE, {"g2": "no data"})["verdict"][0] == "not judged: one candidate"


def test_after_the_longest_walk(judged, results, paper):
    for training, after in ((None, 6.0), (1, 6.1), (2, 6.2)):
        one = results if training is None else results.training(training)
        curve(one, "good", [9, 5, 5.5])
        curve(one, "bad", [8, 4, after])
    frame = judged(LONGEST, trainings=[1, 2])
    row = frame.iloc[0]
    assert (row["left"], row["right"], row["difference"]) == (5.5, pytest.approx(6.1), pytest.approx(0.6))
    assert (row["verdict"], row["verdict_holm"], row["trainings"]) == ("held", "held", 3)
    assert (row["quantity"], row["lower"], row["than"]) == ("after the longest walk", "g1/good", "g1/bad")
    assert any("After the longest walk" in remark for remark in render.claims(frame, paper).remarks)
    assert judged(LONGEST)["verdict"][0] == "not judged: one curve"


def test_walks_of_other_lengths_are_not_compared(judged, results):
    curve(results, "good", [9, 5, 5.5])
    curve(results, "bad", [9, 5, 5.5], lengths=(1, 2, 4))
    with pytest.raises(
        InputError, match=r"good\.json: candidates are steps 1, 2, 3, but .*bad\.json has steps 1, 2, 4"
    ):
        judged(LONGEST)


def test_a_single_candidate_has_no_longest(judged, results):
    for boost in ("good", "bad"):
        results.steps("g1", boost, 2, 0.1, candidates=[{"steps": 2, "eps": None}])
    row = judged(LONGEST).iloc[0]
    assert (row["verdict"], row["unavailable"]) == ("not measured", "a single candidate length: nothing was tried")


# -- studies


def test_quantities_fall_in_order(judged, results):
    """rho of three images: -1, -0.5 (middle and last are swapped: 3, 1, 2) and 0 (all alike)."""
    results.study("led", {"d_1": {"r": [3, 3, 1]}, "d_2": {"r": [2, 1, 1]}, "d_3": {"r": [1, 2, 1]}})
    row = judged(TREND).iloc[0]
    assert (row["left"], row["right"], row["n_pairs"], row["unit"]) == (pytest.approx(-0.5), 0, 3, "image")
    assert (row["metric"], row["quantity"]) == ("d_1 to d_3", "rank correlation with their order")
    assert (row["lower"], row["than"], row["basis"], row["verdict_heldout"]) == ("r", "0", "study led", "")
    _, low, high = intervals.paired_interval([1, 0.5, 0])
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))
    row = judged({**TREND, "trend": "rises"}).iloc[0]
    assert (row["difference"], row["lower"], row["than"]) == (pytest.approx(-0.5), "0", "r")
    assert judged(TREND, {"led": "no time"})["verdict"][0] == "not measured"


def test_a_trend_over_trainings_is_of_their_means(judged, results):
    for one, last in ((results, 1), (results.training(1), 1), (results.training(2), 1.5)):
        results_of = {"d_1": {"r": [3, 3]}, "d_2": {"r": [2, 1]}, "d_3": {"r": [last, 0]}}
        one.study("led", results_of)
    assert judged(TREND, trainings=[1, 2])["verdict"][0] == "held"
    results.study("led", {"d_1": {"r": [3, 3]}, "d_2": {"r": [2, 1]}, "d_3": {"r": [1]}})
    with pytest.raises(InputError, match=r"led\.json: 2, 2, 1 values of r: expected one for each image"):
        judged(TREND)


@pytest.mark.parametrize(("probability", "verdict"), [([1, 0.999, 1], "held"), ([1, 0.5, 1], "within noise")])
def test_a_network_beside_a_number(judged, results, probability, verdict):
    results.study("led", {"p": {"r": probability}})
    row = judged(CERTAIN).iloc[0]
    assert row["verdict"] == f"{verdict}, one training"
    assert (row["lower"], row["than"], row["left"]) == ("0.99", "r", pytest.approx(0.99))
    swapped = judged({**CERTAIN, "lower": "r", "than": 0.2}).iloc[0]
    assert (swapped["than"], swapped["right"]) == ("0.2", pytest.approx(0.2))


# -- what they are made from


def test_cells_and_inputs():
    assert cells.cells(CHOICE) == [("g1", "good"), ("g2", "good")]
    assert cells.cells(LONGEST) == [("g1", "good"), ("g1", "bad")]
    assert cells.cells(TREND) == [] and cells.sweeps_of(TREND) == [] and cells.studies([TREND]) == ["led"]
    assert [one["id"] for one in cells.expand(CHOICE)] == ["c/g1", "c/g2"]
    assert cells.expand(cells.expand(CHOICE)[0]) == [cells.expand(CHOICE)[0]]
    for claim in (CHOICE, LONGEST):
        files = [cells.steps_file("r", *cell) for cell in cells.cells(claim)]
        again = [cells.steps_file(cells.training_folder("r", 1), *cell) for cell in cells.cells(claim)]
        assert cells.inputs("r", claim, {}, [1]) == files + again
        assert cells.inputs("r", claim, {"g1": "no"}) == [file for file in files if "g1" not in str(file)]
    assert cells.inputs("r", TREND, {}) == [cells.study_file("r", "led", "json")]
