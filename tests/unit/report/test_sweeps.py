"""Claims about sweeps of the guidance scale: by hand, and that choosing the best of many is no advantage by itself."""

from __future__ import annotations

import random
import statistics

import pandas as pd
import pytest

from pagboost.errors import InputError
from pagboost.report import claims, intervals, render, sweeps

A = {"a0": 0, "a1": 0.5, "a2": 1, "a3": 2}
SHORT = {"b1": 0.25, "b2": 4}
FIDS = {
    "a0": [1.0, 1.0],
    "a1": [2.0, 3.0],
    "a2": [3.0, 2.0],
    "a3": [4.0, 4.0],
    "b1": [5.0, 7.0],
    "b2": [6.0, 6.0],
}
NAMED = {"id": "c", "text": "A claim", "source": "Table 5", "metric": "fid"}


@pytest.fixture
def swept(results):
    for generator, fids in FIDS.items():
        results.metrics(generator, "none", fids, heldout=[10 - fid for fid in fids])
    return results


def judge(paper, results, unavailable=None, **claim):
    frame = claims.evaluate(paper | {"claims": [NAMED | claim]}, results.root, unavailable or {})
    return frame.iloc[0]


def test_a_rising_trend_is_a_rank_correlation_with_s_above_0(paper, swept):
    """Seed 0 ranks like s; seed 1 has two neighbours swapped: rho = 1 - 6 * 2 / (4 * 15) = 0.8."""
    row = judge(paper, swept, trend="rises", sweep=A)
    assert (row["left"], row["right"], row["difference"]) == (0, pytest.approx(0.9), pytest.approx(0.9))
    assert (row["lower"], row["than"]) == ("0", "a0: 0, a1: 0.5, a2: 1, a3: 2")
    assert (row["quantity"], row["basis"], row["n_pairs"]) == ("rank correlation with s", "train", 2)
    assert row["difference_heldout"] == pytest.approx(-0.9)
    assert pd.isna(row["improvement_percent"])


def test_a_falling_trend_is_below_0(paper, swept):
    row = judge(paper, swept, trend="falls", sweep=A)
    assert (row["left"], row["right"], row["difference"]) == (pytest.approx(0.9), 0, pytest.approx(-0.9))
    assert (row["lower"], row["than"]) == ("a0: 0, a1: 0.5, a2: 1, a3: 2", "0")
    assert row["difference_heldout"] == pytest.approx(0.9)


def test_order_in_the_file_does_not_matter(paper, swept):
    backwards = dict(reversed(A.items()))
    assert judge(paper, swept, trend="rises", sweep=backwards)["difference"] == pytest.approx(0.9)


def test_what_s_does_not_change_has_no_trend(paper, swept):
    row = judge(paper, swept, metric="precision", trend="rises", sweep=A)
    assert (row["right"], row["verdict"]) == (0, "within noise, one training")


def test_a_sweep_of_one_s_is_refused(paper, swept):
    with pytest.raises(InputError, match=r"claims\.c\.sweep: all 4 values are equal"):
        judge(paper, swept, trend="rises", sweep=dict.fromkeys(A, 1))


def test_the_best_is_chosen_on_the_other_seeds(paper, results):
    """For seed 0 the others favour `steady` (6 to (9 + 5) / 2), for 1 and 2 `wild` (3 and 5 to 6): 6, 9 and 5."""
    results.metrics("wild", "none", [1.0, 9.0, 5.0])
    results.metrics("steady", "none", [6.0, 6.0, 6.0])
    results.metrics("alone", "none", [7.0, 8.0, 9.0])
    row = judge(paper, results, best={"lower": {"wild": 1, "steady": 2}, "than": {"alone": 0}})
    assert (row["left"], row["right"], row["n_pairs"]) == (pytest.approx(20 / 3), 8, 3)
    _, low, high = intervals.paired_interval([7 - 6, 8 - 9, 9 - 5])
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))
    assert row["quantity"] == "best of sweep, chosen on the other seeds"
    assert (row["lower"], row["than"]) == ("wild: 1, steady: 2", "alone: 0")
    assert row["improvement_percent"] == pytest.approx(100 * (8 - 20 / 3) / 8)


