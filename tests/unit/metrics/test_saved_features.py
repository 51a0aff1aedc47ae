"""Features on disk: read as they were written, for the samples and the extractor that they are of and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pagboost import artifacts, rng
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.metrics import references, saved_features
from pagboost.metrics.class_labels import Labels
from pagboost.metrics.features import Extractor, extract
from pagboost.metrics.image_sets import SampleFile
from pagboost.metrics.saved_features import SavedFeatures

CPU = torch.device("cpu")


class Projection(nn.Module):
    """A stand-in for a network: fixed random projections of the pixels."""

    in_channels, input_size, resize = 1, 8, "bicubic"

    def __init__(self, spatial: bool = False) -> None:
        super().__init__()
        draws = rng.generator("projection")
        self.maps = [torch.randn(64, d, generator=draws) for d in ((6, 4, 9) if spatial else (6, 4))]

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(x.flatten(1) @ part for part in self.maps)


def extractor(name: str = "cnn", sha256: str = "a" * 64, spatial: bool = False) -> Extractor:
    return Extractor(name, sha256, Projection(spatial))


def samples(path: Path, seed: int = 0) -> SampleFile:
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    artifacts.save_samples(path, SampleSet(pixels, seeds=np.repeat([4, 7], 6)))
    return SampleFile(path)


def saved(folder: Path, spatial: bool = False, labels: Labels | None = None) -> SavedFeatures:
    own, by = samples(folder / "s.npz"), extractor(spatial=spatial)
    saved_features.save(folder / "f.npz", extract(by, own, 5, CPU), own, by, labels)
    return SavedFeatures(folder / "f.npz")


@pytest.mark.parametrize("spatial", [False, True])
def test_what_is_read_is_what_was_seen(tmp_path: Path, spatial: bool) -> None:
    found, own = saved(tmp_path, spatial, Labels(np.arange(12), ("a", "b"), "s")), SampleFile(tmp_path / "s.npz")
    assert saved_features.is_saved(tmp_path / "f.npz") and not saved_features.is_saved(tmp_path / "s.npz")
    assert (len(found), found.shape, found.seeds.tolist()) == (12, (8, 8, 1), [4] * 6 + [7] * 6)
    assert found.sha256() == own.sha256() == artifacts.file_hash(tmp_path / "s.npz")
    assert found.labels().numbers.tolist() == list(range(12)) and found.labels().names == ("a", "b")
    expected = extract(extractor(spatial=spatial), own, 12, CPU)
    for seen in (
        saved_features.seen(found, extractor(spatial=spatial), 5, CPU),
        saved_features.seen(own, extractor(spatial=spatial), 5, CPU, [found]),
    ):
        torch.testing.assert_close(seen.features, expected.features)
        torch.testing.assert_close(seen.logits, expected.logits)
        assert (seen.spatial is not None) == spatial


def test_saved_features_are_used_in_place_of_looking(tmp_path: Path) -> None:
    found, own = saved(tmp_path), SampleFile(tmp_path / "s.npz")
    blind = extractor()
    blind.network.features = None  # would fail
    assert len(saved_features.seen(own, blind, 5, CPU, [found])) == 12
    stated = found.stated()
    assert (stated.name, stated.sha256, stated.resize) == ("cnn", "a" * 64, "bicubic") and found.by(stated)
    assert saved(tmp_path).labels() is None


def test_features_of_other_samples_or_extractors_are_refused(tmp_path: Path) -> None:
    found, other = saved(tmp_path), samples(tmp_path / "other.npz", seed=1)
    with pytest.raises(InputError, match=r"f.npz: features of other samples \(sha256 .*expected .*other.npz"):
        saved_features.check_used([found], [other], [extractor()])
    with pytest.raises(
        InputError, match=r"f.npz: features by cnn \(aaaaaaaaaaaa, resize bicubic\), expected by cnn \(b"
    ):
        saved_features.check_used([found], [SampleFile(tmp_path / "s.npz")], [extractor(sha256="b" * 64)])
    saved_features.check_used(
        [found], [other, SampleFile(tmp_path / "s.npz")], [extractor(sha256="b" * 64), extractor()]
    )
    with pytest.raises(InputError, match=r"f.npz: features by cnn .*, expected those by x \(b.*\), or the images"):
        saved_features.seen(found, extractor("x", "b" * 64), 5, CPU)
    with pytest.raises(InputError, match=r"f.npz: features by cnn of images that are not here, expected the images"):
        next(found.batches(5))


def test_samples_that_were_changed_since(tmp_path: Path) -> None:
    found = saved(tmp_path)
    with pytest.raises(InputError, match="features of other samples"):
        saved_features.check_used([found], [samples(tmp_path / "s.npz", seed=1)], [extractor()])


def test_files_that_are_no_features(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(InputError, match="s.npz: has no sample_facts, expected features of samples"):
        SavedFeatures(tmp_path / "s.npz")
    with pytest.raises(InputError, match="f.npz: features of samples, expected images"):
        references.kind_of(str(tmp_path / "f.npz"))
    arrays = dict(np.load(tmp_path / "f.npz"))
    for key, wrong, message in (
        ("features", np.full((12, 6), np.nan), "features holds NaN or infinity"),
        ("logits", np.zeros((11, 4)), r"logits is \[11, 4\], expected \[12, D\]"),
    ):
        np.savez(tmp_path / "broken.npz", **arrays | {key: wrong})
        with pytest.raises(InputError, match=f"broken.npz: {message}"):
            SavedFeatures(tmp_path / "broken.npz").read(CPU)
