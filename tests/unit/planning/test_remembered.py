"""What Snakemake remembers is read from its own files: by the real Snakemake's layout of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.persistence.file import FilePersistence

from pagboost.planning.remembered import Remembered, remembered

DIGEST = "0123456789abcdef" * 2
RECORD = {
    "rule": "boost",
    "params": ["'rn50 {\"alpha\": 0.1}'", f"'{DIGEST}/2'", "250"],
    "shellcmd": "python boost.py --threads 3 --out x.npz",
    "starttime": 10.5,
    "endtime": 20.0,
    "log": ["results/x/logs/boost.log"],
}


def noted(memory: Path, file: str, record: object) -> None:
    """A record where the real Snakemake puts it."""
    (memory / "metadata").mkdir(parents=True, exist_ok=True)
    snakemake = SimpleNamespace(_fetch_max_len=lambda subject: 255)
    place = Path(FilePersistence._record_path(snakemake, str(memory / "metadata"), file))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(record if isinstance(record, str) else json.dumps(record))


@pytest.mark.parametrize("file", ["results/x/a.npz", "results/é $(x)/a.npz", "results/" + "long/" * 100 + "a.npz"])
def test_a_job_is_remembered_by_the_path_of_what_it_made(tmp_path, file):
    noted(tmp_path, file, RECORD)
    assert remembered(tmp_path, file) == Remembered("boost", DIGEST, 10.5, 20.0, "results/x/logs/boost.log", 3)
    assert remembered(tmp_path, "results/x/other.npz") is None


@pytest.mark.parametrize("record", ["{", "[]", "null", json.dumps({"rule": "boost"})])
def test_what_cannot_be_read_is_not_remembered(tmp_path, record):
    noted(tmp_path, "a.npz", record)
    assert remembered(tmp_path, "a.npz") is None


def test_of_older_jobs_and_without_digests_the_rest_is_known(tmp_path):
    noted(tmp_path, "a.npz", RECORD | {"params": None, "shellcmd": None, "log": None})
    assert remembered(tmp_path, "a.npz") == Remembered("boost", "", 10.5, 20.0, "", None)
