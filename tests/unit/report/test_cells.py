from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pagboost.errors import InputError
from pagboost.report.cells import boosted, cells, expand, inputs, name_of, network_name, reason, studies, sweeps_of


def test_cells_of_a_table_are_its_rows_in_order_and_once(paper):
    table = paper["tables"]["table1"]
    expected = [("g1", "none"), ("g1", "good"), ("g2", "none"), ("g2", "good")]
    assert cells(table) == expected
    assert cells([table, table]) == expected
    assert boosted(cells(table)) == [("g1", "good"), ("g2", "good")]


def test_a_table_needs_what_its_improvements_are_over(paper):
    table = paper["tables"]["table1"] | {"base": {"generator": "g3", "boost": "none"}}
    assert cells(table)[-1] == ("g3", "none")
    assert cells(table, {"g3": "no data"}) == cells(paper["tables"]["table1"])


def test_a_figure_needs_its_panels_before_and_after(paper):
    assert cells(paper["figures"]["figure1"]) == [("g1", "none"), ("g1", "good"), ("g2", "none"), ("g2", "good")]


def test_a_gain_needs_the_raw_samples_of_both_sides(paper):
    assert set(cells(paper["claims"][1])) == {("g1", "none"), ("g1", "good"), ("g2", "none"), ("g2", "good")}
    plain = {k: v for k, v in paper["claims"][1].items() if k != "quantity"}
    assert set(cells(plain)) == {("g1", "good"), ("g2", "good")}


@pytest.mark.parametrize(
    ("key", "left"),
    [
        ("g1", ["g2", "g2"]),
        ("good", ["g1", "g2"]),
        ("g2/good", ["g1", "g1", "g2"]),
        ("heldout", ["g1", "g1", "g2", "g2"]),
    ],
)
def test_what_a_scale_cannot_have_is_left_out(paper, key, left):
    found = cells(paper["tables"]["table1"], {key: "too large"})
    assert [generator for generator, _ in found] == left


def test_reason_names_why():
    assert reason("g1", "good", {"g1/good": "no time"}) == "no time"
    assert reason("g1", "none", {"g1/good": "no time"}) is None


def test_each_makes_one_claim_per_generator_and_over_one_about_their_mean(paper):
    each, gain, over = (expand(claim) for claim in paper["claims"])
    assert [claim["id"] for claim in each] == ["helps/g1", "helps/g2"]
    assert [claim["lower"] for claim in each] == [{"generators": [g], "boost": "good"} for g in ("g1", "g2")]
    assert len(gain) == len(over) == 1
    assert over[0]["than"] == {"generators": ["g1", "g2"], "boost": "none"}
    assert expand(each[0]) == [each[0]]


@pytest.mark.parametrize(
    ("form", "sweeps"),
    [
        ({"trend": "falls", "sweep": {"g1": 0}}, [{"g1": 0}]),
        ({"best": {"than": {"g1": 0}, "lower": {"g2": 1}}}, [{"g2": 1}, {"g1": 0}]),
        ({"optimum": {"lower": {"g2": 1}, "than": {"g1": 0}}}, [{"g2": 1}, {"g1": 0}]),
    ],
)
def test_sweeps_of_a_claim_lower_side_first(form, sweeps):
    claim = {"id": "c", "metric": "fid", **form}
    assert sweeps_of(claim) == sweeps
    assert expand(claim) == [claim]


def test_names_of_rows(paper):
    assert name_of(paper["names"], "g1", "none") == "First"
    assert name_of(paper["names"], "g1", "good") == "First + Good"
    with pytest.raises(InputError, match="no name for g3"):
        name_of(paper["names"], "g3", "none")


def test_networks_need_a_name(paper):
    assert network_name(paper["names"], "r") == "robust"
    with pytest.raises(InputError, match=r"names\.networks: no name for x"):
        network_name(paper["names"], "x")
    with pytest.raises(InputError, match="no name for r"):
        network_name({}, "r")


CELLS = [{"generator": "g1", "boost": "none"}, {"generator": "g1", "boost": "good"}]
SIDES = {"id": "c", "lower": CELLS[1], "than": CELLS[0]}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"kind": "metrics", "rows": CELLS}, ["metrics/g1/boost=none.json", "metrics/g1/boost=good.json"]),
        ({"title": "T", "rows": CELLS}, ["metrics/g1/boost=none.json", "metrics/g1/boost=good.json"]),
        ({"kind": "labels", "rows": CELLS[1:]}, ["steps/g1/boost=good.json"]),
        ({"kind": "survey", "generators": {"a": "g1", "b": "g2"}, "rows": []}, []),
        ({"metric": "fid", **SIDES}, ["metrics/g1/boost=good.json", "metrics/g1/boost=none.json"]),
        ({"metric": "total_variation", **SIDES}, ["steps/g1/boost=good.json"]),
        ({"id": "c", "study": "attack"}, ["studies/attack.json"]),
        ({"kind": "targeted", "study": "attack"}, ["studies/attack.npz", "studies/attack.json"]),
        ({"kind": "targeted", "study": "absent"}, []),
        (
            {"kind": "blocks", "panels": [{"generator": "g1", "boosts": ["good", "wide"]}]},
            [f"samples/g1/boost={boost}/eval.npz" for boost in ("none", "good", "wide")]
            + [f"steps/g1/boost={boost}.json" for boost in ("good", "wide")],
        ),
        (
            {"id": "c", "metric": "fid", "trend": "rises", "sweep": {"g1": 0, "g2": 1, "g3": 2}},
            ["metrics/g1/boost=none.json", "metrics/g3/boost=none.json"],
        ),
        (
            {"id": "c", "metric": "fid", "best": {"lower": {"g3": 1, "g1": 0}, "than": {"g1": 0, "g4": 1}}},
            [f"metrics/{g}/boost=none.json" for g in ("g3", "g1", "g4")],
        ),
        (
            {"metric": "fid", "correlation": "gain", "over": ["g1", "g2", "g3"], "boost": "good"},
            [f"metrics/{g}/boost={boost}.json" for g in ("g1", "g3") for boost in ("none", "good")],
        ),
    ],
)
def test_inputs_are_the_files_a_part_is_made_from(part, expected):
    found = inputs("results", part, {"g2": "no data", "absent": "no time"})
    assert [path.relative_to("results").as_posix() for path in found] == expected


def test_studies_of_parts_once_and_in_order(paper):
    parts = [{"study": "b"}, paper["figures"]["figure1"], {"study": "a"}, {"study": "b"}]
    assert studies(parts) == ["b", "a"]


def test_a_workflow_can_import_cells_without_anything_heavy():
    code = "import sys, pagboost.report.cells; print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == "[]"
