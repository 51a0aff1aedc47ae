from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.report import debiasing, figures, pictures, sample_figures
from pagboost.report.cells import samples_file

LABELS = [1, 0, 1, 0]


def levels(level: int, size: int = 16) -> np.ndarray:
    """Four grey images [4, size, size, 1] of levels level, level + 1, level + 2, level + 3."""
    return np.full((4, size, size, 1), level, np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None]


@pytest.fixture
def sampled(measured):
    for generator in ("g1", "g2"):
        measured.samples(generator, "none", levels(10), LABELS)
        measured.samples(generator, "good", levels(60), LABELS)
    return measured


def test_the_first_samples_of_each_class_in_order():
    labels = np.array([2, 0, 1, 0, 2, 1, 0, 1])
    assert sample_figures.first_of_each_class(labels, [0, 1, 2], 1).tolist() == [1, 2, 0]
    assert sample_figures.first_of_each_class(labels, [1, 0], 2).tolist() == [2, 5, 1, 3]
    assert sample_figures.first_of_each_class(labels, [0, 1], 1, first=1).tolist() == [3, 5]


def test_a_class_with_too_few_samples_leaves_white_places():
    positions = sample_figures.first_of_each_class(np.array([0, 0, 1]), [0, 1], 2)
    assert positions.tolist() == [0, 1, 2, sample_figures.EMPTY]
    shown = sample_figures.at(np.arange(3, dtype=np.uint8)[:, None, None, None], positions)
    assert shown.ravel().tolist() == [0, 1, 2, 255]


@pytest.mark.parametrize(
    "change", [{"labels": np.array([1, 0])}, {"index": np.array([5, 6])}, {"seeds": np.array([1, 1])}]
)
def test_other_samples_are_refused(measured, change):
    same = {"images": np.zeros((2, 2, 2, 1), np.uint8), "labels": np.array([0, 1])}
    artifacts.save_samples(samples_file(measured.root, "g1", "none"), artifacts.SampleSet(**same))
    artifacts.save_samples(samples_file(measured.root, "g1", "good"), artifacts.SampleSet(**same | change))
    with pytest.raises(InputError, match=r"boost=good/eval\.npz: holds other samples"):
        sample_figures.load_pair(measured.root, "g1", "good")


def test_caption_names_generator_boost_steps_and_order(paper, sampled):
    picture, caption = figures.figure(paper, "figure1", sampled.root, {})
    assert "First + Good, 8 steps of 0.2; Second + Good, 4 steps of 0.1" in caption
    assert "Figure 1" in caption and "not selected" in caption
    column = np.asarray(picture)[:, pictures.margin_of(sample_figures.ROWS), 0]
    # class 0 is sample 1: level 11 before, 61 after, 50 apart
    assert {11, 61, 50} <= set(column.tolist())


def test_a_figure_that_names_no_kind_shows_before_and_after(paper, sampled):
    named = figures.figure(paper, "figure1", sampled.root, {})
    del paper["figures"]["figure1"]["kind"]
    assert figures.figure(paper, "figure1", sampled.root, {}) == named


def test_an_unavailable_panel_is_a_line_with_its_reason(paper, sampled):
    whole, _ = figures.figure(paper, "figure1", sampled.root, {})
    half, caption = figures.figure(paper, "figure1", sampled.root, {"g2": "no data"})
    assert "Second + Good: not available, no data" in caption
    assert half.height < whole.height
    nothing, _ = figures.figure(paper, "figure1", sampled.root, {"g1": "a", "g2": "b"})
    assert nothing.height < half.height


def test_unlabelled_samples_are_ordered_by_the_classes_they_are_boosted_towards(paper, sampled):
    whole, _ = figures.figure(paper, "figure1", sampled.root, {})
    for generator in ("g1", "g2"):
        sampled.samples(generator, "none", levels(10), None)
    unlabelled, _ = figures.figure(paper, "figure1", sampled.root, {})
    assert np.array_equal(whole, unlabelled)
    sampled.samples("g1", "good", levels(60), None)
    with pytest.raises(InputError, match=r"good/eval\.npz: has no arr_1"):
        figures.figure(paper, "figure1", sampled.root, {})


