"""Figures of guided diffusion: grey levels tell which image stands where."""

from __future__ import annotations

import numpy as np
import pytest

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.report import figures, guidance_figures, pictures
from pagboost.report.cells import inputs, samples_file, study_file

LABELS = np.array([1, 0, 1, 0])
CELL = pictures.CELL + pictures.GAP
TEXT = pictures.LINE
NETWORKS = np.array(["v", "r"])
MARGIN = pictures.margin_of(["not robust", "robust"])


def flat(levels) -> np.ndarray:
    """Grey images [..., 16, 16, 1] of these levels."""
    levels = np.asarray(levels, np.uint8)
    return np.broadcast_to(levels[..., None, None, None], (*levels.shape, 16, 16, 1))


@pytest.fixture
def drawn(paper, results):
    """drawn(unavailable, **figure) draws a figure declared like this."""

    def draw(unavailable=None, **spec):
        paper["figures"]["x"] = {"title": "T", "place": "P"} | spec
        picture, caption = figures.figure(paper, "x", results.root, unavailable or {})
        return np.asarray(picture), caption

    return draw


# -- equal seeds


PANELS = [{"generator": "g1", "boost": "none"}, {"generator": "g2", "boost": "none"}]
SAME = {"kind": "same_seeds", "classes": 2, "images_per_class": 2, "panels": PANELS}


def write(results, generator, level, **changed):
    same = {"labels": LABELS, "seeds": np.full(4, 3), "index": np.arange(4)}
    made = artifacts.SampleSet(flat(level + np.arange(4)), **same | changed)
    artifacts.save_samples(samples_file(results.root, generator, "none"), made)


def block(picture, top):
    """The levels [images, classes] of the block whose title stands at `top`."""
    return picture[top + 2 * TEXT + pictures.GAP :: CELL, ::CELL, 0][:2, :2].tolist()


def test_every_block_has_the_same_class_and_stream_in_the_same_place(drawn, results):
    write(results, "g1", 10)
    write(results, "g2", 60)
    picture, caption = drawn(**SAME)
    assert block(picture, 0) == [[11, 10], [13, 12]]
    assert block(picture, 2 * (TEXT + pictures.GAP + CELL) + TEXT + pictures.GAP) == [[61, 60], [63, 62]]
    assert caption.startswith("T (P). First; Second. In every block, images in the same place have the same class")
    assert "the first 2 samples of each of 2 classes, not selected" in caption and caption.endswith("Sampling seed 3.")


def test_further_classes_and_images_leave_empty_places_white(drawn, results):
    write(results, "g1", 10, seeds=np.array([3, 3, 4, 4]))
    picture, caption = drawn(**SAME | {"classes": [1, 0, 7], "first": 1, "panels": PANELS[:1]})
    assert picture[2 * TEXT + pictures.GAP :: CELL, ::CELL, 0][:2, :3].tolist() == [[12, 13, 255], [255] * 3]
    assert "after number 1 of classes 1, 0, 7" in caption and "Sampling seed 4." in caption
    assert "In every block" not in caption


@pytest.mark.parametrize(
    "changed", [{"labels": LABELS[::-1]}, {"index": np.arange(4) + 1}, {"seeds": np.array([3, 3, 3, 4])}]
)
def test_sets_of_other_labels_or_streams_are_refused(drawn, results, changed):
    write(results, "g1", 10)
    write(results, "g2", 60, **changed)
    with pytest.raises(InputError, match=r"g2/boost=none/eval\.npz: other labels, seeds or index than the first"):
        drawn(**SAME)


def test_unlabelled_sets_have_no_order(drawn, results):
    write(results, "g1", 10, labels=None)
    with pytest.raises(InputError, match=r"g1/boost=none/eval\.npz: has no arr_1"):
        drawn(**SAME)


