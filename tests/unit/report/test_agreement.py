"""Two sets of trainings: which claims are compared, what agreeing means, and that neither set sees the other's."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from pagboost.report import agreement, compared, tables

SOURCE = Path(__file__).parents[3] / "src"
RAW = [10.0, 12.0]


@pytest.fixture
def judged(paper):
    """One claim for each of two generators, both in the table that is compared."""
    claim = {"id": "helps", "text": "Boosting helps", "source": "Table 1", "metric": "fid", "each": ["g1", "g2"]}
    paper["claims"] = [claim | {"lower": {"boost": "good"}, "than": {"boost": "none"}}]
    paper["compared"] = ["table1"]
    return paper


@pytest.fixture
def four(results):
    """Trainings 0 and 1, and 2 and 3: g1 improves in all of them, g2 in the first two alone."""
    for number, one in enumerate([results, *(results.training(n) for n in (1, 2, 3))]):
        for generator in ("g1", "g2"):
            fall = (1 + 0.01 * number) * (1 if generator == "g1" or number < 2 else -1)
            one.metrics(generator, "none", RAW)
            one.metrics(generator, "good", [a - fall for a in RAW], heldout=RAW)
    return results


def test_claims_are_compared_whose_every_cell_stands_in_the_tables(judged):
    other = {"id": "x", "text": "", "source": "", "metric": "fid"}
    outside = other | {"lower": {"generator": "g9", "boost": "none"}, "than": {"generator": "g1", "boost": "none"}}
    study = {"id": "y", "text": "", "source": "", "study": "s", "quantity": "q", "lower": "a", "than": "b"}
    judged["claims"] += [outside, study]
    assert [claim["id"] for claim in compared.claims_of(judged)] == ["helps"]
    assert compared.claims_of(judged | {"compared": []}) == []


def test_each_set_is_judged_by_itself(judged, four):
    frame = agreement.agreement(judged, four.root, {}, [0, 1], [2, 3])
    first = frame[frame["protocol"] == "train"].set_index("id")
    assert first.loc["helps/g1", ["verdict_1", "verdict_2", "agree"]].tolist() == ["held", "held", "yes"]
    assert first.loc["helps/g2", ["verdict_1", "verdict_2", "agree"]].tolist() == ["held", "not held", "no"]
    assert first.loc["helps/g2", ["difference_1", "difference_2"]].tolist() == pytest.approx([1.005, -1.025])
    assert first["trainings_1"].tolist() == first["trainings_2"].tolist() == [2, 2]
    heldout = frame[frame["protocol"] == "heldout"]
    assert heldout["agree"].tolist() == ["yes", "yes"]  # nothing moves there: within noise in both
    assert agreement.summary(frame) == {
        "judged": 4,
        "same": 3,
        "decided by either": 2,
        "decided by either, the same": 1,
        "decided by both": 2,
        "decided by both, the same": 1,
    }


def test_what_one_set_cannot_judge_is_no_disagreement(judged, four):
    frame = agreement.agreement(judged, four.root, {"g2": "no time"}, [0, 1], [2, 3])
    assert frame.loc[frame["id"] == "helps/g2", "agree"].tolist() == ["", ""]
    assert agreement.summary(frame)["judged"] == 2


def test_the_script_writes_both_forms(judged, four, tmp_path, monkeypatch):
    csv, md = tmp_path / "agreement.csv", tmp_path / "agreement.md"
    arguments = ["--threads", "1", "--paper", json.dumps(judged), "--results", four.root, "--trainings", 0, 1]
    arguments += ["--second-trainings", 2, 3, "--out-csv", csv, "--out-md", md]
    monkeypatch.setattr(sys, "argv", ["make_agreement", *map(str, arguments)])
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    runpy.run_path(str(SOURCE / "make_agreement.py"), run_name="__main__")
    assert tables.load(csv)["verdict_2"].tolist().count("not held") == 1
    text = md.read_text()
    assert "First: Boosting helps" in text and "Of 4 verdicts 3 of 4 (75 %) are the same" in text
    assert "2 trainings and 2 trainings" in text
