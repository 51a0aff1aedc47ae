"""A run that is made up: its journal's events and its jobs' files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BEGUN = 1_000_000.0  # seconds of the epoch


def job(name: str, rule: str = "train", **other) -> dict:
    """A job as a plan has it."""
    places = {"files": [f"{name}.out"], "log": f"{name}.log", "benchmark": f"{name}.tsv"}
    return {"id": name, "rule": rule, "name": f"Making {name}", "takes": {"_cores": 1}, **places, **other}


def plan(*jobs: dict, cores: int = 2, **other) -> dict:
    """A journal's first event."""
    return {"event": "plan", "time": BEGUN, "room": {"_cores": cores}, "jobs": list(jobs), "known": True, **other}


def event(kind: str, name: str, after: float, **other) -> dict:
    """What became of a job so many seconds after the run began."""
    return {"event": kind, "id": name, "time": BEGUN + after, **other}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """write("a.log", "text", after=20): a file in the run's folder, written so many seconds after it began."""
    monkeypatch.chdir(tmp_path)

    def written(name: str, text: str, after: float = 0.0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (BEGUN + after, BEGUN + after))
        return path

    return written
