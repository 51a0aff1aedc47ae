"""Sweeps: what is plotted where, and what is said about it."""

from __future__ import annotations

import numpy as np
import pytest

from pagboost.errors import InputError
from pagboost.options.figures import MOST_SERIES
from pagboost.report import figures, sweep_figures
from pagboost.report import measured as ms
from pagboost.report.cells import cells, inputs, metrics_file

FID = {"metric": "fid", "protocol": "train"}
HELDOUT = {"metric": "fid", "protocol": "heldout"}
IS = {"metric": "inception_score", "protocol": "train"}
AGAINST = {"x": FID, "y": IS}
SERIES = {"name": "Guided", "points": {"g2": 0.5, "g1": 0, "g3": 2}, "reported": {"fid": {"g1": 7.67, "g3": 7.5}}}
SWEEP = {"kind": "sweep", "title": "T", "place": "P", "axis": "guidance scale s", "plots": [FID], "series": [SERIES]}
BLUE, ORANGE = (0, 114, 178), (213, 94, 0)


@pytest.fixture
def swept(paper, results):
    """FIDs 6 +- 1 and 3 +- 0.5 at s = 0 and 0.5, one seed of 4 at s = 2."""
    paper["names"]["generators"]["g3"] = "Third"
    results.metrics("g1", "none", [5.0, 6.0, 7.0], heldout=[9.0, 10.0, 11.0])
    results.metrics("g2", "none", [2.5, 3.0, 3.5])
    results.metrics("g3", "none", [4.0])
    return results


@pytest.fixture
def drawn(paper, swept):
    def draw(unavailable=None, **spec):
        paper["figures"]["x"] = SWEEP | spec
        picture, caption = figures.figure(paper, "x", swept.root, unavailable or {})
        return np.asarray(picture), caption

    return draw


@pytest.fixture
def measured(swept):
    found = ms.repeated([swept.root], [(g, "none") for g in ("g1", "g2", "g3")], {})
    return {generator: one for (generator, _), one in found.items()}


def pixels(picture, colour):
    return int((picture == colour).all(-1).sum())


def test_points_are_ordered_by_setting_at_evenly_spaced_places(measured):
    found = sweep_figures.curve(SERIES, FID, measured, [0, 0.5, 1, 2])
    assert found.settings == [0, 0.5, 2]
    assert [x for x, _ in found.x] == [0, 1, 3]
    assert found.y == [(6.0, 1.0), (3.0, 0.5), (4.0, None)]


def test_one_metric_against_another(measured):
    found = sweep_figures.curve(SERIES, AGAINST, measured, [0, 0.5, 2])
    assert found.x == [(6.0, 1.0), (3.0, 0.5), (4.0, None)]
    assert [y for y, _ in found.y] == pytest.approx([9.4, 9.7, 9.6])


def test_what_is_not_measured_or_not_printed_is_left_out(measured):
    del measured["g2"]
    assert sweep_figures.curve(SERIES, FID, measured, [0, 0.5, 2]).settings == [0, 2]
    printed = sweep_figures.reported(SERIES, FID, [0, 0.5, 2])
    assert printed.y == [(7.67, None), (7.5, None)] and [x for x, _ in printed.x] == [0, 2]
    assert sweep_figures.reported(SERIES, IS, [0, 0.5, 2]).settings == []
    assert sweep_figures.reported(SERIES, AGAINST, [0, 0.5, 2]).settings == []  # the paper prints one of the two


def test_numbers_stand_where_there_is_room_at_the_ends_first():
    assert sweep_figures.spaced([(0, 1), (0.05, 0.97), (0.5, 0.97), (0.95, 0.02), (1, 0)]) == [4, 0, 2]
    assert sweep_figures.spaced([(0.5, 0.1), (0.5, 0.2)]) == [1, 0]
    assert sweep_figures.spaced([(0.5, 0.5)]) == [0] and sweep_figures.spaced([]) == []


