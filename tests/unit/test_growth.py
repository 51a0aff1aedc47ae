"""The pure parts of benchmarks/growth.py: which cases there are, what is kept of them, what they say."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import growth
import growth_made
import growth_tools

from pagboost.planning import configuration
from pagboost.planning.lineage import upstream
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import Results

SIZES = (100, 400, 1600, 5000)
LOOK = "live view, ten looks"


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_a_slope_is_of_what_is_above_the_fixed_cost(power):
    assert growth.slope({n: 3 + 1e-3 * n**power for n in SIZES}, 3, 1e-4) == pytest.approx(power)


def test_what_hardly_grows_has_no_slope():
    assert growth.slope(dict.fromkeys(SIZES, 1.01), 1, 0.02) is None
    assert growth.slope({100: 1.0, 400: 1.01, 1600: 1.5}, 1, 0.02) is None  # a single size is above noise
    assert growth.reaches(3600, dict.fromkeys(SIZES, 1.01), 1, 0.02) == math.inf
    assert growth.reaches(1e9, {n: n / 100 for n in SIZES}, 0, 0.02) == math.inf  # too far to tell


def test_a_limit_is_reached_as_steeply_as_the_last_sizes_grew():
    assert growth.reaches(100, {n: 1 + n / 100 for n in SIZES}, 1, 0.02) == pytest.approx(9900)
    turns = {100: 1.0, 400: 4.0, 1600: 16.0, 3200: 64.0}  # linear, then a square
    assert growth.reaches(6400, turns, 0, 0.02) == pytest.approx(32000)


def test_small_cases_come_first_and_sizes_can_be_chosen():
    first, second = ".npz, read", "claims"
    assert growth.cases([first, second])[:3] == [(first, 16), (second, 2), (first, 1000)]
    assert growth.cases([first], [8, 32]) == [(first, 16), (first, 32)]


def test_tools_are_found_by_parts_of_names_and_by_what_grows():
    assert [*growth_tools.select(["npz, r", "pairs"])] == [".npz, read", "survey page"]
    assert "boost.py, 500 images" not in growth_tools.select(["images"])  # its classes grow
    assert [*growth_tools.select(None)] == [*growth_tools.TOOLS]
    assert all(one.least < min(one.sizes) for one in growth_tools.TOOLS.values())


@pytest.fixture
def measured(monkeypatch) -> list[growth.Case]:
    """The cases that were measured, in order; claims of more than 100 fail."""
    asked = []

    def child(tool: str, n: int, longest: float) -> growth.Found:
        asked.append((tool, n))
        if tool == "claims" and n > 100:
            return {"failed": "over 9 s", "took": longest}
        return {"cpu": 0.1 + n / 1000, "jobs": 0.0, "wall": 1.0, "took": 2.0, "peak": 50.0}

    monkeypatch.setattr(growth, "in_a_child", child)
    return asked


def test_what_is_done_is_not_measured_again(measured, tmp_path, capsys):
    kept = tmp_path / "kept.json"
    first = growth.run(growth.cases([LOOK], [100]), kept, 9)
    again = growth.run(growth.cases([LOOK], [100, 400]), kept, 9)
    assert measured == [(LOOK, 15), (LOOK, 100), (LOOK, 400)]
    assert again.items() > first.items() and "1 of 1" in capsys.readouterr().err.splitlines()[-1]
    growth.run(growth.cases([LOOK], [100]), kept, 9, again=True)
    assert measured[3:] == [(LOOK, 15), (LOOK, 100)]


def test_after_a_failure_larger_ones_are_not_tried(measured, tmp_path):
    done = growth.run(growth.cases(["claims"]), tmp_path / "kept.json", 9)
    assert measured == [("claims", 2), ("claims", 100), ("claims", 400)]
    row = growth.row("claims", growth.of_tool(done, "claims"))
    assert (row["sizes"], row["cpu_slope"]) == ([100], None) and "400: over 9 s" in growth.markdown([row])


def test_the_rest_takes_what_smaller_cases_took_in_proportion():
    done = {growth.key((LOOK, n)): {"took": took} for n, took in ((15, 1.0), (100, 3.0))}
    assert growth.left([(LOOK, 400), ("claims", 2)], done) == 12
    assert growth.left([(LOOK, 100)], {growth.key((LOOK, 15)): {"took": 1.0}}) == 1  # nothing of it grows yet


def test_the_table_says_costs_slopes_and_what_breaks_first():
    found = {n: {"cpu": 1 + n / 1000, "peak": 100.0, "took": 1.0} for n in (15, *SIZES)}
    found[15] = {"cpu": 1.0, "peak": 100.0, "took": 1.0}
    steady = {n: {"cpu": 1.0, "peak": 100.0, "took": 1.0} for n in (2, *SIZES)}
    head, _, line, flat, _, first, *_ = growth.markdown([growth.row(LOOK, found), growth.row("claims", steady)]).split(
        "\n"
    )
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len(cells) == head.count("|") - 1
    assert cells[:5] == [LOOK, "jobs 100 · 400 · 1,600 · 5,000", "1.10 · 1.40 · 2.60 · 6.00", "1.00", "1.00"]
    assert cells[5:] == ["100 · 100 · 100 · 100", "100", "–", "3,600,000 (an hour)"]
    assert flat.endswith("| 1.00 | – | 100 · 100 · 100 · 100 | 100 | – | – |")
    assert first == f"First to need an hour or 16 GiB: {LOOK} (an hour at 3,600,000 jobs)."


def test_a_made_up_run_has_the_jobs_it_is_asked_for(tmp_path):
    scale = configuration.load(growth_made.ROOT, growth_made.settings_of(100, tmp_path))
    files = upstream([Outputs(Results(scale)).provenance()])
    assert 90 <= len(files) <= 100
    assert len(growth_made.half_done(100)) == 1 + 2 * 50 + 1


def test_a_case_runs_in_a_process_of_its_own():
    found = growth.in_a_child(LOOK, 15, 60)
    assert found.keys() == {"cpu", "jobs", "wall", "took", "peak"} and 5 < found["peak"] < 500
    assert growth.in_a_child("no tool", 1, 60)["failed"] == "KeyError: 'no tool'"
