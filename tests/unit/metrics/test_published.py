"""References of statistics alone: FID is that of the images they were made of, the rest is named as not available."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pagboost import networks, rng
from pagboost.errors import InputError
from pagboost.metrics import evaluation, frechet, published, reference, references, summary
from pagboost.metrics.features import Extractor, extract
from pagboost.metrics.image_sets import InMemory
from pagboost.metrics.scores import Options

CPU = torch.device("cpu")
SCRIPT = Path(__file__).parents[3] / "src" / "evaluate.py"
TWO_SPLITS = Options(splits=2)
PAIRS = {"precision", "recall", "kid", "kid_std"}
DIMS, LOGITS, SPATIAL_DIMS = 64, 10, 63  # Inception's 2048 and 2023 take seconds a test, and show no more


@pytest.fixture(autouse=True)
def few_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "DIMS", DIMS)
    monkeypatch.setattr(published, "SPATIAL_DIMS", SPATIAL_DIMS)


class Projection(nn.Module):
    """A stand-in for Inception: fixed random projections of the pixels."""

    in_channels, input_size, resize = 3, 8, "clean"

    def __init__(self) -> None:
        super().__init__()
        draws = rng.generator("projection")
        self.maps = [torch.randn(192, d, generator=draws) / 14 for d in (DIMS, LOGITS, SPATIAL_DIMS)]

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(x.flatten(1) @ part for part in self.maps)


def pixels(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)


def extractor(name: str = "clean") -> Extractor:
    return Extractor(name, "f" * 64, Projection())


def write(path: Path, spatial: bool = False, dtype: type = np.float64) -> Path:
    """As pytorch-fid's --save-stats, EDM's fid-refs and clean-fid write them."""
    seen = extract(extractor(), pixels(40), 16, CPU)
    parts = {"": seen.features, "_s": seen.spatial} if spatial else {"": seen.features}
    moments = {end: (x.double().numpy().mean(0), np.cov(x.double().numpy(), rowvar=False)) for end, x in parts.items()}
    arrays = {
        f"{key}{end}": part for end, pair in moments.items() for key, part in zip(("mu", "sigma"), pair, strict=True)
    }
    np.savez_compressed(path, **{key: array.astype(dtype) for key, array in arrays.items()})
    return path


def scored(path: Path, options: Options = TWO_SPLITS, seeds: np.ndarray | None = None) -> dict:
    (against,) = references.open_reference(str(path), [extractor()], 3, 16, CPU)
    samples = InMemory(pixels(30, 1), "set.npz", seeds)
    return evaluation.evaluate_samples(samples, [extractor()], {"ref": against}, 16, CPU, options=options)["ref"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fid_is_that_of_the_images_the_statistics_are_of(tmp_path: Path, dtype: type) -> None:
    path = write(tmp_path / "stats.npz", dtype=dtype)
    assert references.kind_of(str(path)) == "statistics"
    result = scored(path, Options(splits=2, resamplings=40, fid_infinity=True))
    seen, real = (frechet.statistics(extract(extractor(), x, 16, CPU).features) for x in (pixels(30, 1), pixels(40)))
    assert result["mean"]["fid"] == pytest.approx(
        frechet.distance(seen, real), rel={np.float64: 1e-6, np.float32: 1e-2}[dtype]
    )
    assert result["mean"]["fid_infinity"] < result["mean"]["fid"]
    assert set(result["intervals"]["0"]) == {"fid", "inception_score"}


def test_what_statistics_cannot_give_is_null_with_its_reason(tmp_path: Path) -> None:
    result = scored(write(tmp_path / "stats.npz"), seeds=np.repeat([1, 2], 15))
    assert set(result["not_available"]) == PAIRS | {"sfid"}
    for part in (*result["seeds"].values(), result["mean"], result["std"]):
        assert {name for name, value in part.items() if value is None} == PAIRS | {"sfid"}
    json.dumps(result, allow_nan=False)
    facts = result["protocol"]
    assert [facts[key] for key in ("reference_n", "k", "kid_subsets", "kid_size")] == [None] * 4
    assert (facts["statistics"], facts["extractor"], facts["resize"], facts["n"]) == ("given", "clean", "clean", 15)


def test_what_is_asked_for_besides_is_named_too(tmp_path: Path) -> None:
    result = scored(write(tmp_path / "stats.npz"), Options(splits=2, also=("density", "cmmd")))
    assert set(result["not_available"]) == PAIRS | {"sfid", "density", "cmmd"} and result["mean"]["cmmd"] is None


def test_the_table_says_what_is_not_available_and_that_the_extractor_is_stated(tmp_path: Path) -> None:
    first, second, *rows = summary.table({"ref": scored(write(tmp_path / "stats.npz"))}).splitlines()
    assert first.startswith("ref: 30 samples against stats, statistics alone (what made them the file does not say")
    assert "k =" not in second and "KID" not in second
    missing = [row for row in rows if "not available: needs" in row]
    assert [row.split()[0] for row in missing] == ["sFID", "precision", "recall", "KID"]


def test_spatial_statistics_give_sfid(tmp_path: Path) -> None:
    result = scored(write(tmp_path / "stats.npz", spatial=True))
    assert set(result["not_available"]) == PAIRS and result["mean"]["sfid"] > 0


def test_the_extractor_is_stated_and_only_one(tmp_path: Path) -> None:
    path = str(write(tmp_path / "stats.npz"))
    with pytest.raises(InputError, match=r"stats.npz: statistics that do not say .*expected the --extractor that they"):
        references.default_extractors([path])
    with pytest.raises(InputError, match="stats.npz: statistics alone, with extractors clean, a, expected the one"):
        references.open_reference(path, [extractor(), extractor("a")], 3, 16, CPU)


def test_statistics_of_other_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    np.savez(tmp_path / "small.npz", mu=np.zeros(64), sigma=np.eye(64))
    with pytest.raises(InputError, match=r"small.npz: mu and sigma are \[64\] and \[64, 64\], expected \[2048\]"):
        references.open_reference(str(tmp_path / "small.npz"), [extractor()], 3, 16, CPU)
    own = extractor("cnn_a")  # whose number of features nobody knows beforehand
    np.savez(tmp_path / "small.npz", mu=np.zeros(32), sigma=np.eye(32))
    (against,) = references.open_reference(str(tmp_path / "small.npz"), [own], 3, 16, CPU)
    with pytest.raises(InputError, match="reference ref: statistics of 32 features, extractor cnn_a gives 64"):
        evaluation.evaluate_samples(InMemory(pixels(30)), [own], {"ref": against}, 16, CPU)


@pytest.mark.parametrize(
    ("sigma", "message"),
    [
        (np.triu(np.ones((64, 64))), "sigma is not symmetric, expected a covariance"),
        (3 - 2 * np.eye(64), "sigma has eigenvalues below 0, expected a covariance"),
        (np.eye(64) * (1 + 1j), "sigma is complex128, expected real numbers"),
        (np.eye(64).astype(str), "sigma is <U32, expected real numbers"),
        (-np.eye(64), "sigma has a variance of -1, expected 0 or more"),
        (np.full((64, 64), np.nan), "sigma holds NaN or infinity"),
        (np.ones(64), r"mu and sigma are \[64\] and \[64\], expected \[64\] and \[64, 64\]"),
    ],
)
def test_what_is_no_covariance(tmp_path: Path, sigma: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "odd.npz", mu=np.zeros(64), sigma=sigma)
    with pytest.raises(InputError, match=f"odd.npz: {message}"):
        references.open_reference(str(tmp_path / "odd.npz"), [extractor("cnn_a")], 3, 16, CPU)


@pytest.mark.parametrize("spatial", [False, True])
def test_statistics_alone_are_saved_as_what_they_are(tmp_path: Path, spatial: bool) -> None:
    path = write(tmp_path / "stats.npz", spatial)
    (against,) = references.open_reference(str(path), [extractor()], 3, 16, CPU, split="train")
    reference.save(tmp_path / "out.npz", against)
    assert references.kind_of(str(tmp_path / "out.npz")) == "saved"
    saved = reference.load(tmp_path / "out.npz")
    assert saved.points is None and saved.facts == against.facts and (saved.spatial is not None) == spatial
    direct, after = (
        evaluation.evaluate_samples(InMemory(pixels(30, 1)), [extractor()], {"ref": one}, 16, CPU, options=TWO_SPLITS)
        for one in (against, saved)
    )
    assert direct == after and after["ref"]["protocol"]["reference"] == "train"


def test_by_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    spec = {"kind": "cnn", "in_channels": 3, "num_classes": 4, "input_size": 8, "widths": [4], "depth": 1, "kernel": 3}
    spec |= {"feature_dim": 6, "activation": "silu", "pool": "average"}
    networks.save(tmp_path / "a.safetensors", networks.build(spec), spec, {"kind": "classifier"})
    np.savez(tmp_path / "stats.npz", mu=np.zeros(6), sigma=np.eye(6))
    np.savez(tmp_path / "samples.npz", arr_0=pixels(30))
    given = ["evaluate.py", "samples.npz", "--reference", "stats.npz", "--out", "m.json", "--resamplings", "0"]
    monkeypatch.chdir(tmp_path)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(sys, "argv", [*given, "--threads", "1", "--device", "cpu", "--extractor", "a.safetensors"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    result = json.loads((tmp_path / "m.json").read_text())["protocols"]["stats"]
    assert result["mean"]["fid"] > 0 and result["mean"]["kid"] is None and set(result["not_available"]) == PAIRS
    assert "not available: needs the reference's images" in capsys.readouterr().out
