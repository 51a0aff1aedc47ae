"""How long to walk: lengths carried over, plans from a boost's entry, and the choice on validation samples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pagboost.boosting import lengths, walks
from pagboost.boosting.lengths import Plan
from pagboost.boosting.walks import Guide
from pagboost.errors import InputError
from pagboost.options.boosts import AnyBoost, PublishedRadius, PublishedSteps
from pagboost.options.reading import read

CPU = torch.device("cpu")
PGD = {"objective": "ce", "sampler": "pgd", "alpha": 0.1}
BIGROC = {"objective": "ce", "sampler": "pgd", "steps": 30, "eps": "published", "labels": "argmax"}
RADII = {"eps": 4.0, "pixels": 256, "multiples": [1, 2]}
STEPS = {"steps": 1, "alpha": 0.1, "pixels": 64, "multiples": [1]}


def made(options):
    return read(AnyBoost, options, "boost")


def stated(options):
    """What was published, of the class that the keys are of."""
    return read(PublishedRadius if "eps" in options else PublishedSteps, options, "published")


def plans(options, guide, published=None, **given):
    """As boost.py: the plans of an entry, with what was published as a mapping."""
    boost = made(options)
    if published is not None:
        published = read(boost.published, published, "published")
    return lengths.plans(boost, guide, published=published, **given)


@pytest.fixture
def guide(classifier):
    return Guide(classifier, num_classes=3, channels=1, size=8)


def test_candidate_steps_carry_the_published_path_over():
    # 10 steps of 0.5 at 400 values are 2.5 at 100 values, and 12.5 steps of 0.2 there
    published = {"steps": 10, "alpha": 0.5, "pixels": 400, "multiples": [0.01, 1, 2, 2.001]}
    assert lengths.candidate_steps(0.2, 100, stated(published)) == [1, 12, 25]
    assert lengths.candidate_steps(0.5, 300, stated({**published, "pixels": 300, "multiples": [1]})) == [10]


@pytest.mark.parametrize("key", ["steps", "alpha", "pixels", "multiples"])
def test_published_steps_are_complete(guide, key):
    published = {name: value for name, value in STEPS.items() if name != key}
    with pytest.raises(InputError, match=f"published.{key}: missing key, expected "):
        plans(PGD, guide, published)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"multiples": 3}, "published.multiples: 3, expected a list, each a number above 0"),
        ({"multiples": []}, r"published.multiples: \[\], expected at least one"),
        ({"multiples": [True]}, "published.multiples.0: True, expected a number above 0"),
        ({"steps": [1]}, r"published.steps: \[1\], expected an integer of at least 1"),
        ({"steps": 10**9, "alpha": 1e30}, r"published: 1e\+40 steps of 0.1, expected at most 2147483647"),
        ({"eps": 1.0}, "published.eps: unknown key"),
    ],
)
def test_published_steps_are_numbers(guide, change, message):
    with pytest.raises(InputError, match=message):
        plans(PGD, guide, STEPS | change)


def test_a_published_radius_becomes_walks_of_t_steps_of_eps_over_t(guide):
    found = plans(BIGROC, guide, RADII)  # at 64 values: 2.0 and 4.0
    assert [(plan.steps, plan.boost.eps, plan.boost.alpha) for plan in found] == [(30, 2.0, 2 / 30), (30, 4.0, 4 / 30)]
    assert {(plan.boost.objective, plan.boost.sampler, plan.boost.labels) for plan in found} == {
        ("ce", "pgd", "argmax")
    }
    assert lengths.described(found[1], guide, 16, stated(RADII)) == {
        "steps": 30,
        "alpha": 8 / 30,
        "eps": 8.0,
        "norm": "l2",
        "published_eps": 4.0,
        "scaled_eps": 4.0,
    }


def test_a_path_may_be_longer_than_the_radius(guide):
    """The authors' later runs: T = 7 steps of 1.5 eps / T, so that the ball holds what steps would leave it."""
    (plan,) = plans(BIGROC | {"steps": 7, "alpha_of_eps": 1.5, "eps": {"value": 3.0, "pixels": 64}}, guide)
    assert (plan.steps, plan.boost.eps, plan.boost.alpha) == (7, 3.0, pytest.approx(1.5 * 3.0 / 7))
    assert plan == Plan(made(PGD | {"alpha": 4.5 / 7, "eps": 3.0, "labels": "argmax"}), 7)
    with pytest.raises(InputError, match="boost.alpha_of_eps: 0, expected a number above 0"):
        plans(BIGROC | {"alpha_of_eps": 0}, guide, eps=1.0)


def test_a_longer_path_stays_in_the_ball(guide, y):
    (plan,) = plans(BIGROC | {"steps": 7, "alpha_of_eps": 1.5}, guide, eps=0.4)
    x = torch.full((12, 1, 8, 8), 0.5)
    *_, end = walks.walk(guide, plan.boost, x, y, None, plan.steps)
    reach = (end - x).flatten(1).norm(dim=1)
    assert float(reach.max()) == pytest.approx(0.4, abs=1e-5)


