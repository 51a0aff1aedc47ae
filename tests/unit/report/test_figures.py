from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.report import figures

LABELS = [1, 0, 1, 0]


def pictures(level: int, size: int = 16) -> np.ndarray:
    """Four grey images [4, size, size, 1] of levels level, level + 1, level + 2, level + 3."""
    return np.full((4, size, size, 1), level, np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None]


@pytest.fixture
def sampled(measured):
    for generator in ("g1", "g2"):
        measured.samples(generator, "none", pictures(10), LABELS)
        measured.samples(generator, "good", pictures(60), LABELS)
    return measured


def test_the_first_samples_of_each_class_in_order():
    labels = np.array([2, 0, 1, 0, 2, 1, 0, 1])
    assert figures.first_of_each_class(labels, 3, 1).tolist() == [1, 2, 0]
    assert figures.first_of_each_class(labels, 2, 2).tolist() == [1, 3, 2, 5]
    assert figures.first_of_each_class(labels, 2, 1, first=1).tolist() == [3, 5]


def test_too_few_samples_of_a_class_are_refused():
    with pytest.raises(InputError, match="class 1 has fewer than 2 samples"):
        figures.first_of_each_class(np.array([0, 0, 1]), 2, 2)


def test_difference_is_absolute_and_does_not_wrap():
    before = artifacts.SampleSet(np.full((1, 2, 2, 1), 200, np.uint8), np.array([0]))
    after = artifacts.SampleSet(np.full((1, 2, 2, 1), 50, np.uint8), np.array([0]))
    for pair in ((before, after), (after, before)):
        assert (figures.triple(*pair, "x")[2] == 150).all()


@pytest.mark.parametrize(
    "change", [{"labels": np.array([1, 0])}, {"index": np.array([5, 6])}, {"seeds": np.array([1, 1])}]
)
def test_other_samples_are_refused(change):
    same = {"images": np.zeros((2, 2, 2, 1), np.uint8), "labels": np.array([0, 1])}
    with pytest.raises(InputError, match=r"after\.npz: holds other samples"):
        figures.triple(artifacts.SampleSet(**same), artifacts.SampleSet(**same | change), "after.npz")


@pytest.mark.parametrize(("size", "factor"), [(16, 4), (64, 1), (100, 1)])
def test_pixels_are_enlarged_by_a_whole_factor_without_interpolation(size, factor):
    images = np.random.default_rng(0).integers(0, 256, (3, 2, size, size, 1), dtype=np.uint8)
    shown = figures.grid(images)
    side = size * factor + figures.GAP
    assert shown.shape == (3 * side, 2 * side, 3)
    second = shown[side : 2 * side - figures.GAP, side : 2 * side - figures.GAP]
    assert np.array_equal(second[::factor, ::factor, 0], images[1, 1, :, :, 0])
    assert set(np.unique(second)) == set(np.unique(images[1, 1]))


def test_colour_images_keep_their_channels():
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 64, 64, 3), dtype=np.uint8)
    assert np.array_equal(figures.grid(images)[:64, :64], images[0, 0])


def test_caption_names_generator_boost_steps_and_order(paper, sampled):
    picture, caption = figures.figure(paper, "figure1", sampled.root, {})
    assert "First + Good, 8 steps of 0.2; Second + Good, 4 steps of 0.1" in caption
    assert "Figure 1" in caption and "not selected" in caption
    column = np.asarray(picture)[:, figures.MARGIN, 0]
    # class 0 is sample 1: level 11 before, 61 after, 50 apart
    assert {11, 61, 50} <= set(column.tolist())


def test_an_unavailable_panel_is_a_line_with_its_reason(paper, sampled):
    whole, _ = figures.figure(paper, "figure1", sampled.root, {})
    half, caption = figures.figure(paper, "figure1", sampled.root, {"g2": "no data"})
    assert "Second + Good: not available, no data" in caption
    assert half.height < whole.height
    nothing, _ = figures.figure(paper, "figure1", sampled.root, {"g1": "a", "g2": "b"})
    assert nothing.height < half.height


def test_unlabelled_samples_are_refused(paper, sampled):
    path = sampled.root / "samples" / "g1" / "boost=none" / "eval.npz"
    artifacts.save_samples(path, artifacts.SampleSet(pictures(10)))
    with pytest.raises(InputError, match="has no arr_1"):
        figures.figure(paper, "figure1", sampled.root, {})


def test_unknown_figures_are_refused(paper, sampled):
    with pytest.raises(InputError, match="no figure figure9 in made_up, expected one of: figure1"):
        figures.figure(paper, "figure9", sampled.root, {})


def test_png_is_bit_identical_carries_its_caption_and_no_date(paper, sampled, tmp_path):
    for name in ("a.png", "b.png"):
        figures.save(*figures.figure(paper, "figure1", sampled.root, {}), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        picture.load()
        assert list(picture.info) == ["Description"]
    assert figures.load_caption(tmp_path / "a.png") == figures.figure(paper, "figure1", sampled.root, {})[1]


def test_a_foreign_picture_is_refused(tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="carries no caption"):
        figures.load_caption(tmp_path / "x.png")
