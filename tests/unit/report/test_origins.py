"""The line below a table: what it was made from, the same for the same results wherever they lie."""

from __future__ import annotations

import shutil

import pytest

from pagboost.artifacts import save_json
from pagboost.report import origins
from pagboost.report.sheets import Rendered

DIGEST = "0123456789abcdef" * 2


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    for place, torch in (("", "2.11"), ("training=1", "2.12")):
        made = {"value": torch, "provenance": {"versions": {"torch": torch}}}
        save_json(folder / place / "metrics" / "g" / "boost=none.json", made)
    save_json(folder / "steps" / "g" / "boost=b.json", {"steps": 3})
    return folder


def files(folder):
    return sorted(folder.rglob("*.json"))


def test_the_line_counts_files_and_names_trainings_packages_and_the_digest(results):
    line = origins.said(files(results), results, [0, 1], DIGEST)
    assert line.startswith("Made from 2 files of metrics and 1 file of chosen lengths (sha256 of theirs: ")
    assert "; trainings 0 and 1; torch 2.11 and 2.12; made_from 0123456789ab (" in line
    assert "\n" not in line


def test_equal_results_give_equal_lines(results, tmp_path):
    """Elsewhere, without times, and after something on the way was lost and made again (/1)."""
    moved = tmp_path / "moved"
    shutil.copytree(results, moved, copy_function=shutil.copyfile)
    line = origins.said(files(results), results, [0, 1], DIGEST)
    assert origins.said(reversed([*files(moved), *files(moved)]), moved, [0, 1], f"{DIGEST}/1") == line
    save_json(moved / "steps" / "g" / "boost=b.json", {"steps": 4})
    assert origins.said(files(moved), moved, [0, 1], DIGEST) != line


def test_by_hand_there_is_no_digest_and_without_files_no_line(results):
    assert "made_from" not in origins.said(files(results), results, [0])
    assert origins.said([], results, [0], DIGEST) == ""


def test_it_stands_below_all_else():
    table = Rendered("t", [], [], [], ["remark"], {"protocol": "by cnn"})
    assert list(origins.below(table, "line").shared.values()) == ["by cnn", "line"]
    assert origins.below(table, "") is table