def test_caption_says_what_is_shown_and_what_is_missing(drawn):
    _, caption = drawn({"g3": "too slow"}, plots=[FID, AGAINST])
    assert caption.startswith(
        "T (P). Lines: Guided. Points: the mean over 3 sampling seeds, bars the standard deviation."
    )
    assert (
        "guidance scale s stand at even distances" in caption
        and "the numbers are guidance scale s, if there is room" in caption
    )
    assert "Dashed: the numbers the paper prints" in caption
    assert "Protocols: train: extractor cnn_a" in caption and "heldout" not in caption
    assert caption.endswith("Left out: Third: not available, too slow.")
    _, caption = drawn(series=[{"name": "Guided", "points": {"g3": 2}}])
    assert "one sampling seed each" in caption and "Dashed" not in caption and "Left out" not in caption
    _, caption = drawn()
    assert "over 1 to 3 sampling seeds" in caption and "one metric is drawn against another" not in caption


def test_a_protocol_the_scale_cannot_have_leaves_its_plots_out(drawn):
    whole, _ = drawn(plots=[FID, HELDOUT])
    half, caption = drawn({"heldout": "no such split"}, plots=[FID, HELDOUT])
    assert half.shape[1] == whole.shape[1] // 2
    assert caption.endswith("Left out: protocol heldout: not available, no such split.")
    nothing, caption = drawn({"heldout": "no such split"}, plots=[HELDOUT])
    assert nothing.shape[0] < 30 and caption == "T (P). protocol heldout: not available, no such split."


def test_nothing_measured_is_lines_with_reasons(drawn):
    picture, caption = drawn({"g1": "a", "g2": "b", "g3": "c"})
    assert picture.shape[0] < 100 and "First: not available, a" in caption and "Third: not available, c." in caption


def test_every_series_has_its_colour_and_dashes_are_drawn(drawn):
    other = {"name": "Other", "points": {"g1": 0, "g2": 1}}
    picture, _ = drawn(series=[SERIES, other])
    assert pixels(picture, BLUE) > 100 and pixels(picture, ORANGE) > 100
    undashed, _ = drawn(series=[{k: v for k, v in SERIES.items() if k != "reported"}, other])
    assert pixels(undashed, BLUE) < pixels(picture, BLUE)
    assert (
        (picture[:3] == 255).all() and (picture[:, :2] == 255).all() and (picture[:, -2:] == 255).all()
    )  # nothing cut


def test_another_networks_distance_stands_whole_and_without_the_papers_fid(drawn, swept):
    kept, _ = drawn()
    for generator, fids in (("g1", [5.0, 6.0, 7.0]), ("g2", [2.5, 3.0, 3.5]), ("g3", [4.0])):
        swept.metrics(generator, "none", fids, distance="FD-EfficientNet-Lite0")
    picture, caption = drawn()
    assert (picture[:3] == 255).all() and (picture[:, :2] == 255).all() and (picture[:, -2:] == 255).all()
    assert "Dashed" not in caption
    assert "The paper's are not drawn beside FD-EfficientNet-Lite0, which it does not measure." in caption
    undashed, _ = drawn(series=[{k: v for k, v in SERIES.items() if k != "reported"}])
    assert np.array_equal(picture, undashed) and not np.array_equal(picture, kept)


def test_every_series_that_a_figure_may_have_has_a_colour():
    assert len(sweep_figures.STYLES) == MOST_SERIES


def test_numbers_measured_differently_are_refused(drawn, swept):
    swept.metrics("g3", "none", [4.0], n=500)
    with pytest.raises(InputError, match="train measured with n 500"):
        drawn()


def test_equal_results_give_equal_pictures_whatever_the_user_configured(drawn):
    import matplotlib

    first, _ = drawn(plots=[FID, IS, AGAINST, HELDOUT])
    with matplotlib.rc_context({"lines.linewidth": 9, "figure.facecolor": "black"}):
        assert np.array_equal(first, drawn(plots=[FID, IS, AGAINST, HELDOUT])[0])


def test_a_sweep_is_made_from_metrics_of_raw_samples():
    assert cells(SWEEP) == [("g2", "none"), ("g1", "none"), ("g3", "none")]
    assert inputs("results", SWEEP, {"g1": "no"}) == [metrics_file("results", g, "none") for g in ("g2", "g3")]
