"""Choice curves: what is drawn, and what is said of lengths that were chosen at an end."""

from __future__ import annotations

import numpy as np
import pytest

from pagboost.report import choice_figures, figures
from pagboost.report.cells import cells, inputs, steps_file, training_folder

CURVES = [{"generator": g, "boost": "good"} for g in ("g1", "g2")]
SPEC = {"kind": "choices", "title": "T", "place": "P", "curves": CURVES}
BLUE, ORANGE = (0, 114, 178), (213, 94, 0)
EPS = (0.25, 0.5, 1.0, 2.0, 4.0)


def write(results, generator, fids, **stated):
    candidates = [{"steps": 30, "eps": eps, "fid": fid} for eps, fid in zip(EPS, fids, strict=True)]
    results.steps(generator, "good", 30, 0.1, candidates=candidates, **stated)


@pytest.fixture
def chosen(results):
    """g1's best radius is inside, g2's is the largest; g2 has no FID without boosting."""
    write(results, "g1", [5, 4, 3, 6, 40], unboosted_fid=7.0)
    write(results, "g2", [5, 4, 3, 2.5, 2])
    return results


@pytest.fixture
def drawn(paper, chosen):
    def draw(unavailable=None, trainings=(), **spec):
        paper["figures"]["x"] = SPEC | spec
        picture, caption = figures.figure(paper, "x", chosen.root, unavailable or {}, trainings)
        return np.asarray(picture), caption

    return draw


def pixels(picture, colour):
    return int((picture == colour).all(-1).sum())


def test_an_end_is_marked_and_said(drawn):
    picture, caption = drawn()
    assert pixels(picture, ORANGE) > 20 and pixels(picture, BLUE) > 100
    assert caption.startswith(
        "T (P). FID of validation samples against the validation split by length of the walk: Good. "
    )
    assert "the best may lie: Second + Good: the longest." in caption and "First" not in caption
    assert "Circles" in caption and "Dashed: the same samples without boosting." in caption and "Thin" not in caption
    assert (picture[:2] == 255).all() and (picture[:, -2:] == 255).all()  # nothing cut


def test_without_an_end_there_is_no_mark_of_one(drawn):
    picture, caption = drawn(curves=CURVES[:1])
    assert pixels(picture, ORANGE) == 0
    assert "In no plot is the best at an end of the candidates." in caption and "Squares" not in caption


def test_dashes_are_drawn_where_it_was_measured(drawn):
    assert "Dashed" not in drawn(curves=CURVES[1:])[1]


def test_trainings_are_lines_and_ends_are_counted(drawn, chosen):
    again = chosen.training(1)
    write(again, "g1", [1, 4, 3, 6, 40], unboosted_fid=7.5)
    write(again, "g2", [5, 4, 3, 2.5, 2])
    _, caption = drawn(trainings=[1])
    assert "Thin: each of 2 trainings, thick: their mean." in caption
    assert "First + Good: the shortest in 1 of 2 trainings; Second + Good: the longest in 2 of 2 trainings." in caption
    assert "first training" not in caption


def test_what_the_scale_cannot_have_or_did_not_choose_is_left_out(drawn, chosen):
    _, caption = drawn({"g2": "too slow"})
    assert caption.endswith("Left out: Second + Good: not available, too slow.")
    chosen.steps("g1", "good", 30, 0.1, candidates=[{"steps": 30, "eps": 1.0}])
    picture, caption = drawn({"g2": "too slow"})
    assert picture.shape[0] < 100
    assert caption == "T (P). Second + Good: not available, too slow; First + Good: a single candidate, not chosen."


def test_several_boosts_are_named_in_each_plot(drawn, chosen, paper):
    paper["names"]["boosts"]["other"] = "Other"
    chosen.steps("g1", "other", 3, 0.1, candidates=[{"steps": n, "eps": None, "fid": 9 - n} for n in (1, 2, 3)])
    picture, caption = drawn(curves=[*CURVES, {"generator": "g1", "boost": "other"}])
    assert ": Good; Other. " in caption and "First + Other: the longest" in caption
    assert picture.shape[1] == 3 * 250


def test_equal_results_give_equal_pictures_whatever_the_user_configured(drawn):
    import matplotlib

    first, _ = drawn()
    with matplotlib.rc_context({"lines.linewidth": 9, "figure.facecolor": "black"}):
        assert np.array_equal(first, drawn()[0])


@pytest.mark.parametrize(("low", "high"), [(2, 400), (9.9, 10.1), (0.05, 1.5), (3, 6), (1.2345, 1.2346)])
def test_round_numbers_stand_evenly_along_the_axis(low, high):
    ticks, labels = choice_figures.labelled(low, high)
    assert len(ticks) == len(labels) == len(set(labels)) == 4
    assert low <= ticks[0] and ticks[-1] <= high and ticks == sorted(ticks)


def test_it_is_made_from_what_boosting_chose_in_every_training():
    assert cells(SPEC) == [("g1", "good"), ("g2", "good")]
    files = [steps_file("r", g, "good") for g in ("g1", "g2")]
    assert inputs("r", SPEC, {}) == files
    assert inputs("r", SPEC, {"g2": "no"}, [3]) == [files[0], steps_file(training_folder("r", 3), "g1", "good")]
