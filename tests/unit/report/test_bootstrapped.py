"""One training and one sampling seed: verdicts by resamplings of the images, and where they come from."""

from __future__ import annotations

import random
import statistics

import pytest

from pagboost import artifacts
from pagboost.report import claims, inequalities, intervals, judging, render
from pagboost.report.cells import metrics_file
from pagboost.report.inequalities import Pairs

DRAWS = 100


def drawn(value: float, noise: list[float]) -> list[float]:
    """A metric under resamplings, which raise it: only their spread is to count."""
    return [value + 0.8 + one for one in noise]


@pytest.fixture
def noise() -> list[float]:
    rng = random.Random(0)
    return [rng.gauss(0, 1) for _ in range(DRAWS)]


@pytest.fixture
def one_seed(paper, results, noise):
    """Raw and boosted sets of one seed; both sides of a claim share most of their noise."""
    rng = random.Random(1)
    values = {("g1", "none"): 12.0, ("g1", "good"): 11.0, ("g2", "none"): 6.0, ("g2", "good"): 5.95}
    for (generator, boost), fid in values.items():
        path = results.metrics(generator, boost, [fid])
        content = artifacts.load_json(path)
        for protocol in content["protocols"].values():
            own = [one + rng.gauss(0, 0.1) for one in noise]
            protocol["draws"] = {"0": {"fid": drawn(fid, own)}}
        artifacts.save_json(path, content)
    return paper


def test_a_verdict_of_one_seed_rests_on_the_same_images_of_both_sides(one_seed, results):
    frame = claims.evaluate(one_seed, results.root, {}).set_index("id")
    first, second = frame.loc["helps/g1"], frame.loc["helps/g2"]
    assert (first["verdict"], second["verdict"]) == ("held, one training", "within noise, one training")
    assert first["difference"] == 1.0 and first["n_pairs"] == 1
    # apart, each side varies by 1.0: only as pairs do they differ by 0.14
    assert 0.2 < first["ci_high"] - first["difference"] < 0.35
    assert first["ci_low"] == pytest.approx(2 * first["difference"] - first["ci_high"])
    assert first["basis"] == "train, bootstrap of one sampling seed"
    assert (first["verdict_heldout"], first["protocols_agree"]) == ("held, one training", "yes")
    assert first["verdict_holm"] == "held"
    assert frame.loc["gain_shrinks", "verdict"].startswith("held")  # gains, and means over generators
    assert frame.loc["on_average", "ci_low"] > 0


def test_people_read_what_the_interval_is_of(one_seed, results):
    frame = claims.evaluate(one_seed, results.root, {})
    shown = render.claims(frame, one_seed)
    column = shown.header.index("Measured by")
    assert {row[column] for row in shown.rows} == {"train, bootstrap of one sampling seed over 1 sampling seed"}
    assert shown.header[3] == "Verdict (train)"
    assert "over resamplings of the images" in shown.remarks[0] and "is not judged" not in shown.remarks[0]


def test_without_resamplings_one_seed_is_not_judged(paper, results):
    for generator in ("g1", "g2"):
        for boost in ("none", "good"):
            results.metrics(generator, boost, [5.0])
    frame = claims.evaluate(paper, results.root, {})
    assert set(frame["verdict"]) == {"not judged: one seed"} and set(frame["basis"]) == {"train"}


def test_sides_with_unlike_numbers_of_resamplings_are_not_judged(one_seed, results):
    path = metrics_file(results.root, "g1", "good")
    content = artifacts.load_json(path)
    content["protocols"]["train"]["draws"]["0"]["fid"].pop()
    artifacts.save_json(path, content)
    frame = claims.evaluate(one_seed, results.root, {}).set_index("id")
    assert frame.loc["helps/g1", "verdict"] == "not judged: one seed"
    assert frame.loc["helps/g1", "verdict_heldout"] == "held, one training"


def test_where_something_is_repeated_resamplings_do_not_count(one_seed, results):
    for generator in ("g1", "g2"):
        for boost in ("none", "good"):
            results.training(1).metrics(generator, boost, [7.0 if boost == "none" else 6.0])
    found = claims.evaluate(one_seed, results.root, {}, [1]).set_index("id").loc["helps/g1"]
    assert found["basis"] == "train" and found["trainings"] == 2
    _, low, _ = intervals.paired_interval([1.0, 1.0])
    assert found["ci_low"] == pytest.approx(low)


def test_a_rank_correlation_that_no_resampling_changes_is_held(paper, results):
    for generator, fid in (("g1", 3.0), ("g2", 2.0), ("g3", 1.0)):
        path = results.metrics(generator, "none", [fid])
        content = artifacts.load_json(path)
        content["protocols"]["train"]["draws"] = {"0": {"fid": [fid, fid + 0.1]}}
        artifacts.save_json(path, content)
    sweep = {"g1": 0.5, "g2": 1.0, "g3": 2.0}
    paper["claims"] = [
        {
            "id": "falls",
            "text": "",
            "source": "",
            "metric": "fid",
            "sweep": sweep,
            "trend": "falls",
            "protocol": "train",
        }
    ]
    found = claims.evaluate(paper, results.root, {}).iloc[0]
    assert (found["difference"], found["ci_low"], found["verdict"]) == (1.0, 1.0, "held, one training")


def test_p_of_draws_is_the_normal_law_s(noise):
    from scipy import stats

    one = intervals.Bootstrapped(1.5, noise)
    error = statistics.stdev(noise)
    mean, low, high = intervals.paired_interval(one)
    assert (mean, low, high) == pytest.approx((1.5, *stats.norm.interval(0.95, 1.5, error)))
    assert intervals.two_sided_p(one) == pytest.approx(2 * stats.norm.sf(1.5 / error))
    assert intervals.one_sided_p(one.opposite()) == pytest.approx(1 - intervals.one_sided_p(one))


@pytest.mark.parametrize(
    ("lower", "spread", "expected"), [(10.0, 0.1, "held"), (10.0, 1.0, "within noise"), (11.5, 0.1, "not held")]
)
def test_about_equal(noise, lower, spread, expected):
    draws = [(lower + spread * one, 10.0) for one in noise]
    found = judging.judge(Pairs([[(lower, 10.0)]], draws=draws), 5)
    assert judging.plain(found["verdict"]) == expected
    assert (found["p"] < 0.05) == (expected != "within noise")


def test_the_basis_says_so():
    assert inequalities.basis({"metric": "fid"}, "train") == "train"
    assert inequalities.basis({"metric": "fid"}, "train", True) == "train, bootstrap of one sampling seed"