def test_a_panel_the_scale_cannot_have_leaves_the_others(drawn, results):
    write(results, "g2", 60)
    picture, caption = drawn({"g1": "no weights"}, **SAME)
    assert "First: not available, no weights; Second. Columns" in caption
    assert block(picture, TEXT + pictures.GAP) == [[61, 60], [63, 62]]
    _, caption = drawn({"g1": "a", "g2": "b"}, **SAME)
    assert caption == "T (P). First: not available, a; Second: not available, b."


def test_same_seeds_need_raw_samples_and_nothing_else():
    paths = [samples_file("results", "g2", "none")]
    assert inputs("results", SAME, {"g1": "no weights"}) == paths


# -- studies


def write_study(results, settings, quantities=None, **arrays):
    content = {"kind": "k", "unit": "image", "settings": settings, "quantities": quantities or {}}
    artifacts.save_json(study_file(results.root, "s", "json"), content)
    artifacts.save_arrays(study_file(results.root, "s", "npz"), {"networks": NETWORKS, **arrays})


def cells_of(picture, tops, columns, margin=MARGIN):
    """The levels [rows, columns] of images whose rows start at these heights."""
    return [picture[top, margin : margin + columns * CELL : CELL, 0].tolist() for top in tops]


def spread(start, *shape):
    return start + np.arange(np.prod(shape)).reshape(shape)


def test_gradients_stand_below_the_noisy_images_they_belong_to(drawn, results):
    images, noisiness = flat(spread(100, 2, 2, 2)), spread(0, 2, 2, 2) / 10
    arrays = {"source": flat([1, 2]), "labels": np.array([7, 8]), "timesteps": np.array([0, 999])}
    write_study(
        results, {"timesteps": [0, 999]}, **arrays, noisy=flat(spread(20, 2, 2)), images=images, noisiness=noisiness
    )
    picture, caption = drawn(kind="time_gradients", study="s", count=2)
    margin = pictures.margin_of(["noisy image", "not robust"])
    with_two, with_one = CELL + 2 * TEXT + 1 + pictures.GAP, CELL + TEXT + 1 + pictures.GAP
    rows = np.array([0, with_two, with_two + with_one])
    assert cells_of(picture, rows, 3, margin) == [[1, 20, 21], [255, 100, 101], [255, 104, 105]]
    second = rows + with_two + 2 * with_one - pictures.GAP + guidance_figures.APART
    assert cells_of(picture, second, 3, margin) == [[2, 22, 23], [255, 102, 103], [255, 106, 107]]
    assert "not robust, robust, each min-max normalised" in caption and "The first 2 images" in caption
    assert caption.endswith("not selected, enlarged without interpolation. Settings: timesteps 0, 999.")


def test_targeted_attacks_say_whether_the_judge_agrees(drawn, results, monkeypatch):
    arrays = {"source": flat([1, 2]), "labels": np.array([7, 8]), "targets": np.array([[8, 9], [9, 0]])}
    agreement = np.array([[[0.0, 1.0], [1, 1]], [[1, 0], [1, 1]]])
    numbers = {"probability": spread(1, 2, 2, 2) / 8, "agreement": agreement}
    write_study(
        results, {"eps": 1.25, "steps": 7, "judge": "cnn"}, **arrays, **numbers, images=flat(spread(100, 2, 2, 2))
    )
    said, strip = [], pictures.strip
    monkeypatch.setattr(pictures, "strip", lambda images, below: said.append(below) or strip(images, below))
    picture, caption = drawn(kind="time_targeted", study="s", count=1)
    assert said[0] == [["original", "class 7", ""], ["to 8", "P=0.12", "judge: no"], ["to 9", "P=0.25", "judge: yes"]]
    assert [text[2] for text in said[1][1:]] == ["judge: yes", "judge: no"]
    row = CELL + 3 * TEXT + 1 + pictures.GAP
    assert cells_of(picture, [0, row], 3) == [[1, 100, 101], [1, 104, 105]]
    assert "The first image of the study" in caption and "Settings: eps 1.25; judge cnn; steps 7." in caption


