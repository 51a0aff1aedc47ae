"""Several trainings of all networks: what is repeated, what an interval covers, and how tables and verdicts say so."""

from __future__ import annotations

import itertools
import random
import statistics

import numpy as np
import pandas as pd
import pytest

from pagboost.errors import InputError
from pagboost.report import claims, figures, intervals, judging, page, render, tables
from pagboost.report.cells import folders, inputs, training_folder
from pagboost.report.inequalities import Pairs

TRAININGS, SEEDS, STUDIES = 5, 3, 2000
TRUE = 0.7  # difference


# -- what an interval covers


def simulated(rng: random.Random, of_training: float, of_seed: float) -> Pairs:
    """One study: 5 trainings of 3 sampling seeds, whose differences deviate from the true one by both."""
    values = []
    for _ in range(TRAININGS):
        training, own = rng.gauss(0, of_training), []
        for _ in range(SEEDS):
            left = rng.gauss(10, 2)  # what both sides share
            own.append((left, left + TRUE + training + rng.gauss(0, of_seed)))
        values.append(own)
    return Pairs(values)


def coverage(studies) -> float:
    """How often the 95 % interval holds the true difference."""
    judged = [judging.judge(study) for study in studies]
    return statistics.fmean(one["ci_low"] <= TRUE <= one["ci_high"] for one in judged)


@pytest.mark.parametrize(("of_training", "of_seed"), [(0, 1), (0.3, 1), (1, 1), (3, 1), (1, 0)])
def test_intervals_over_trainings_hold_the_true_difference(of_training, of_seed):
    rng = random.Random(0)
    assert 0.93 <= coverage(simulated(rng, of_training, of_seed) for _ in range(STUDIES)) <= 0.97


def test_intervals_over_the_seeds_of_all_trainings_would_not():
    rng = random.Random(0)
    studies = (simulated(rng, 3, 1) for _ in range(STUDIES))
    assert coverage(Pairs([[*itertools.chain(*study.values)]]) for study in studies) < 0.85


# -- how many claims there are