def test_difference_is_absolute_and_does_not_wrap(paper, sampled):
    sampled.samples("g1", "none", levels(200), LABELS)
    picture, _ = figures.figure(paper, "figure1", sampled.root, {"g2": "no data"})
    assert 201 - 61 in np.asarray(picture)[:, pictures.margin_of(sample_figures.ROWS), 0]


@pytest.fixture
def drawn(paper, sampled):
    """drawn(**figure) draws a figure declared like this."""

    def draw(unavailable=None, **spec):
        paper["figures"]["x"] = {"title": "T", "place": "P"} | spec
        picture, caption = figures.figure(paper, "x", sampled.root, unavailable or {})
        return np.asarray(picture), caption

    return draw


def test_classes_by_number_and_several_samples_of_each(drawn, sampled):
    picture, caption = drawn(
        kind="before_after", classes=[1], images_per_class=2, panels=[{"generator": "g1", "boost": "good"}]
    )
    assert {10, 12} <= set(np.unique(picture)) and not {11, 13} & set(np.unique(picture[24:88]))
    assert "the first 2 samples of classes 1, not selected" in caption


def test_blocks_hold_the_same_samples_in_the_same_places(drawn, paper, sampled):
    paper["names"]["boosts"]["wide"] = "Wide"
    sampled.samples("g1", "wide", levels(110), LABELS)
    sampled.steps("g1", "wide", 30, 0.01, eps=0.3, norm="linf")
    panel = {"generator": "g1", "boosts": ["good", "wide"]}
    picture, caption = drawn(kind="blocks", classes=2, images_per_class=2, panels=[panel])
    assert "First + Good, 8 steps of 0.2; First + Wide, 30 steps of 0.01, L-inf eps 0.3." in caption
    top, left = 2 * pictures.LINE + pictures.GAP, 0
    cell = sample_figures.BLOCK_CELL + pictures.GAP
    for level in (10, 60, 110):
        block = picture[top::cell, left::cell, 0][:2, :2]
        assert block.tolist() == [[level + 1, level + 3], [level, level + 2]]
        left += (
            max(2 * cell, pictures.line({10: "generated", 60: "Good", 110: "Wide"}[level]).width) + sample_figures.APART
        )


def test_with_images_per_row_each_class_has_blocks_of_its_own(drawn):
    panel = {"generator": "g1", "boosts": ["good"]}
    picture, caption = drawn(kind="blocks", classes=[1, 0], images_per_class=2, per_row=1, panels=[panel])
    cell, text = sample_figures.BLOCK_CELL + pictures.GAP, pictures.LINE
    first, second = (
        np.cumsum([2 * text + pictures.GAP, cell]) + top for top in (0, 2 * (text + cell + pictures.GAP) + text)
    )
    assert picture[first, 0, 0].tolist() == [10, 12]
    assert picture[second, 0, 0].tolist() == [11, 13]
    assert "classes 1, 0, not selected" in caption


def test_an_unavailable_boost_leaves_the_other_blocks(drawn, paper):
    paper["names"]["boosts"]["wide"] = "Wide"
    panels = [{"generator": "g1", "boosts": ["wide", "good"]}]
    picture, caption = drawn({"wide": "no time"}, kind="blocks", classes=2, images_per_class=1, panels=panels)
    assert "First + Wide: not available, no time" in caption and "First + Good, 8 steps" in caption
    assert {10, 60} <= set(np.unique(picture))


def test_frames_mark_the_majority_and_what_left_it_for_a_minority():
    """Class 0 has 4 of 6 images, class 1 two, an equal share, and class 2 none."""
    without, with_ = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 1, 2, 2, 0, 1])
    first, second = (frames.tolist() for frames in debiasing.frames(without, with_, 3))
    red, green, white = (list(colour) for colour in (pictures.RED, pictures.GREEN, pictures.WHITE))
    assert first == [red] * 4 + [white] * 2
    assert second == [red, white, green, green, red, white]


