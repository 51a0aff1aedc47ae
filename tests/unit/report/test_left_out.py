"""What a scale leaves out of a paper is not made, and is said with its reason."""

from __future__ import annotations

import pytest

from pagboost.report import left_out

WITHOUT = {"because": "no such boosts", "tables": ["table1"], "claims": ["helps"]}


def test_a_paper_is_shown_without_them(paper):
    shown = left_out.shown(paper, WITHOUT)
    assert shown["tables"].keys() == paper["tables"].keys() - {"table1"}
    assert shown["figures"] == paper["figures"]
    assert [claim["id"] for claim in shown["claims"]] == [c["id"] for c in paper["claims"] if c["id"] != "helps"]
    assert len(shown["claims"]) == len(paper["claims"]) - 1
    assert "table1" in paper["tables"]
    assert left_out.shown(paper, {"because": "x", "figures": ["figure1"]})["figures"] == {}


@pytest.mark.parametrize("nothing", [None, {}, {"because": "nothing"}])
def test_nothing_left_out_is_the_whole_paper(paper, nothing):
    assert left_out.shown(paper, nothing) == paper
    assert left_out.said(nothing) == ""


def test_readers_are_told_what_and_why():
    assert left_out.said(WITHOUT) == "Left out at this scale: tables table1; claims helps. Why: no such boosts."


def test_parts_that_are_not_there_are_named(paper):
    found = list(left_out.problems("made_up", paper, {"tables": ["tabel1"], "figures": ["x"], "claims": ["helps/g1"]}))
    assert found[0].startswith(
        "without.made_up.tables: tabel1 is none of config/papers/made_up.yaml (did you mean table1?)"
    )
    assert found[1:2] == ["without.made_up.figures: x is none of config/papers/made_up.yaml, expected one of: figure1"]
    assert found[2].startswith("without.made_up.claims: helps/g1 is none")
    assert not list(left_out.problems("made_up", paper, WITHOUT))