def test_p_is_students():
    from scipy import stats

    values = [0.3, 1.1, 0.7, 0.2]
    assert intervals.two_sided_p(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert intervals.two_sided_p([-x for x in values]) == intervals.two_sided_p(values)
    assert (intervals.two_sided_p([1.0, 1.0]), intervals.two_sided_p([0.0, 0.0])) == (0, 1)


@pytest.mark.parametrize(
    ("p", "rejected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [True, False, False, True]),  # .005 < .05/4, .01 < .05/3, .03 > .05/2: stop
        ([0.02, 0.03, 0.04], [False] * 3),  # .02 > .05/3: the others are not asked
        ([0.04, 0.001], [True, True]),  # .001 < .05/2, .04 < .05
        ([0.04], [True]),
        ([], []),
    ],
)
def test_holms_procedure_by_hand(p, rejected):
    assert intervals.holm(p) == rejected


FALLS = {"g1": [0.99, 1.0, 1.01], "g2": [0.366, 0.566, 0.766], "g3": [1.0, 2.0, 3.0]}  # p: 0.00003, 0.039, 0.074


@pytest.fixture
def three(paper, results):
    """The claim that boosting lowers FID, for three generators."""
    for generator, falls in FALLS.items():
        raw = [10.0, 20.0, 30.0]
        results.metrics(generator, "none", raw)
        results.metrics(generator, "good", [a - b for a, b in zip(raw, falls, strict=True)])
    paper["claims"] = [paper["claims"][0] | {"each": [*FALLS]}]
    return paper


def test_verdicts_by_holm_are_over_all_that_are_judged(three, results):
    frame = claims.evaluate(three, results.root, {})
    assert frame["verdict"].map(judging.plain).tolist() == ["held", "held", "within noise"]
    assert frame["verdict_holm"].tolist() == ["held", "within noise", "within noise"]  # .039 > .05/2
    fewer = claims.evaluate(three, results.root, {"g3": "no time"})
    assert fewer["verdict_holm"].tolist() == ["held", "held", "not measured"]  # .039 < .05


def test_what_does_not_hold_does_not_by_holm_either(three, results):
    results.metrics("g1", "good", [11.0, 21.01, 31.02])
    assert claims.evaluate(three, results.root, {})["verdict_holm"][0] == "not held"


def test_people_see_both_verdicts_and_what_the_second_is(three, results):
    shown = render.claims(claims.evaluate(three, results.root, {}), three)
    column = shown.header.index("Verdict (train)")
    assert [row[column : column + 2] for row in shown.rows][1] == ["held, one training", "within noise"]
    assert "over all 3 claims" in shown.remarks[-1] and "at most 5 %" in shown.remarks[-1]


# -- what is repeated


@pytest.fixture
def again(measured):
    """A second training of the made-up paper's networks, beside the first (see `measured`)."""
    other = measured.training(1)
    other.metrics("g1", "none", [11.0, 12.0], heldout=[21.0, 23.0])
    other.metrics("g1", "good", [10.0, 10.5], heldout=[20.0, 20.5])
    other.metrics("g2", "none", [7.0, 7.5])
    other.metrics("g2", "good", [5.5, 5.75])
    return other


def row(frame, name):
    return frame.set_index("id").loc[name]


def test_a_training_is_one_difference_the_mean_over_its_sampling_seeds(paper, measured, again):
    """Falls of 3 and 4 in one training, of 1 and 1.5 in the other."""
    frame = claims.evaluate(paper, measured.root, {}, [1])
    first = row(frame, "helps/g1")
    assert (first["left"], first["right"], first["difference"]) == (9.875, 12.25, 2.375)
    _, low, high = intervals.paired_interval([3.5, 1.25])
    assert (first["ci_low"], first["ci_high"]) == pytest.approx((low, high))
    assert (first["trainings"], first["n_pairs"], first["unit"]) == (2, 2, "sampling seed")
    assert first["difference_heldout"] == pytest.approx((-0.25 + 1.75) / 2)
    assert frame["verdict"].tolist() == ["within noise"] * 4
    alone = row(claims.evaluate(paper, measured.root, {}), "helps/g1")
    assert (alone["trainings"], alone["difference"]) == (1, 3.5)
    assert alone["verdict"] == "within noise, one training"


def test_the_same_in_every_training_holds(paper, measured, again):
    for one in (measured, again):
        one.metrics("g1", "good", [9.0, 10.0])
        one.metrics("g1", "none", [10.0, 12.0], heldout=[8.0, 8.0])
    first = row(claims.evaluate(paper, measured.root, {}, [1]), "helps/g1")
    assert (first["verdict"], first["verdict_heldout"], first["protocols_agree"]) == ("held", "not held", "no")


def test_one_seed_of_one_training_is_not_judged_and_one_of_several_is(paper, measured, again):
    paper["claims"] = [paper["claims"][0] | {"each": ["g1"]}]
    for one, fall in ((measured, 1.0), (again, 1.01)):
        one.metrics("g1", "none", [10.0])
        one.metrics("g1", "good", [10.0 - fall])
    frame = claims.evaluate(paper, measured.root, {})
    assert set(frame[["verdict", "verdict_heldout", "verdict_holm"]].iloc[0]) == {"not judged: one seed"}
    assert (frame["protocols_agree"][0], frame["difference"][0]) == ("", 1.0)
    assert claims.counts(frame)["not judged"] == 1
    assert "over all 0 claims" in render.claims(frame, paper).remarks[-1]
    assert page.verdict_class("not judged: one seed") == "not-judged"
    both = claims.evaluate(paper, measured.root, {}, [1])
    assert (both["verdict"][0], both["n_pairs"][0], both["trainings"][0]) == ("held", 1, 2)


@pytest.fixture
def study_claim(paper):
    paper["claims"] = [
        {"id": "more", "text": "", "source": "", "study": "targeted", "quantity": "l2", "lower": "v", "than": "r"}
    ]
    return paper


def test_studies_are_means_over_images_by_training(study_claim, results):
    results.study("targeted", {"l2": {"r": [2.0, 13.0, 5.0], "v": [1.0, 12.0, 3.0]}})
    results.training(1).study("targeted", {"l2": {"r": [1.0, 1.0, 1.0], "v": [0.0, 0.0, 0.0]}})
    more = row(claims.evaluate(study_claim, results.root, {}, [1]), "more")
    _, low, high = intervals.paired_interval([4 / 3, 1])
    assert (more["ci_low"], more["ci_high"]) == pytest.approx((low, high))
    assert (more["n_pairs"], more["unit"], more["trainings"]) == (3, "image", 2)
    results.study("targeted", {"l2": {"r": [2.0], "v": [1.0]}})
    assert row(claims.evaluate(study_claim, results.root, {}), "more")["verdict"] == "not judged: one image"
    with pytest.raises(
        InputError, match=r"training=1/studies/targeted\.json: l2 has 3 values, but .*targeted\.json has 1: .*every"
    ):
        claims.evaluate(study_claim, results.root, {}, [1])


def test_the_best_of_a_sweep_is_chosen_on_the_other_seeds_of_its_training(paper, results):
    """By hand: 6, 9 and 5 are chosen in one training (see test_sweeps), 9, 6 and 5 in the other."""
    for one, wild, alone in ((results, [1.0, 9.0, 5.0], 0), (results.training(4), [9.0, 1.0, 5.0], 1)):
        one.metrics("wild", "none", wild)
        one.metrics("steady", "none", [6.0, 6.0, 6.0])
        one.metrics("alone", "none", [7.0 + alone, 8.0 + alone, 9.0 + alone])
    best = {"lower": {"wild": 1, "steady": 2}, "than": {"alone": 0}}
    paper["claims"] = [{"id": "c", "text": "", "source": "", "metric": "fid", "best": best}]
    frame = claims.evaluate(paper, results.root, {}, [4])
    assert frame["left"][0] == pytest.approx(20 / 3)
    _, low, high = intervals.paired_interval([4 / 3, 7 / 3])
    assert (frame["ci_low"][0], frame["ci_high"][0]) == pytest.approx((low, high))
    assert "Every training chooses for itself" in render.claims(frame, paper).remarks[1]


def test_other_sampling_seeds_in_a_training_are_refused(paper, measured, again):
    again.metrics("g1", "good", [9.0, 10.0, 11.0])
    message = r"training=1/metrics/g1/boost=good\.json: heldout has sampling seeds 0, 1, 2, but .*has 0, 1: .*every"
    with pytest.raises(InputError, match=message):
        claims.evaluate(paper, measured.root, {}, [1])
    with pytest.raises(InputError, match=message):
        tables.table(paper, "table1", measured.root, {}, {}, [1])


def test_labels_of_other_sampling_seeds_in_a_training_are_refused(paper, measured, again):
    for boost in ("plain", "good"):
        measured.labels("g1", boost, {"0": [4, 0], "1": [3, 1]})
        again.labels("g1", boost, {"0": [4, 0]})
    paper["claims"] = [{"id": "even", "text": "", "source": "", "metric": "total_variation", "each": ["g1"],
                        "lower": {"boost": "good"}, "than": {"boost": "plain"}}]  # fmt: skip
    with pytest.raises(
        InputError, match=r"training=1/steps/g1/boost=good\.json: target labels have sampling seeds 0, but .*0, 1: "
    ):
        claims.evaluate(paper, measured.root, {}, [1])


def test_trainings_that_were_measured_differently_are_refused(paper, measured, again):
    again.metrics("g1", "good", [9.0, 10.0], extractor_sha256="b" * 64)
    for make in (lambda: claims.evaluate(paper, measured.root, {}, [1]),
                 lambda: tables.table(paper, "table1", measured.root, {}, {}, [1])):  # fmt: skip
        with pytest.raises(InputError, match=r"training=1/metrics/g1/boost=good\.json: train measured with extractor"):
            make()


def test_a_missing_training_is_named(paper, measured):
    with pytest.raises(InputError, match=r"training=1/metrics/g1/boost=good\.json: no such file"):
        claims.evaluate(paper, measured.root, {}, [1])


# -- what people read


def test_tables_are_over_trainings(paper, measured, again, tmp_path):
    frame = tables.table(paper, "table1", measured.root, {"g2": "no data"}, {}, [1])
    good = frame.iloc[1]
    assert good["fid_train"] == (9.5 + 10.25) / 2
    assert good["fid_train_std"] == pytest.approx(statistics.stdev([9.5, 10.25]))
    assert good["fid_train_std_seeds"] == pytest.approx(((0.5 + 0.125) / 2) ** 0.5)  # variances of 9, 10 and 10, 10.5
    assert good["fid_train_improvement_percent"] == pytest.approx(100 * (12.25 - 9.875) / 12.25)
    assert frame["n_trainings"].tolist()[:2] == [2, 2] and pd.isna(frame["n_trainings"][2])
    tables.save(frame, tmp_path / "t.csv")
    shown = render.people(tables.load(tmp_path / "t.csv"), paper["tables"]["table1"], paper)
    assert shown.rows[1][2] == "9.88 ± 0.53 (8.00)"
    assert shown.shared["measured"] == (
        "Measured: mean ± standard deviation over 2 trainings of all networks; the number of a training is the mean "
        "over its 2 sampling seeds."
    )


def test_a_table_of_one_training_has_no_further_columns(paper, measured):
    frame = tables.table(paper, "table1", measured.root, {}, {})
    assert not [name for name in frame if "trainings" in name or name.endswith("_std_seeds")]


def test_other_tables_and_figures_are_of_the_first_training_and_say_so(paper, measured, again):
    frame = tables.table(paper, "table2", measured.root, {}, {}, [1])
    assert frame["note"].tolist() == ["Of the first training alone."]
    for boost in ("none", "good"):
        measured.samples("g1", boost, np.zeros((2, 8, 8, 1), np.uint8), [0, 1])
    given = paper, "figure1", measured.root, {"g2": "no data"}
    assert figures.figure(*given, [1])[1] == f"{figures.figure(*given)[1]} Of the first training."


def test_sweeps_are_drawn_over_trainings(paper, measured, again):
    series = [{"name": "Guided", "points": {"g1": 0, "g2": 1}}]
    paper["figures"]["x"] = {"kind": "sweep", "title": "T", "place": "P", "axis": "s", "series": series,
                             "plots": [{"metric": "fid", "protocol": "train"}]}  # fmt: skip
    caption = figures.figure(paper, "x", measured.root, {}, [1])[1]
    assert "the mean over 2 trainings of 2 sampling seeds each, bars the standard deviation over trainings" in caption


def test_claims_say_over_how_many_trainings(paper, measured, again):
    measured.study("targeted", {"l2": {"r": [2.0, 3.0], "v": [1.0, 1.5]}})
    again.study("targeted", {"l2": {"r": [2.0, 3.0], "v": [1.0, 1.5]}})
    study = {"id": "more", "text": "More", "source": "Fig. 2", "study": "targeted", "quantity": "l2"}
    paper["claims"] = [paper["claims"][1], study | {"lower": "v", "than": "r"}]
    frame = claims.evaluate(paper, measured.root, {}, [1])
    shown = render.claims(frame, paper)
    assert [line[2] for line in shown.rows] == [
        "train over 2 trainings of 2 sampling seeds",
        "study targeted over 2 trainings of 2 images",
    ]
    assert "over 2 trainings of all networks" in shown.remarks[0] and "trained once" not in shown.remarks[0]
    assert render.trainings_of(frame) == "over 2 trainings"
    assert render.trainings_of(claims.evaluate(paper, measured.root, {"none": "no time", "targeted": "no time"})) == ""


def test_provenance_counts_all_trainings(paper, measured, again):
    facts = dict(page.provenance([paper], measured.root, {"g2": "no data"}, [], [1]))
    assert (facts["trainings of all networks"], facts["sample sets scored"]) == ("2", "4")


# -- where it lies


def test_folders_of_trainings():
    assert [path.as_posix() for path in folders("results/x", [1, 12])] == [
        "results/x",
        "results/x/training=1",
        "results/x/training=12",
    ]
    assert training_folder("results/x", None) == folders("results/x")[0]


def test_inputs_of_what_is_over_trainings_and_of_what_shows_the_first(paper):
    claim, table, steps = paper["claims"][1], paper["tables"]["table1"], paper["tables"]["table2"]
    study, series = {"study": "attack"}, [{"name": "S", "points": {"g1": 0}}]
    sweep = {"kind": "sweep", "series": series, "plots": [{"metric": "fid", "protocol": "train"}]}
    for part in (claim, table, study, sweep, {**claim, "metric": "total_variation"}):
        alone = inputs("results", part, {})
        others = [training_folder("results", 7) / path.relative_to("results") for path in alone]
        assert alone and inputs("results", part, {}, [7]) == [*alone, *others]
    for part in (steps, paper["figures"]["figure1"], {"kind": "targeted", "study": "attack"}):
        assert inputs("results", part, {}, [7]) == inputs("results", part, {}) != []
