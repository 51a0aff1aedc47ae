"""How long to walk: lengths carried over, plans from a boost's entry, and the choice on validation samples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pagboost.boosting import lengths, walks
from pagboost.boosting.lengths import Plan
from pagboost.boosting.walks import Boost, Guide
from pagboost.errors import InputError

CPU = torch.device("cpu")
PGD = {"objective": "ce", "sampler": "pgd", "alpha": 0.1}
BIGROC = {"objective": "ce", "sampler": "pgd", "steps": 30, "eps": "published", "labels": "debiased"}
RADII = {"eps": 4.0, "pixels": 256, "multiples": [1, 2]}


@pytest.fixture
def guide(classifier):
    return Guide(classifier, num_classes=3, channels=1, size=8)


def test_candidate_steps_carry_the_published_path_over():
    # 10 steps of 0.5 at 400 values are 2.5 at 100 values, and 12.5 steps of 0.2 there
    published = {"steps": 10, "alpha": 0.5, "pixels": 400, "multiples": [0.01, 1, 2, 2.001]}
    assert lengths.candidate_steps(0.2, 100, published) == [1, 12, 25]
    assert lengths.candidate_steps(0.5, 300, {**published, "pixels": 300, "multiples": [1]}) == [10]


@pytest.mark.parametrize("key", ["steps", "alpha", "pixels", "multiples"])
def test_published_steps_are_complete(key):
    published = {"steps": 1, "alpha": 0.1, "pixels": 64, "multiples": [1]}
    del published[key]
    with pytest.raises(InputError, match=f"published: missing key {key}"):
        lengths.candidate_steps(0.1, 64, published)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"multiples": 3}, "published.multiples: 3, expected a list of numbers above 0"),
        ({"multiples": []}, r"published.multiples: \[\], expected a list"),
        ({"multiples": [True]}, "published.multiples: True, expected a number above 0"),
        ({"steps": [1]}, r"published.steps: \[1\], expected a number above 0"),
        ({"steps": 1e300, "alpha": 1e300}, "published: inf steps of 0.1, expected at most 2147483647"),
    ],
)
def test_published_steps_are_numbers(change, message):
    with pytest.raises(InputError, match=message):
        lengths.candidate_steps(0.1, 64, {"steps": 1, "alpha": 0.1, "pixels": 64, "multiples": [1]} | change)


def test_a_published_radius_becomes_walks_of_t_steps_of_eps_over_t(guide):
    made = lengths.plans(BIGROC, guide, published=RADII)  # at 64 values: 2.0 and 4.0
    assert [(plan.steps, plan.boost.eps, plan.boost.alpha) for plan in made] == [(30, 2.0, 2 / 30), (30, 4.0, 4 / 30)]
    assert lengths.described(made[1], guide, 16, RADII) == {
        "steps": 30,
        "alpha": 8 / 30,
        "eps": 8.0,
        "norm": "l2",
        "published_eps": 4.0,
        "scaled_eps": 4.0,
    }


def test_a_step_length_leaves_the_number_of_steps_open(guide):
    published = {"steps": 1, "alpha": 0.1, "pixels": 64, "multiples": [1, 3]}
    made = lengths.plans(PGD, guide, published=published)
    assert made == [Plan(Boost.of(PGD), 1), Plan(Boost.of(PGD), 3)]
    assert lengths.described(made[1], guide, 8, published) == {"steps": 3, "alpha": 0.1, "eps": None, "norm": "l2"}


@pytest.mark.parametrize(
    ("options", "given", "eps"),
    [
        (BIGROC, {"eps": 0.7}, 0.7),
        (BIGROC | {"eps": {"value": 10.0, "pixels": 256}}, {}, 5.0),
        (BIGROC | {"eps": {"percentile": 70, "of": "wide"}, "norm": "linf"}, {"like": 0.2}, 0.2),
    ],
)
def test_a_known_radius_is_a_single_plan(guide, options, given, eps):
    (plan,) = lengths.plans(options, guide, **given)
    assert (plan.steps, plan.boost.eps, plan.boost.alpha) == (30, eps, pytest.approx(eps / 30))
    assert plan.boost.norm == options.get("norm", "l2")


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        (PGD | {"steps": 3}, {}, "either alpha"),
        ({"objective": "ce", "sampler": "pgd"}, {}, "either alpha"),
        (PGD, {}, "has alpha, expected its number of steps"),
        (PGD, {"eps": 1.0}, "has alpha, expected its number of steps .* and no radius"),
        (PGD, {"steps": 3, "like": 1.0}, "and no radius"),
        (PGD, {"published": {}}, "published: missing key steps"),
        (BIGROC, {}, r"boost.eps: published, expected the radius \(--eps\)"),
        (BIGROC, {"published": {}}, "published: missing key eps"),
        (BIGROC, {"published": RADII | {"eps": "1e0"}}, "published.eps: '1e0', expected a number above 0"),
        (BIGROC, {"published": RADII | {"multiples": [1, 0]}}, "published.multiples: 0, expected"),
        (BIGROC, {"eps": float("inf")}, "eps: inf, expected a number above 0"),
        (BIGROC, {"eps": float("nan")}, "eps: nan, expected"),
        (BIGROC | {"steps": 0}, {"eps": 1.0}, "boost.steps: 0, expected an integer above 0"),
        (BIGROC | {"steps": 1.5}, {"eps": 1.0}, "boost.steps: 1.5, expected an integer above 0"),
        (BIGROC | {"eps": {"value": "1", "pixels": 64}}, {}, "boost.eps.value: '1', expected a number above 0"),
        (BIGROC, {"steps": 3}, "--steps 3: the boost takes 30 steps, expected --eps"),
        (BIGROC | {"eps": 1.0}, {}, "boost.eps: 1.0, expected published"),
        (BIGROC | {"eps": {"value": 1.0}}, {}, "missing key pixels"),
        (BIGROC | {"eps": {"percentile": 70, "of": "wide"}}, {}, "percentile of wide, expected its boosted samples"),
    ],
)
def test_an_entry_that_does_not_say_how_far_is_refused(guide, options, given, message):
    with pytest.raises(InputError, match=message):
        lengths.plans(options, guide, **given)


def test_an_linf_radius_is_per_pixel_and_not_carried_over(guide):
    linf = BIGROC | {"norm": "linf"}
    (plan,) = lengths.plans(linf | {"eps": {"value": 0.03, "pixels": 3072}}, guide)
    assert plan.boost.eps == 0.03
    made = lengths.plans(linf, guide, published={"eps": 0.03, "pixels": 3072, "multiples": [1, 2]})
    assert [plan.boost.eps for plan in made] == [0.03, 0.06]
    assert lengths.described(made[0], guide, 16, {"eps": 0.03, "pixels": 3072})["scaled_eps"] == 0.03


# -- the radius that another boost's change sets


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PGD, "boost.eps: None, expected percentile"),
        (BIGROC, "boost.eps: published, expected percentile"),
        (BIGROC | {"eps": {"percentile": 70, "of": "wide"}}, "boost.norm: l2, expected linf"),
        (BIGROC | {"eps": {"percentile": "70", "of": "wide"}, "norm": "linf"}, "boost.eps.percentile: '70', expected"),
        (BIGROC | {"eps": {"percentile": 101, "of": "wide"}, "norm": "linf"}, "percentile: 101, expected at most 100"),
    ],
)
def test_a_boost_that_asks_for_no_percentile_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        lengths.percentile_asked(options)


def test_the_percentile_of_change_is_over_all_pixels(samples):
    changed = samples.images.astype(int)
    changed.reshape(-1)[: changed.size // 4] += np.where(changed.reshape(-1)[: changed.size // 4] < 128, 51, -51)
    boosted = samples.with_images(changed.astype(np.uint8))
    assert lengths.percentile_of_change(boosted, samples, 80, "wide.npz") == pytest.approx(0.2)
    with pytest.raises(InputError, match=r"wide.npz: 70 % of its pixels are unchanged"):
        lengths.percentile_of_change(boosted, samples, 70, "wide.npz")
    with pytest.raises(InputError, match=r"wide.npz: holds other samples"):
        lengths.percentile_of_change(boosted.subset(np.arange(11, -1, -1)), samples, 70, "wide.npz")


def test_linf_moves_every_pixel_by_at_most_eps_at_every_size(guide, y):
    boost = Boost.of(PGD | {"norm": "linf", "eps": 0.06, "alpha": 0.02})
    assert boost.scaled(16, 8) == boost
    x = torch.full((12, 1, 8, 8), 0.5)
    *_, end = walks.walk(guide, boost, x, y, None, 5)
    assert float((end - x).abs().max()) == pytest.approx(0.06, abs=1e-6)


# -- the choice


@pytest.mark.parametrize(("fids", "chosen"), [([3.0, 1.0, 2.0], 2), ([1.0, 1.0, 1.0], 1), ([2.0, 1.0, 1.0], 2)])
def test_the_lowest_validation_score_wins_and_ties_go_to_fewer_steps(guide, samples, fids, chosen):
    plans = [Plan(Boost.of(PGD), steps) for steps in (1, 2, 3)]
    given = iter(fids)
    plan, tried = lengths.choose(guide, plans, samples, lambda _: next(given), 12, CPU)
    assert plan.steps == chosen
    assert tried == [{"steps": n, "eps": None, "fid": fid} for n, fid in zip((1, 2, 3), fids, strict=True)]


def test_radii_are_each_walked_and_scored(guide, samples):
    plans = lengths.plans(BIGROC | {"steps": 2}, guide, published={"eps": 0.2, "pixels": 64, "multiples": [1, 2]})
    walked = []
    plan, tried = lengths.choose(guide, plans, samples, lambda made: walked.append(made) or -len(walked), 12, CPU)
    assert [entry["eps"] for entry in tried] == [0.2, 0.4]
    assert plan is plans[1]
    for made, one in zip(walked, plans, strict=True):
        alone = walks.boost_samples(guide, one.boost, samples, 2, 12, CPU)
        assert np.array_equal(made.images, alone.images)


def test_a_single_plan_needs_no_validation(guide):
    plan = Plan(Boost.of(PGD), 4)
    assert lengths.choose(guide, [plan], None, None, 12, CPU) == (plan, [{"steps": 4, "eps": None}])
    with pytest.raises(InputError, match="2 candidate walks, expected validation samples"):
        lengths.choose(guide, [plan, dataclasses.replace(plan, steps=5)], None, None, 12, CPU)
