"""The feature pass: what it may not depend on, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pagboost import networks
from pagboost.errors import InputError
from pagboost.metrics import features
from pagboost.metrics.features import Extractor

SPEC = {
    "kind": "cnn",
    "in_channels": 1,
    "num_classes": 4,
    "input_size": 8,
    "widths": [4],
    "depth": 1,
    "kernel": 3,
    "feature_dim": 6,
    "activation": "relu",
    "pool": "max",
}
CPU = torch.device("cpu")


@pytest.fixture
def extractor() -> Extractor:
    torch.manual_seed(0)
    return Extractor("small", "0" * 64, networks.build(SPEC).eval())


def pixels(n: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 8, 8, channels), dtype=np.uint8)


def test_features_and_logits_are_those_of_the_network_on_unit_range_images(extractor: Extractor) -> None:
    stored = pixels(5)
    seen = features.extract(extractor, stored, 2, CPU)
    x = torch.from_numpy(stored).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = extractor.network.features(x)
    assert seen.features.shape == (5, 6) and seen.logits.shape == (5, 4)
    torch.testing.assert_close(seen.features, expected[0])
    torch.testing.assert_close(seen.logits, expected[1])


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_batch_size_does_not_matter(extractor: Extractor, batch_size: int) -> None:
    stored = pixels(20)
    seen, whole = (features.extract(extractor, stored, size, CPU) for size in (batch_size, 20))
    torch.testing.assert_close(seen.features, whole.features, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(seen.logits, whole.logits, rtol=1e-5, atol=1e-6)


def test_pass_runs_in_eval_mode_and_in_float32(extractor: Extractor) -> None:
    """Neither a network left in train mode, nor a caller's autocast or matmul precision, reaches the features."""
    stored = pixels(6)
    expected = features.extract(extractor, stored, 6, CPU).features
    extractor.network.train()
    statistics = extractor.network.trunk[1].running_mean.clone()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            seen = features.extract(extractor, stored, 6, CPU).features
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen.dtype == torch.float32
    torch.testing.assert_close(seen, expected, rtol=0, atol=0)
    torch.testing.assert_close(extractor.network.trunk[1].running_mean, statistics, rtol=0, atol=0)


def test_load_names_the_extractor_after_its_file_and_hashes_it(tmp_path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "cnn_a.safetensors"
    networks.save(path, networks.build(SPEC), SPEC, {"kind": "classifier"})
    loaded = features.load_extractor(path)
    assert loaded.name == "cnn_a" and len(loaded.sha256) == 64
    assert loaded.network.input_size == 8 and not loaded.network.training


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (pixels(3).astype(np.float32) / 255, r"set.npz: float32 \[3, 8, 8, 1\], expected uint8 images \[N, H, W, C\]"),
        (pixels(3)[0], "set.npz: uint8 .*expected uint8 images"),
        (pixels(3, 3), "set.npz: images of 3 channels, extractor small expects 1"),
    ],
)
def test_images_that_do_not_fit(extractor: Extractor, stored: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        features.extract(extractor, stored, 2, CPU, where="set.npz")


@pytest.mark.parametrize("last", [1, 2])
def test_images_of_0_and_1_alone_are_warned_of(extractor: Extractor, caplog, last: int) -> None:
    """It takes all batches to know."""
    stored = pixels(9) % 2
    stored[-1, -1, -1] = last
    features.extract(extractor, stored, 2, CPU, where="set.npz")
    assert [("set.npz" in line and "0 or 1" in line) for line in caplog.messages] == [True] * (last == 1)


def test_features_that_are_not_finite(extractor: Extractor) -> None:
    with torch.no_grad():
        extractor.network.head.bias[0] = torch.nan
    with pytest.raises(InputError, match="set.npz: extractor small gives NaN or infinity for 3 of 3 images"):
        features.extract(extractor, pixels(3), 2, CPU, where="set.npz")


def test_a_model_that_is_no_extractor(tmp_path) -> None:
    path = tmp_path / "other.safetensors"
    networks.save(path, networks.build(SPEC), SPEC, {"kind": "ct"})
    with pytest.raises(InputError, match="holds a model of kind ct, expected classifier"):
        features.load_extractor(path)
