from __future__ import annotations

import pytest

from pagboost.errors import InputError
from pagboost.report import choices


def test_a_walk_with_and_without_a_radius(measured):
    assert choices.load(measured.root, "g1", "good").settings() == "8 steps of 0.2"
    measured.steps("g1", "good", 30, 0.0481125, eps=1.443375, norm="linf")
    assert choices.load(measured.root, "g1", "good").settings() == "30 steps of 0.0481, L-inf eps 1.44"


def test_shares_by_seed(measured):
    measured.labels("g1", "good", {"0": [3, 1], "7": [0, 5]})
    assert choices.load(measured.root, "g1", "good").shares() == {"0": [0.75, 0.25], "7": [0, 1]}


@pytest.mark.parametrize("counts", [{}, {"0": [0, 0]}, {"0": [1, 1], "1": [1, 1, 1]}])
def test_counts_that_have_no_shares_are_refused(measured, counts):
    measured.labels("g1", "good", counts)
    with pytest.raises(InputError, match=r"good\.json: labels\.counts is .*, expected images of each class"):
        choices.load(measured.root, "g1", "good").shares()


@pytest.mark.parametrize(
    ("content", "message"),
    [({}, "boost=bad.json: norm l3, expected one of: l2, linf"), (None, "bad.json: no such file")],
)
def test_foreign_files_are_refused(measured, content, message):
    if content is not None:
        measured.steps("g1", "bad", 1, 0.1, norm="l3")
    with pytest.raises(InputError, match=message):
        choices.load(measured.root, "g1", "bad")


def test_a_file_without_steps_is_refused(measured):
    path = measured.steps("g1", "good", 1, 0.1)
    path.write_text('{"alpha": 0.1}')
    with pytest.raises(InputError, match="expected the chosen steps and alpha"):
        choices.load(measured.root, "g1", "good")
