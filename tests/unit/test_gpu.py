"""What only a GPU can show; skipped where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pagboost import runtime
from pagboost.boosting import walks
from pagboost.metrics import features
from pagboost.options.boosts import StepBoost

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture
def boosted(classifier, samples):
    """boosted(device): the sample set after three PGD steps there."""
    guide = walks.Guide(classifier, num_classes=3, channels=1, size=8)
    boost = StepBoost(objective="ce", sampler="pgd", alpha=0.3)
    return lambda device: walks.boost_samples(guide, boost, samples, 3, 5, torch.device(device)).images


def test_lease_gives_a_device_that_works():
    with runtime.device("cuda") as device:
        assert float(torch.ones(3, device=device).sum()) == 3


def test_boosting_in_bf16_stays_near_the_cpu(boosted):
    """bf16 keeps 8 bits: a path of three steps may end a few grey levels away, not elsewhere."""
    difference = np.abs(boosted("cuda").astype(int) - boosted("cpu").astype(int))
    assert difference.mean() < 2
    assert difference.max() < 40


def test_features_are_full_fp32_on_the_gpu(classifier, samples):
    extractor = features.Extractor("tiny", "0", classifier)
    on_cpu, on_gpu = (
        features.extract(extractor, samples.images, 5, torch.device(name)).features.cpu() for name in ("cpu", "cuda")
    )
    assert torch.allclose(on_cpu, on_gpu, atol=1e-5)