def test_the_best_of_many_equals_is_not_better():
    """Eight generators of one distribution against one of the same: choosing on the judged seed itself would win."""
    rng = random.Random(0)
    many, one = {f"g{i}": i for i in range(8)}, {"h": 0}
    claim = {"id": "c", "metric": "fid", "best": {"lower": many, "than": one}}
    honest, flattered = [], []
    for _ in range(150):
        by_seed = {str(seed): {(g, "none"): rng.gauss(0, 1) for g in (*many, *one)} for seed in range(4)}
        others = sweeps.other_seeds(by_seed)
        for chosen_on, differences in ((others, honest), (by_seed, flattered)):
            for seed, values in by_seed.items():
                left, right = sweeps.sides(claim, values, chosen_on[seed])
                differences.append(right - left)
    assert abs(statistics.fmean(honest)) < 3 * statistics.stdev(honest) / len(honest) ** 0.5
    assert statistics.fmean(flattered) > 1  # the least of eight standard normal values lies at -1.42


def test_other_seeds_do_not_see_their_own():
    by_seed = {"0": {("g", "none"): 1.0}, "1": {("g", "none"): 2.0}, "2": {("g", "none"): 6.0}}
    assert [cells["g", "none"] for cells in sweeps.other_seeds(by_seed).values()] == [4.0, 3.5, 1.5]


@pytest.mark.parametrize(("metric", "best"), [("fid", "a"), ("inception_score", "b"), ("precision", "b")])
def test_better_goes_with_the_metric_and_of_equals_the_smallest_s_counts(metric, best):
    values = {("a", "none"): 1.0, ("b", "none"): 2.0, ("late", "none"): 1.0 if best == "a" else 2.0}
    assert sweeps.best_of({"late": 3, "a": 1, "b": 2}, values, metric) == best


def test_the_lower_side_of_a_best_is_the_lower_metric_also_where_higher_is_better(paper, swept):
    """conftest: inception_score = 10 - fid / 10, so the best of A is a0 with 9.9, that of SHORT 9.5 and 9.3."""
    row = judge(paper, swept, metric="inception_score", best={"lower": SHORT, "than": A})
    assert row["left"] == pytest.approx((9.4 + 9.3) / 2)  # seed 1 favours b2, seed 0 favours b1
    assert row["right"] == pytest.approx(9.9)
    assert pd.isna(row["improvement_percent"])


def test_an_optimum_is_the_s_of_each_seeds_best(paper, swept):
    row = judge(paper, swept, optimum={"lower": A, "than": SHORT})
    assert (row["left"], row["right"]) == (0, (0.25 + 4) / 2)
    assert (row["quantity"], row["n_pairs"]) == ("s of the best", 2)
    assert pd.isna(row["improvement_percent"])
    assert row["left_heldout"] == 2  # 10 - fid there: the best is a3


def test_a_single_seed_has_nothing_to_choose_on(paper, results):
    for generator in (*A, *SHORT):
        results.metrics(generator, "none", [1.0 + len(generator)])
    row = judge(paper, results, best={"lower": A, "than": SHORT})
    assert row["verdict"] == row["verdict_heldout"] == "not measured"
    assert row["unavailable"].startswith("a single sampling seed")
    assert pd.isna(row["left"])
    assert judge(paper, results, optimum={"lower": A, "than": SHORT})["verdict"] == "not judged: one seed"


def test_generators_that_a_scale_cannot_have_leave_their_sweep_and_are_named(paper, swept):
    unavailable = {"a0": "too large", "a1/none": "no time", "b1": "too large"}
    row = judge(paper, swept, unavailable, optimum={"lower": A, "than": SHORT}, note="A remark.")
    assert (row["left"], row["right"], row["unavailable"]) == (1, 4, "")  # of a2 and a3 the best is a2
    assert row["note"] == "A remark. Judged without a0, b1: too large; without a1: no time."
    assert row["lower"] == "a0: 0, a1: 0.5, a2: 1, a3: 2"


@pytest.mark.parametrize(
    ("claim", "unavailable", "message"),
    [
        (
            {"trend": "rises", "sweep": A},
            {"a0": "too large", "a3": "too large"},
            "2 of 4 generators left, trend needs 3 of each sweep: without a0, a3: too large",
        ),
        (
            {"best": {"lower": A, "than": SHORT}},
            {"b1": "too large", "b2": "no time"},
            "4 of 4 and 0 of 2 generators left, best needs 1 of each sweep: without b1: too large; without b2: no time",
        ),
        (
            {"optimum": {"lower": A, "than": SHORT}},
            {"none": "no samples"},
            "0 of 4 and 0 of 2 generators left, optimum needs 1 of each sweep: "
            "without a0, a1, a2, a3, b1, b2: no samples",
        ),
    ],
)
def test_too_little_of_a_sweep_is_not_measured(paper, swept, claim, unavailable, message):
    row = judge(paper, swept, unavailable, **claim)
    assert row["verdict"] == row["verdict_heldout"] == "not measured"
    assert (row["unavailable"], row["note"]) == (message, "")