def test_a_step_length_leaves_the_number_of_steps_open(guide):
    published = STEPS | {"multiples": [1, 3]}
    found = plans(PGD, guide, published)
    assert found == [Plan(made(PGD), 1), Plan(made(PGD), 3)]
    described = lengths.described(found[1], guide, 8, stated(published))
    assert described == {"steps": 3, "alpha": 0.1, "eps": None, "norm": "l2"}


def test_a_fixed_number_of_steps_is_a_single_plan(guide, samples):
    """Nothing is published and nothing chosen: no validation samples, no reference."""
    options = {"objective": "logit", "sampler": "sgld", "alpha": 0.002, "noise_std": 1e-4, "direction": "raw"}
    found = plans(options | {"fixed_steps": 15}, guide)
    assert found == [Plan(made(options | {"fixed_steps": 15}), 15)]
    plan, tried = lengths.choose(guide, found, None, None, 5, CPU)
    assert tried == [{"steps": 15, "eps": None}]
    described = lengths.described(plan, guide, 16, None)  # twice the guide's size: a raw alpha stays
    assert described == {"steps": 15, "alpha": 0.002, "eps": None, "norm": "l2", "direction": "raw"}
    for given in ({"steps": 3}, {"published": STEPS}):
        with pytest.raises(InputError, match="boost.fixed_steps: 15, expected no --steps and no --published"):
            plans(options | {"fixed_steps": 15}, guide, **given)


@pytest.mark.parametrize(
    ("options", "given", "eps"),
    [
        (BIGROC, {"eps": 0.7}, 0.7),
        (BIGROC | {"eps": {"value": 10.0, "pixels": 256}}, {}, 5.0),
        (BIGROC | {"eps": {"percentile": 70, "of": "wide"}, "norm": "linf"}, {"like": 0.2}, 0.2),
    ],
)
def test_a_known_radius_is_a_single_plan(guide, options, given, eps):
    (plan,) = plans(options, guide, **given)
    assert (plan.steps, plan.boost.eps, plan.boost.alpha) == (30, eps, pytest.approx(eps / 30))
    assert plan.boost.norm == options.get("norm", "l2")


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        (PGD | {"steps": 3}, {}, "boost.alpha: unknown key, expected one of: .*steps, eps"),
        ({"objective": "ce", "sampler": "pgd"}, {}, "boost.alpha: missing key, expected a number above 0"),
        (PGD, {}, "has alpha, expected its number of steps"),
        (PGD, {"eps": 1.0}, "has alpha, expected its number of steps .* and no radius"),
        (PGD, {"steps": 3, "like": 1.0}, "and no radius"),
        (PGD, {"published": {}}, "published.steps: missing key"),
        (BIGROC, {}, r"boost.eps: published, expected the radius \(--eps\)"),
        (BIGROC, {"published": {}}, "published.eps: missing key"),
        (BIGROC, {"published": STEPS}, "published.steps: unknown key.*, expected one of: eps, pixels, multiples"),
        (BIGROC, {"published": RADII | {"eps": "1e0"}}, "published.eps: '1e0', expected a number above 0"),
        (BIGROC, {"published": RADII | {"multiples": [1, 0]}}, "published.multiples.1: 0, expected"),
        (BIGROC, {"eps": float("inf")}, "eps: inf, expected a finite number above 0"),
        (BIGROC, {"eps": float("nan")}, "eps: nan, expected"),
        (BIGROC | {"steps": 0}, {"eps": 1.0}, "boost.steps: 0, expected at least 1"),
        (BIGROC | {"steps": 1.5}, {"eps": 1.0}, "boost.steps: 1.5, expected an integer of at least 1"),
        (BIGROC | {"eps": {"value": "1", "pixels": 64}}, {}, "boost.eps.value: '1', expected a number above 0"),
        (BIGROC, {"steps": 3}, "--steps 3: the boost takes 30 steps, expected --eps"),
        (BIGROC | {"eps": 1.0}, {}, "boost.eps: 1.0, expected one of: published or "),
        (BIGROC | {"eps": {"value": 1.0}}, {}, "boost.eps.pixels: missing key"),
        (BIGROC | {"sampler": "sgld"}, {}, "boost.sampler: 'sgld', expected one of: pgd"),
        (
            BIGROC | {"eps": {"percentile": 70, "of": "wide"}, "norm": "linf"},
            {},
            "percentile of wide, expected its boosted samples",
        ),
    ],
)
def test_an_entry_that_does_not_say_how_far_is_refused(guide, options, given, message):
    with pytest.raises(InputError, match=message):
        plans(options, guide, **given)


def test_an_linf_radius_is_per_pixel_and_not_carried_over(guide):
    linf = BIGROC | {"norm": "linf"}
    (plan,) = plans(linf | {"eps": {"value": 0.03, "pixels": 3072}}, guide)
    assert plan.boost.eps == 0.03
    published = {"eps": 0.03, "pixels": 3072, "multiples": [1, 2]}
    found = plans(linf, guide, published)
    assert [plan.boost.eps for plan in found] == [0.03, 0.06]
    assert lengths.described(found[0], guide, 16, stated(published))["scaled_eps"] == 0.03


