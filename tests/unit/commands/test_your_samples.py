"""docs/your_samples.md, from its first line to its last: what it says to run is run, on fewer images."""

from __future__ import annotations

import os
import re
import runpy
import shlex
from pathlib import Path

import pytest

from pagboost.metrics.image_sets import Folder

PAGE = Path(__file__).parents[3] / "docs" / "your_samples.md"
BLOCK = re.compile(r"(?P<skipped><!-- not run: [^>]+ -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)```", re.DOTALL)
SMALLER = {  # of the page -> here, so that it takes seconds
    "digits.images,": "digits.images[:400],",
    "splits: {train: 500, validation: 200, heldout: 198}": "splits: {train: 100, validation: 50, heldout: 50}",
    "iterations: 120": "iterations: 3",
    "iterations: 150": "iterations: 20",
    "steps: 10, eps: published": "steps: 2, eps: published",
}


def page():
    """The page's text, with less to do."""
    text = PAGE.read_text(encoding="utf-8")
    for there, here in SMALLER.items():
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    return text


def lines(text):
    return text.replace("\\\n", " ").splitlines()


def test_every_command_of_the_page(tmp_path, monkeypatch, called):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    run, said = [], {}
    for block in BLOCK.finditer(page()):
        kind, text = block["kind"], block["text"]
        if block["skipped"] or not kind:
            continue
        if kind == "python":
            Path("example.py").write_text(text)
            runpy.run_path("example.py")
        elif kind == "yaml":
            Path(text.splitlines()[0].removeprefix("# ")).write_text(text)
        else:
            assert kind == "sh", kind
            for line in lines(text):
                program, *arguments = shlex.split(line)
                code, out, error = called(*arguments)
                assert (program, code) == ("pagboost", 0), f"{line}\n{error}"
                run.append(arguments[0])
                said[arguments[0]] = out
    assert run == ["prepare-data", "train", "train", "tune", "boost", "evaluate", "boost", "boost", "publish"]
    assert {path.name for path in tmp_path.iterdir()} >= {"boosted", "argmax", "threes.npz", "table.md", "hub", "tuned"}
    assert Folder(tmp_path / "boosted", 1).names == Folder(tmp_path / "tuned" / "test", 1).names
    printed = said["tune"].splitlines()[-1]
    if printed.startswith("pagboost"):  # three iterations make no guide: the lowest may be unboosted
        assert called(*shlex.split(printed)[1:])[0] == 0
        assert Folder(tmp_path / "tuned" / "boosted", 1).names == Folder(tmp_path / "boosted", 1).names
    else:
        assert printed.startswith("no length is better")


def test_what_is_not_run_says_what_it_needs():
    skipped = [block for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")) if block["skipped"]]
    assert len(skipped) == 3
    for block in skipped:
        if block["kind"] == "python":
            compile(block["text"], str(PAGE), "exec")


@pytest.mark.parametrize("name", ["README.md", "docs/extending.md"])
def test_readers_find_the_page(name):
    assert "your_samples.md" in (PAGE.parents[1] / name).read_text(encoding="utf-8")
