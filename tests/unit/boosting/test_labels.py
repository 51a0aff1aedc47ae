"""The label rule: debiasing equalises the mean logits, and labels that are there are kept."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest
import torch

from pagboost.artifacts import SampleSet
from pagboost.boosting import labels, walks
from pagboost.boosting.walks import Guide
from pagboost.errors import InputError
from pagboost.options.boosts import LabelRule, StepBoost
from pagboost.options.reading import read

CPU = torch.device("cpu")


@pytest.fixture
def guide(classifier):
    """A guide that prefers class 1, as the classifiers of the paper prefer some classes in generated images."""
    with torch.no_grad():
        classifier.head.bias += torch.tensor([0.0, 3.0, 0.0])
    return Guide(classifier, num_classes=3, channels=1, size=8)


@pytest.fixture
def unlabelled(samples):
    return dataclasses.replace(samples, labels=None)


@pytest.fixture
def others():
    """Generated images apart from the samples."""
    return SampleSet(np.random.default_rng(7).integers(0, 256, (300, 8, 8, 1), np.uint8))


def complete(guide, samples, validation, rule="debiased", batch_size=5):
    return labels.complete(guide, rule, samples, validation, None, batch_size, CPU, "mine.npz")


def test_class_shift_is_equation_2():
    logits = torch.tensor([[0.0, 4.0], [2.0, 6.0]], dtype=torch.float64)
    assert labels.class_shift(logits).tolist() == [0.0, -4.0]  # a = 1, means 1 and 5


def test_debiasing_equalises_the_mean_logits():
    logits = torch.randn(500, 10, dtype=torch.float64) * torch.rand(10) * 5 + torch.arange(10)
    means = (logits + labels.class_shift(logits)).mean(0)
    torch.testing.assert_close(means, torch.ones(10, dtype=torch.float64))


def test_the_shift_moves_labels_off_the_preferred_class():
    logits = torch.tensor([[0.0, 1.0], [1.0, 1.5], [2.0, 9.0]], dtype=torch.float64)
    assert labels.target_labels(logits, None).tolist() == [1, 1, 1]
    assert labels.target_labels(logits, torch.tensor([1.0, 0.0])).tolist() == [0, 0, 1]


def test_debiased_labels_are_more_even_and_follow_from_the_validation_images(guide, others):
    rows = np.arange(len(others))
    apart, own = others.subset(rows[:150]), others.subset(rows[150:])
    plain, _, facts = complete(guide, own, apart, "argmax")
    debiased, seen, debiased_facts = complete(guide, own, apart)
    assert (facts["rule"], facts["shift"], debiased_facts["rule"]) == ("argmax", None, "debiased")
    assert np.bincount(plain.labels, minlength=3).max() > np.bincount(debiased.labels, minlength=3).max()
    logits = labels.logits_of(guide, apart, None, 50, CPU)
    assert debiased_facts["shift"] == pytest.approx((1 - logits.mean(0)).tolist(), abs=1e-5)
    expected = (labels.logits_of(guide, own, None, 50, CPU) + labels.class_shift(logits)).argmax(1)
    assert np.array_equal(debiased.labels, expected)
    assert np.array_equal(seen.labels, (logits + labels.class_shift(logits)).argmax(1))
    assert np.array_equal(debiased.images, own.images)


def test_logits_come_in_batches_that_need_not_be_held(guide, others):
    batches = list(labels.logits_in_batches(guide, others, None, 120, CPU))
    assert [len(logits) for _, logits in batches] == [120, 120, 60]
    assert torch.equal(torch.cat([logits for _, logits in batches]), labels.logits_of(guide, others, None, 120, CPU))


def test_labels_that_have_to_be_given(guide, samples, unlabelled):
    """BIGRoC's GT rows are no PL rows where a file has no labels."""
    own, _, facts = complete(guide, samples, None, "given")
    assert own.labels is samples.labels and facts["rule"] == "given"
    for pair, named in (((unlabelled, None), "mine.npz"), ((samples, unlabelled), "validation samples")):
        with pytest.raises(InputError, match=rf"{named}: has no labels \(arr_1\), expected some \(labels: given\)"):
            complete(guide, *pair, "given")


def test_pseudo_labels_are_the_plain_argmax_of_labelled_images_too(guide, samples, unlabelled):
    pseudo, seen, facts = complete(guide, samples, samples, "pseudo")
    plain, _, _ = complete(guide, unlabelled, None, "argmax")
    assert np.array_equal(pseudo.labels, plain.labels) and not np.array_equal(pseudo.labels, samples.labels)
    assert np.array_equal(seen.labels, plain.labels) and (facts["rule"], facts["shift"]) == ("pseudo", None)


def test_a_guide_that_has_labelled_can_boost(guide, unlabelled, others):
    labelled, _, _ = complete(guide, unlabelled, others)
    boost = StepBoost(objective="ce", sampler="pgd", alpha=0.1)
    boosted = walks.boost_samples(guide, boost, labelled, 2, 5, CPU)
    assert (boosted.images != unlabelled.images).any((1, 2, 3)).all()
    assert np.array_equal(boosted.labels, labelled.labels)


def test_the_batch_size_does_not_matter(guide, unlabelled, others):
    several = [complete(guide, unlabelled, others, batch_size=size)[0].labels for size in (1, 5, 250)]
    assert all(np.array_equal(several[0], one) for one in several)


def test_given_labels_are_kept_and_counted_by_seed(guide, samples, others):
    kept, _, facts = complete(guide, samples, others)
    assert np.array_equal(kept.labels, samples.labels)
    assert facts == {"rule": "given", "shift": None, "counts": {"5": [2, 2, 2], "6": [2, 2, 2]}}


def test_rules_are_named():
    boost = {"objective": "ce", "sampler": "pgd", "alpha": 0.1}
    assert set(get_args(LabelRule)) == {"debiased", "argmax", "pseudo", "given"}
    assert read(StepBoost, boost, "boost").labels == "debiased"
    with pytest.raises(InputError, match="boost.labels: 'uniform', expected one of: debiased, argmax, pseudo, given"):
        read(StepBoost, boost | {"labels": "uniform"}, "boost")


@pytest.mark.parametrize(
    ("rule", "change", "message"),
    [
        ("debiased", {}, r"mine.npz: has no labels \(arr_1\), expected other generated images to debias"),
        ("argmax", {"images": np.zeros((12, 8, 8, 3), np.uint8)}, "mine.npz: images have 3 channels, expected 1"),
        ("argmax", {"labels": np.full(12, 3)}, r"mine.npz: holds label 3, expected 0\.\.2"),
    ],
)
def test_bad_input_is_named(guide, unlabelled, rule, change, message):
    with pytest.raises(InputError, match=message):
        complete(guide, dataclasses.replace(unlabelled, **change), None, rule)


def test_validation_images_the_guide_cannot_see_are_named(guide, unlabelled, others):
    colour = others.with_images(np.repeat(others.images, 3, axis=3))
    with pytest.raises(InputError, match="validation samples: images have 3 channels, expected 1"):
        complete(guide, unlabelled, colour)