# -- the radius that another boost's change sets


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PGD, "boost.eps: None, expected percentile"),
        (BIGROC, "boost.eps: published, expected percentile"),
        (BIGROC | {"eps": {"value": 1.0, "pixels": 64}}, r"boost.eps: {'value': 1.0, .*}, expected percentile"),
        (BIGROC | {"eps": {"percentile": 70, "of": "wide"}}, "boost.norm: l2, expected linf"),
        (BIGROC | {"eps": {"percentile": "70", "of": "wide"}, "norm": "linf"}, "boost.eps.percentile: '70', expected"),
        (BIGROC | {"eps": {"percentile": 101, "of": "wide"}, "norm": "linf"}, "percentile: 101, expected at most 100"),
    ],
)
def test_a_boost_that_asks_for_no_percentile_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        lengths.percentile_asked(made(options))


def test_a_percentile_is_asked_for():
    boost = made(BIGROC | {"eps": {"percentile": 70, "of": "wide"}, "norm": "linf"})
    assert lengths.percentile_asked(boost) == 70


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
    boost = made(PGD | {"norm": "linf", "eps": 0.06, "alpha": 0.02})
    assert walks.scaled(boost, 16, 8) == boost
    x = torch.full((12, 1, 8, 8), 0.5)
    *_, end = walks.walk(guide, boost, x, y, None, 5)
    assert float((end - x).abs().max()) == pytest.approx(0.06, abs=1e-6)


# -- the choice


@pytest.mark.parametrize(("fids", "chosen"), [([3.0, 1.0, 2.0], 2), ([1.0, 1.0, 1.0], 1), ([2.0, 1.0, 1.0], 2)])
def test_the_lowest_validation_score_wins_and_ties_go_to_fewer_steps(guide, samples, fids, chosen):
    candidates = [Plan(made(PGD), steps) for steps in (1, 2, 3)]
    given = iter(fids)
    plan, tried = lengths.choose(guide, candidates, samples, lambda _: next(given), 12, CPU)
    assert plan.steps == chosen
    assert tried == [{"steps": n, "eps": None, "fid": fid} for n, fid in zip((1, 2, 3), fids, strict=True)]


def test_radii_are_each_walked_and_scored(guide, samples):
    candidates = plans(BIGROC | {"steps": 2}, guide, {"eps": 0.2, "pixels": 64, "multiples": [1, 2]})
    walked = []
    score = lambda boosted: walked.append(boosted) or -len(walked)  # noqa: E731
    plan, tried = lengths.choose(guide, candidates, samples, score, 12, CPU)
    assert [entry["eps"] for entry in tried] == [0.2, 0.4]
    assert plan is candidates[1]
    for boosted, one in zip(walked, candidates, strict=True):
        alone = walks.boost_samples(guide, one.boost, samples, 2, 12, CPU)
        assert np.array_equal(boosted.images, alone.images)


def test_a_single_plan_needs_no_validation(guide):
    plan = Plan(made(PGD), 4)
    assert lengths.choose(guide, [plan], None, None, 12, CPU) == (plan, [{"steps": 4, "eps": None}])
    with pytest.raises(InputError, match="2 candidate walks, expected validation samples"):
        lengths.choose(guide, [plan, dataclasses.replace(plan, steps=5)], None, None, 12, CPU)


def test_a_published_step_is_carried_over_like_the_path(guide):
    """Of 64 values, as the guide's: the path as printed; of a quarter as many: steps twice as long, and as many."""
    for pixels, alpha in ((64, 0.14), (16, 0.28)):
        published = {"steps": 7, "alpha": 0.14, "pixels": pixels, "multiples": [1, 2]}
        found = plans({**PGD, "alpha": "published"}, guide, published)
        assert [plan.steps for plan in found] == [7, 14]
        assert [plan.boost.alpha for plan in found] == [pytest.approx(alpha)] * 2


def test_a_published_step_needs_its_path(guide):
    with pytest.raises(InputError, match=r"boost.alpha: published, expected the path that it is of \(--published\)"):
        plans({**PGD, "alpha": "published"}, guide, steps=3)


@pytest.mark.parametrize("other", [{"direction": "raw"}, {"fixed_steps": 3}])
def test_a_published_step_is_of_a_chosen_walk(other):
    with pytest.raises(InputError, match="boost.alpha: published, expected a number"):
        made({**PGD, "alpha": "published", **other})


@pytest.mark.parametrize("percentile", [70, 100, 0.1, 99.97, 50])
def test_a_percentile_of_counts_is_that_of_the_numbers(percentile):
    """To the last bit: a radius of a whole set is counted batch by batch."""
    draws = np.random.default_rng(0)
    for size in (1, 2, 7, 400, 1001):
        values = np.minimum(255, np.abs(draws.normal(0, 30, size)).astype(np.int16))
        found = lengths._percentile(np.bincount(values, minlength=256), percentile)
        assert found == float(np.percentile(values, percentile))