def test_debiasing_shows_the_first_images_and_counts_their_targets(drawn, paper, sampled):
    paper["names"]["boosts"]["even"] = "Even"
    sampled.samples("g1", "none", levels(10), None)
    for boost, towards in (("good", [1, 1, 1, 0]), ("even", [1, 1, 0, 0])):
        sampled.samples("g1", boost, levels(60), towards)
        sampled.labels("g1", boost, {"0": np.bincount(towards).tolist()})
    panel = {"generator": "g1", "boosts": ["good", "even"]}
    picture, caption = drawn(kind="debiasing", count=3, panels=[panel])
    assert "Without debiasing 3 go to class 1, with debiasing 2." in caption
    assert "the first 3 images" in caption and "Even: 30 steps of 0.02, L2 eps 0.6" in caption
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert {pictures.RED, pictures.GREEN, pictures.GREY} <= colours
    assert {10, 11, 12, 60} <= set(np.unique(picture)) and 13 not in picture[:80]
    absent, caption = drawn({"even": "no time"}, kind="debiasing", count=3, panels=[panel])
    assert "First + Even: not available, no time." in caption
    assert absent.shape[0] == pictures.LINE


def study_arrays(sources: int, columns: int) -> dict[str, np.ndarray]:
    """Source s has level s, network k's image number n of it 10 + 40 k + 10 s + n, its target 200 + s."""
    s, k, n = np.ogrid[:sources, :2, :columns]
    images = (10 + 40 * k + 10 * s + n).transpose(1, 0, 2).astype(np.uint8)

    def flat(level):
        return np.broadcast_to(level[..., None, None, None], (*level.shape, 16, 16, 1))

    numbers = np.full((2, sources, columns), 0.5)
    return {
        "source": flat(np.arange(sources, dtype=np.uint8)),
        "target": flat(200 + np.arange(sources, dtype=np.uint8)),
        "images": flat(images),
        "ks": np.linspace(0.5, 1, columns),
        "probability": numbers,
        "l2": numbers,
        "distance": numbers,
        "networks": np.array(["r", "v"]),
    }


@pytest.mark.parametrize(("kind", "ends"), [("targeted", [0]), ("interpolation", [0, 200])])
def test_studies_are_drawn_row_by_network(drawn, sampled, kind, ends):
    sampled.study("s", {}, study_arrays(3, 2))
    picture, caption = drawn(kind=kind, study="s", count=2)
    levels = set(np.unique(picture[:, pictures.margin_of(["robust", "not robust"]) :]))
    assert {*ends, *(end + 1 for end in ends), 10, 11, 20, 21, 50, 51, 60, 61} <= levels
    assert "Rows: robust, not robust" in caption
    assert "Settings: eps 8.66; judge wrn; steps 60." in caption
    absent, caption = drawn({"s": "no time"}, kind=kind, study="s", count=2)
    assert caption == "T (P). Study s: not available, no time." and absent.shape[0] == pictures.LINE


def test_further_pairs_follow_the_first(drawn, sampled):
    sampled.study("s", {}, study_arrays(3, 2))
    picture, caption = drawn(kind="interpolation", study="s", first=2, count=1)
    assert "pairs 3 to 3" in caption
    column = picture[:, pictures.margin_of(["robust", "not robust"])]
    assert [column[0, 0], column[len(column) // 2 + pictures.GAP, 0]] == [2, 2]
    with pytest.raises(InputError, match=r"s.json: 3 pairs are shown, expected more than 3 \(the figure's first\)"):
        drawn(kind="interpolation", study="s", first=3, count=1)


def test_a_study_without_an_array_is_refused(drawn, sampled):
    arrays = study_arrays(1, 2)
    sampled.study("s", {}, {key: value for key, value in arrays.items() if key != "l2"})
    with pytest.raises(InputError, match=r"s\.npz: has no l2, expected the arrays source, images"):
        drawn(kind="targeted", study="s", count=1)


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
