"""Validation FID along candidate lengths, as boosting wrote it."""

from __future__ import annotations

import pytest

from pagboost.errors import InputError
from pagboost.report import curves


def candidates(lengths, fids, axis="eps"):
    other = {"eps": 30, "steps": None}[axis]
    pairs = zip(lengths, fids, strict=True)
    return [{"steps": other, "eps": other, "fid": fid} | {axis: length} for length, fid in pairs]


def test_radii_and_steps_from_the_shortest_on(results):
    results.steps("g1", "good", 30, 0.1, candidates=candidates([2.0, 0.5, 1.0], [7, 9, 8]), unboosted_fid=10.5)
    found = curves.curve(results.root, "g1", "good")
    assert (found.axis, found.lengths, found.fid, found.unboosted) == ("eps", (0.5, 1.0, 2.0), (9, 8, 7), 10.5)
    assert (found.best(), found.inside()) == (2, False)
    results.steps("g1", "good", 8, 0.1, candidates=candidates([4, 8, 12], [7, 6, 8], "steps"))
    found = curves.curve(results.root, "g1", "good")
    assert (found.axis, found.lengths, found.unboosted) == ("steps", (4, 8, 12), None)
    assert (found.best(), found.inside()) == (1, True)


def test_of_equal_ones_the_shortest_is_best(results):
    results.steps("g1", "good", 30, 0.1, candidates=candidates([1.0, 2.0, 4.0], [7, 7, 8]))
    assert curves.curve(results.root, "g1", "good").best() == 0


def test_a_single_candidate_is_not_scored(results):
    results.steps("g1", "good", 30, 0.1, candidates=[{"steps": 30, "eps": 1.5}])
    found = curves.curve(results.root, "g1", "good")
    assert (found.lengths, found.fid, found.best(), found.inside()) == ((30,), (), 0, False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "no candidates, expected the lengths"),
        ([{"steps": 1, "eps": 1}, {"steps": 1, "eps": 2}], "candidates are incomplete, expected steps, eps and fid"),
        ([{"fid": 1}, {"fid": 2}], "candidates are incomplete, expected steps, eps and fid"),
        ([5, 6], "candidates are incomplete, expected steps, eps and fid"),
    ],
)
def test_a_file_without_a_curve_is_refused(results, wrong, message):
    results.steps("g1", "good", 30, 0.1, candidates=wrong)
    with pytest.raises(InputError, match=rf"boost=good\.json: {message}"):
        curves.curve(results.root, "g1", "good")


def test_trainings_have_the_same_candidates(results):
    results.steps("g1", "good", 30, 0.1, candidates=candidates([1.0, 2.0], [7, 8]))
    again = results.training(1)
    again.steps("g1", "good", 30, 0.1, candidates=candidates([1.0, 2.0], [8, 7]))
    folders = [results.root, again.root]
    assert [one.best() for one in curves.of_trainings(folders, "g1", "good")] == [0, 1]
    again.steps("g1", "good", 30, 0.1, candidates=candidates([1.0, 3.0], [8, 7]))
    message = r"training=1/.*good\.json: candidates are eps 1, 3, but .*good\.json has eps 1, 2: .* in every training"
    with pytest.raises(InputError, match=message):
        curves.of_trainings(folders, "g1", "good")
