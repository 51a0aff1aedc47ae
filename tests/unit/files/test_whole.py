"""Folders that appear whole or not at all; files: test_artifacts."""

from __future__ import annotations

import os

import pytest

from pagboost.errors import InputError
from pagboost.files import whole


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "below" / "made"
    with whole.atomic_folder(target) as folder:
        (folder / "in").mkdir()
        (folder / "in" / "x").write_text("all")
        assert not target.exists()
    assert (target / "in" / "x").read_text() == "all" and entries(target.parent) == ["made"]
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o777 & ~umask


def test_or_not_at_all(tmp_path):
    with pytest.raises(KeyError), whole.atomic_folder(tmp_path / "made") as folder:
        (folder / "x").write_text("half")
        raise KeyError
    assert entries(tmp_path) == []


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / whole._prefix(tmp_path / "made", 2**22 + 1).removesuffix(".")
    left = left.with_name(f"{left.name}.abc_def1")
    (left / "in").mkdir(parents=True)
    with whole.atomic_folder(tmp_path / "made") as folder:
        (folder / "x").write_text("all")
    assert entries(tmp_path) == ["made"]


def test_it_takes_no_other_s_place_but_an_empty_folder_s(tmp_path):
    (tmp_path / "made").mkdir()
    with whole.atomic_folder(tmp_path / "made") as folder:
        (folder / "x").write_text("all")
    for place in ("made", "made/x"):
        with pytest.raises(InputError, match="is there already"), whole.atomic_folder(tmp_path / place):
            pass
    os.symlink("nowhere", tmp_path / "link")
    with pytest.raises(InputError, match="link: is there already"), whole.atomic_folder(tmp_path / "link"):
        pass
    assert (tmp_path / "made" / "x").read_text() == "all"