def test_three_generators_are_a_trend(paper, swept):
    assert judge(paper, swept, {"a3": "too large"}, trend="rises", sweep=A)["right"] == pytest.approx((1 + 0.5) / 2)


@pytest.fixture
def printed(paper):
    """Kawar et al. 2023, Table 5 without s = 0.0625 (both optima at 0.125), for generators a and b; a0 in both."""
    rows = {"a0": 7.67, "a1": 7.62, "a2": 7.65, "a3": 7.87, "b1": 7.58, "b2": 7.60, "b3": 7.79}
    paper["tables"]["table1"]["rows"] = [
        {"generator": name, "boost": "none", "reported": {"fid": value}} for name, value in rows.items()
    ]
    return paper


VANILLA = {"a0": 0, "a1": 0.125, "a2": 0.25, "a3": 0.5}
ROBUST = {"a0": 0, "b1": 0.125, "b2": 0.25, "b3": 0.5}


@pytest.mark.parametrize(
    ("claim", "left", "right", "holds"),
    [
        ({"best": {"lower": ROBUST, "than": VANILLA}}, 7.58, 7.62, "yes"),
        ({"best": {"lower": VANILLA, "than": ROBUST}}, 7.62, 7.58, "no"),
        ({"optimum": {"lower": VANILLA, "than": ROBUST}}, 0.125, 0.125, "no"),
        ({"optimum": {"lower": {"a0": 0}, "than": ROBUST}}, 0, 0.125, "yes"),
        ({"trend": "rises", "sweep": VANILLA}, 0, 0.4, "yes"),  # ranks 3, 1, 2, 4: 1 - 6 * 6 / 60
        ({"trend": "falls", "sweep": ROBUST}, 0.4, 0, "no"),
        ({"trend": "rises", "sweep": VANILLA | {"unprinted": 1}}, 0, 0.4, "yes"),
        ({"trend": "rises", "sweep": {"a0": 0, "a1": 0.125, "unprinted": 1}}, None, None, ""),
        ({"best": {"lower": ROBUST | {"unprinted": 1}, "than": VANILLA}}, 7.58, 7.62, "yes"),
        ({"optimum": {"lower": {"unprinted": 1}, "than": VANILLA}}, None, None, ""),
    ],
)
def test_the_papers_own_numbers_count_also_for_what_this_scale_cannot_have(printed, results, claim, left, right, holds):
    row = judge(printed, results, {"none": "not here"}, **claim)
    assert row["holds_in_paper"] == holds
    if holds:
        assert (row["reported_left"], row["reported_right"]) == pytest.approx((left, right))


def test_percentages_of_a_best_are_those_of_fid(printed, results):
    row = judge(printed, results, {"none": "not here"}, best={"lower": ROBUST, "than": VANILLA})
    assert row["improvement_percent_reported"] == pytest.approx(100 * 0.04 / 7.62)


def test_a_sweep_under_a_protocol_of_its_own_is_judged_once(paper, swept):
    row = judge(paper, swept, trend="falls", sweep=A, protocol="heldout")
    assert (row["basis"], row["difference"], row["verdict_heldout"]) == ("heldout", pytest.approx(0.9), "")


def test_an_unavailable_protocol_leaves_the_other(paper, swept):
    row = judge(paper, swept, {"heldout": "one split"}, best={"lower": A, "than": SHORT})
    assert (row["verdict_heldout"], row["unavailable"]) == ("not measured", "")
    assert row["verdict"] != "not measured"


def test_seeds_and_protocols_must_be_those_of_the_whole_sweep(paper, swept):
    swept.metrics("a2", "none", [3.0, 2.0, 1.0])
    with pytest.raises(InputError, match=r"a2/boost=none\.json: train has sampling seeds 0, 1, 2, but .*claim c pairs"):
        judge(paper, swept, trend="rises", sweep=A)
    swept.metrics("a2", "none", [3.0, 2.0], n=500)
    with pytest.raises(InputError, match=r"a2/boost=none\.json: train measured with n 500"):
        judge(paper, swept, trend="rises", sweep=A)


def test_sweeps_for_people(paper, swept):
    optimum, plain = {"optimum": {"lower": A, "than": SHORT}}, {"lower": "a0", "than": "b1"}
    plain = {side: {"generator": generator, "boost": "none"} for side, generator in plain.items()}
    shown, without = (
        render.claims(claims.evaluate(paper | {"claims": [NAMED | claim]}, swept.root, {}), paper)
        for claim in (optimum, plain)
    )
    assert shown.rows[0][4].startswith("+2.125 (")  # s to three places, fid would have two
    assert shown.remarks[1] == render.SWEEPS + render.SWEEPS_OF_ONE
    assert not any(remark.startswith(render.SWEEPS) for remark in without.remarks)
