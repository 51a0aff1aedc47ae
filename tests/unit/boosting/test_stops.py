"""Where walks leave images: ranks among real images of their class, of a whole set, whatever its batches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pagboost.artifacts import SampleSet
from pagboost.boosting import lengths, stops, walks
from pagboost.boosting.guide import Guide
from pagboost.errors import InputError
from pagboost.options.boosts import AnyBoost, StepBoost
from pagboost.options.reading import read

CPU = torch.device("cpu")
RANKS = {"objective": "bce", "sampler": "pgd", "alpha": 0.1, "stop": "ranks"}


def made(options):
    return read(StepBoost, options, "boost")


@pytest.fixture
def guide(classifier):
    """No joint model: ranks need no l0."""
    return Guide(classifier, num_classes=3, channels=1, size=8)


@pytest.fixture
def real(guide):
    """Sixty images that the guide finds more real than most noise, of classes in unequal numbers."""
    pixels = np.random.default_rng(1).integers(0, 256, (60, 8, 8, 1), np.uint8)
    images = SampleSet(pixels, np.array([0] * 30 + [1] * 20 + [2] * 10))
    lifted = walks.boost_samples(guide, made(RANKS | {"stop": None}), images, 4, 20, CPU)
    return dataclasses.replace(lifted, images=np.where(np.arange(60)[:, None, None, None] % 5, lifted.images, pixels))


@pytest.fixture
def knowing(guide, real):
    return stops.with_real(guide, made(RANKS), real, 8, 7, CPU)


def test_a_rank_s_level_is_the_quantile_of_the_class_s_real_images():
    real = [np.array([0.0, 10.0, 20.0]), np.array([5.0]), np.array([])]
    logits, labels = np.array([3.0, -1.0, 7.0, 7.0, -9.0]), np.array([0, 0, 1, 0, 0])
    levels = stops.rank_levels(logits, labels, real)
    # class 0, ascending: -9, -1, 3, 7 at the quantiles 1/8, 3/8, 5/8, 7/8 of 0..20
    assert levels.tolist() == [12.5, 7.5, 5.0, 17.5, 2.5]


def test_equal_logits_are_ranked_in_order():
    assert stops.rank_levels(np.zeros(2), np.zeros(2, int), [np.array([0.0, 4.0])]).tolist() == [1.0, 3.0]


def test_a_class_without_real_images_is_named():
    with pytest.raises(InputError, match="real images: none is of class 2, expected some of every class"):
        stops.rank_levels(np.zeros(2), np.array([0, 2]), [np.zeros(1), np.zeros(1), np.zeros(0)])


def test_each_image_stops_at_its_level_and_those_that_are_there_never_move(guide, samples):
    """Real logits here are as those of the set, half as wide again: half of the images are there already."""
    boost, own = made(RANKS), stops.target_logits(guide, samples, None, 5, CPU)
    wide = [np.sort(own[samples.labels == c].mean() + 1.5 * (own - own.mean())) for c in range(3)]
    knowing = dataclasses.replace(guide, real=wide)
    levels = stops.levels_of(knowing, boost, samples, 5, CPU)
    before = stops.target_logits(knowing, samples, None, 5, CPU)
    there = before >= levels
    assert 0 < there.sum() < len(samples)
    boosted = walks.boost_samples(knowing, boost, samples, 60, 5, CPU)
    assert np.array_equal(boosted.images[there], samples.images[there])
    after = stops.target_logits(knowing, boosted, None, 5, CPU)
    assert (after[~there] > before[~there]).all()
    assert after == pytest.approx(np.maximum(before, levels), abs=0.02)  # a step too far, and rounding
    free = walks.boost_samples(knowing, made(RANKS | {"stop": None}), samples, 60, 5, CPU)
    assert stops.target_logits(knowing, free, None, 5, CPU).mean() > after.mean() + 0.1


@pytest.mark.parametrize("batch_size", [1, 5, 250])
def test_levels_are_of_the_whole_set_whatever_its_batches(knowing, samples, batch_size):
    whole = walks.boost_samples(knowing, made(RANKS), samples, 20, 12, CPU).images
    parts = walks.boost_samples(knowing, made(RANKS), samples, 20, batch_size, CPU).images
    assert np.abs(whole.astype(int) - parts).max() <= 1
    assert (whole != samples.images).any()


def test_order_and_other_classes_do_not_matter(knowing, samples):
    whole = walks.boost_samples(knowing, made(RANKS), samples, 20, 12, CPU).images
    for rows in (np.random.default_rng(1).permutation(12), np.flatnonzero(samples.labels == 1)):
        part = walks.boost_samples(knowing, made(RANKS), samples.subset(rows), 20, 12, CPU).images
        assert np.abs(whole[rows].astype(int) - part).max() <= 1


def test_every_set_has_levels_of_its_own(knowing, samples):
    """The same image, in another set, has another rank."""
    first = samples.subset(np.flatnonzero(samples.labels == 0))
    alone = first.subset(np.array([np.argmin(stops.target_logits(knowing, first, None, 5, CPU))]))
    lowest, only = (min(stops.levels_of(knowing, made(RANKS), one, 5, CPU)) for one in (first, alone))
    assert only == pytest.approx(np.median(knowing.real[0])) and only > lowest


def test_levels_are_logits_at_the_resolution_that_the_guide_sees(guide):
    large = np.random.default_rng(2).integers(0, 256, (12, 16, 16, 1), np.uint8)
    real = SampleSet(large, np.arange(12) % 3)
    boost = made(RANKS | {"resolution": 8})
    knowing = stops.with_real(guide, boost, real, 16, 5, CPU)
    assert np.allclose(np.sort(stops.target_logits(guide, real, 8, 5, CPU)[real.labels == 1]), knowing.real[1])
    # a set that is the real images themselves has their levels: half a rank off at most
    levels, own = stops.levels_of(knowing, boost, real, 5, CPU), stops.target_logits(guide, real, 8, 5, CPU)
    assert levels == pytest.approx(own, abs=np.ptp(own) / 4)


def test_a_walk_of_given_radius_may_stop_by_ranks(knowing, samples):
    options = {**RANKS, "steps": 10, "eps": {"value": 0.5, "pixels": 64}}
    options.pop("alpha")
    (plan,) = lengths.plans(read(AnyBoost, options, "boost"), knowing)
    assert plan.boost.stop == "ranks"
    assert (walks.boost_samples(knowing, plan.boost, samples, plan.steps, 5, CPU).images != samples.images).any()


@pytest.mark.parametrize(
    ("stop", "change", "message"),
    [
        ("ranks", None, "boost.stop: ranks, expected real images to rank by"),
        (None, {}, r"real.npz: the boost ranks nothing \(boost.stop: null\), expected none"),
        ("ranks", {"labels": None}, "real.npz: has no labels"),
        ("ranks", {"labels": np.full(12, 3)}, r"real.npz: holds label 3, expected 0\.\.2"),
        ("ranks", {"images": np.zeros((12, 6, 6, 1), np.uint8)}, "real.npz: images of 6 pixels a side, expected 8"),
    ],
)
def test_real_images_that_do_not_fit_are_refused(guide, samples, stop, change, message):
    real = None if change is None else dataclasses.replace(samples, **change)
    with pytest.raises(InputError, match=message):
        stops.with_real(guide, made(RANKS | {"stop": stop}), real, 8, 5, CPU, "real.npz")


def test_a_walk_by_ranks_needs_real_images(guide, samples):
    with pytest.raises(InputError, match="boost.stop: ranks, expected real images"):
        walks.boost_samples(guide, made(RANKS), samples, 1, 12, CPU)
