"""What a run writes of itself, and what others read of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pagboost.planning.watching import journal
from pagboost.planning.watching.journal import Journal


def test_events_are_read_as_they_were_written(tmp_path):
    kept = Journal(tmp_path / "results")
    events = [{"event": "plan", "jobs": ["±"]}, {"event": "end", "success": True}]
    for event in events:
        kept.write(event)
        (path,) = journal.journals(tmp_path / "results")
        assert journal.read(path)[-1] == event
    kept.close()
    kept.write({"event": "late"})
    assert journal.read(path) == events


def test_lines_that_are_no_events_are_left_out(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"event": "plan"}\n[1]\n{"event": "sta\n')
    assert journal.read(path) == [{"event": "plan"}]


def test_the_last_journals_are_kept(tmp_path):
    folder = tmp_path / journal.FOLDER
    folder.mkdir()
    for day in range(10, 30):
        (folder / f"202601{day}T000000-1.jsonl").write_text("")
    Journal(tmp_path).close()
    names = [path.name for path in journal.journals(tmp_path)]
    assert len(names) == journal.KEPT + 1 and names[0].startswith("20260120")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_takes_no_file_is_no_error(tmp_path):
    tmp_path.chmod(0o500)
    Journal(tmp_path).write({"event": "plan"})


def test_a_full_disk_ends_the_journal_and_not_the_run(tmp_path, monkeypatch):
    kept = Journal(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        kept.write({"event": "plan"})
    assert kept.file is None
    kept.write({"event": "end"})
    kept.beat()


def test_a_process_of_this_machine_is_known_by_its_number_and_its_start(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("")
    code = "import json; from pagboost.planning.watching import journal; print(json.dumps(journal.here()))"
    ended = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    now = path.stat().st_mtime
    assert journal.alive(path, journal.here(), now + 1e6)
    assert not journal.alive(path, ended, now)
    assert not journal.alive(path, {**journal.here(), "born": "1"}, now)


def test_a_process_of_another_machine_is_known_by_its_signs_of_life(tmp_path):
    kept = Journal(tmp_path)
    (path,) = journal.journals(tmp_path)
    os.utime(path, (1000, 1000))
    other = {"host": "node7", "pid": os.getpid(), "born": "1"}
    assert journal.alive(path, other, 1000 + journal.SILENCE - 1)
    assert not journal.alive(path, other, 1000 + journal.SILENCE + 1)
    kept.beat()
    assert journal.alive(path, other, path.stat().st_mtime)