@pytest.fixture
def walked(results):
    def write(scales):
        arrays = {"labels": np.array([0, 1]), "timesteps": np.array([999, 0]), "final": flat(spread(200, 2, 2))}
        settings = {"scales": scales, "steps": 250, "seed": 4}
        write_study(results, settings, **arrays, images=flat(spread(100, 2, 2, 2)), probability=np.full((2, 2, 2), 0.5))

    return write


def test_trajectories_end_in_the_sample_and_name_the_scales(drawn, walked):
    walked({"v": 0.5, "r": 1.0})
    picture, caption = drawn(kind="trajectories", study="s", count=1)
    margin = pictures.margin_of(["not robust, s = 0.5"])
    tops = TEXT + pictures.GAP + np.array([0, CELL + 2 * TEXT + 1 + pictures.GAP])
    assert cells_of(picture, tops, 3, margin) == [[100, 101, 200], [104, 105, 202]]
    assert "Rows: guided by not robust, s = 0.5; robust, s = 1, from the same noise" in caption
    assert "Settings: seed 4; steps 250." in caption


def test_a_trajectory_without_a_scale_is_refused(drawn, walked):
    walked({"v": 0.5})
    with pytest.raises(InputError, match=r"s\.json: settings\.scales has no r, expected the scale of every network"):
        drawn(kind="trajectories", study="s", count=1)


def write_wins(results, wins, levels):
    quantities = {"wins": {"v": wins, "r": [0.0, 0.0, 1.0, 1.0, 0.0]}}
    images = flat(np.array([levels, [level + 100 for level in levels]], np.uint8))
    arrays = {"labels": np.arange(len(levels)), "margin": np.linspace(2, 1, len(levels)), "images": images}
    write_study(results, {"judge": "cnn", "of": "v", "over": "r"}, quantities, **arrays)


def test_pairs_stand_one_above_the_other_largest_margin_first(drawn, results):
    write_wins(results, [1.0, 1.0, 0.0, 0.0, 0.0], [10, 20])
    picture, caption = drawn(kind="advantages", study="s", count=5)
    assert cells_of(picture, [0, CELL + 1], 2) == [[10, 20], [110, 120]]
    assert "Of 5 pairs not robust wins 2, robust wins 2, neither 1. Shown, by this rule and not by eye" in caption
    assert "the largest wins of not robust, 2 of 2, largest first. Settings: judge cnn" in caption
    fewer, caption = drawn(kind="advantages", study="s", count=1)
    assert 20 not in fewer[0] and "not robust wins 2" in caption and "1 of 2, largest first" in caption


def test_many_pairs_go_on_in_further_rows(drawn, results, monkeypatch):
    monkeypatch.setattr(guidance_figures, "PAIRS_PER_ROW", 2)
    write_wins(results, [1.0] * 3 + [0.0] * 2, [10, 20, 30])
    picture, _ = drawn(kind="advantages", study="s", count=5)
    second = 2 * CELL + 2 * TEXT + 2 + guidance_figures.APART
    assert cells_of(picture, [0, second, second + CELL + 1], 2) == [[10, 20], [30, 255], [130, 255]]


def test_no_win_at_all_is_a_line_and_said_to_be_a_result(drawn, results):
    write_wins(results, [0.0] * 5, [])
    picture, caption = drawn(kind="advantages", study="s", count=5)
    assert picture.shape[0] == TEXT
    assert (
        "Of 5 pairs not robust wins 0, robust wins 2, neither 3. There is none to show, which is a result too."
        in caption
    )


@pytest.mark.parametrize("kind", ["time_gradients", "time_targeted", "trajectories", "advantages"])
def test_a_study_the_scale_cannot_have_is_a_line(drawn, kind):
    picture, caption = drawn({"s": "no time"}, kind=kind, study="s", count=2)
    assert caption == "T (P). Study s: not available, no time." and picture.shape[0] == TEXT
