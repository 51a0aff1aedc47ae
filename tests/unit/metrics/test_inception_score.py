"""Inception score: its two bounds, and what must not move it."""

from __future__ import annotations

import math

import pytest
import torch

from pagboost.errors import InputError
from pagboost.metrics.inception_score import inception_score, replicates, split_scores


def confident(classes: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Logits whose softmax is one-hot to double precision."""
    return 1000.0 * torch.nn.functional.one_hot(classes, num_classes).float()


def test_uniform_predictions_score_one() -> None:
    assert inception_score(torch.zeros(100, 7)) == pytest.approx(1.0, abs=1e-12)


def test_sure_and_balanced_predictions_score_the_number_of_classes() -> None:
    assert inception_score(confident(torch.arange(50) % 5, 5), splits=1) == pytest.approx(5.0, abs=1e-9)


def test_one_class_alone_scores_one() -> None:
    assert inception_score(confident(torch.full((40,), 3), 5)) == pytest.approx(1.0, abs=1e-12)


def test_two_points_by_hand() -> None:
    """p = (3/4, 1/4) and (1/4, 3/4): KL to the uniform marginal is log 2 - H(1/4)."""
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, math.log(3.0)]], dtype=torch.float64)
    gap = math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert inception_score(logits, splits=1) == pytest.approx(math.exp(gap), rel=1e-12)


def test_class_sorted_set_scores_as_a_shuffled_one() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(10, (2000,), generator=generator)
    logits = confident(classes, 10) / 300 + torch.randn(2000, 10, generator=generator)
    shuffled, by_class = inception_score(logits), inception_score(logits[classes.argsort()])
    assert shuffled > 2  # unshuffled, each tenth of the sorted set would score about 1
    assert by_class == pytest.approx(shuffled, rel=0.01)


def test_scaling_and_shifting_invariance() -> None:
    """A constant added to an image's logits is no information."""
    logits = torch.randn(50, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert inception_score(logits + torch.arange(50)[:, None]) == pytest.approx(inception_score(logits), rel=1e-10)


def test_the_score_is_reproducible_and_leaves_the_global_generator_alone() -> None:
    logits = torch.randn(64, 6, generator=torch.Generator().manual_seed(2))
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert inception_score(logits) == inception_score(logits)
    assert torch.equal(state, torch.get_rng_state())


def test_fewer_samples_than_splits() -> None:
    with pytest.raises(InputError, match="9 samples.*10 splits"):
        inception_score(torch.zeros(9, 3))


def test_the_score_of_each_split() -> None:
    logits = torch.randn(64, 6, generator=torch.Generator().manual_seed(3))
    scores = split_scores(logits, splits=4)
    assert scores.shape == (4,) and scores.dtype == torch.float64
    assert float(scores.mean()) == inception_score(logits, splits=4)
    assert scores.std() > 0


def test_replicates_repeat_images() -> None:
    logits = torch.randn(30, 6, generator=torch.Generator().manual_seed(4))
    counts = torch.randint(0, 3, (5, 30), generator=torch.Generator().manual_seed(5))
    expected = [inception_score(logits[torch.arange(30).repeat_interleave(row)], splits=1) for row in counts]
    assert replicates(logits, counts, splits=1).tolist() == pytest.approx(expected, rel=1e-12)
    assert replicates(logits, torch.ones(1, 30)).item() == pytest.approx(inception_score(logits), rel=1e-12)


def test_a_replicate_without_any_image_of_a_split_scores_the_others() -> None:
    logits = confident(torch.arange(12) % 3, 3)
    one = torch.zeros(1, 12)
    one[0, 5] = 12
    assert replicates(logits, one, splits=12).item() == pytest.approx(1)
