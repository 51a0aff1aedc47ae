"""Tables of costs: counts and reported seconds side by side, claims about them, and what is refused."""

from __future__ import annotations

import pytest

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.report import claims, cost_tables, render, tables
from pagboost.report.cells import inputs, study_file

COUNTS = {"g1": [1.1e9], "g2": [4e6], "good": [2e7], "bad": [4e6]}
CLAIM = {
    "id": "c",
    "text": "T",
    "source": "S",
    "study": "steps",
    "quantity": "multiply_adds",
    "lower": "good",
    "than": "g1",
}


def study(results, unit="count", **quantities):
    content = {"unit": unit, "settings": {}, "quantities": {"multiply_adds": COUNTS | quantities}}
    artifacts.save_json(study_file(results.root, "steps", "json"), content)


@pytest.fixture
def shown(paper):
    rows = [
        {"generator": "g1", "boost": "good", "reported": {"sampler_step": 0.55, "boosting_step": 0.02}},
        {"generator": "g2", "boost": "good"},
    ]
    paper["tables"]["cost"] = {"kind": "costs", "title": "T", "place": "P", "study": "steps", "rows": rows}
    return paper


def people(paper, frame, folder):
    tables.save(frame, folder / "t.csv")
    return render.people(tables.load(folder / "t.csv"), paper["tables"]["cost"], paper)


def test_a_ratio_beside_that_of_the_reported_seconds(shown, results, tmp_path):
    study(results)
    frame = tables.table(shown, "cost", results.root, {}, {})
    assert frame[["sampler_step", "boosting_step", "ratio"]].values.tolist() == [[1.1e9, 2e7, 55], [4e6, 2e7, 0.2]]
    assert frame.loc[0, "ratio_reported"] == pytest.approx(27.5)
    read = people(shown, frame, tmp_path)
    assert [row[1:] for row in read.rows] == [["1100.00", "20.00", "55.0 (27.5)"], ["4.00", "20.00", "0.2"]]
    assert read.shared == {"costs": cost_tables.RULE}


def test_every_training_has_the_same(shown, results):
    for one in (results, results.training(1)):
        study(one)
    frame = tables.table(shown, "cost", results.root, {}, {}, [1])
    assert frame["ratio"].tolist() == [55, 0.2] and not frame["note"].any()
    assert study_file(results.training(1).root, "steps", "json") in inputs(
        results.root, shown["tables"]["cost"], {}, [1]
    )


@pytest.mark.parametrize(("key", "missing"), [("steps", [True, True]), ("g2", [False, True]), ("good", [True, True])])
def test_what_a_scale_cannot_have_says_why(shown, results, tmp_path, key, missing):
    if not all(missing):
        study(results)
    frame = tables.table(shown, "cost", results.root, {key: "left out"}, {})
    assert (frame["unavailable"] == "left out").tolist() == missing
    read = people(shown, frame, tmp_path)
    assert [row[1] == "not available" for row in read.rows] == missing


def test_a_study_that_counts_nothing_is_refused(shown, results):
    study(results, unit="image")
    with pytest.raises(InputError, match=r"steps\.json: a study of images, expected one of costs, whose unit is count"):
        tables.table(shown, "cost", results.root, {}, {})


@pytest.mark.parametrize(
    ("sides", "verdict"),
    [
        (("good", "g1"), "held, counted"),
        (("good", "g2"), "not held, counted"),
        (("bad", "g2"), "not held, counted"),  # the same is not less
    ],
)
@pytest.mark.parametrize("trainings", [[], [1, 2]])
def test_a_claim_about_counts_is_judged_by_its_difference(paper, results, sides, verdict, trainings):
    for one in (results, *(results.training(number) for number in trainings)):
        study(one)
    paper["claims"] = [CLAIM | dict(zip(("lower", "than"), sides, strict=True))]
    frame = claims.evaluate(paper, results.root, {}, trainings)
    row = frame.iloc[0]
    assert (row["verdict"], row["verdict_holm"], row["trainings"]) == (verdict, "", len(trainings) + 1)
    assert row["difference"] == COUNTS[sides[1]][0] - COUNTS[sides[0]][0]
    assert claims.counts(frame)[verdict.partition(",")[0]] == 1
    read = render.claims(frame, paper)
    assert read.rows[0][2] == "study steps"
    assert render.EXACT in read.remarks
