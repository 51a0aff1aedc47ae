"""Sample files dealt out to uses: disjoint, fixed, complete, and refused where there are too few images."""

from __future__ import annotations

import hashlib
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.generators import imported

SCRIPT = Path(__file__).parents[3] / "src" / "import_samples.py"


def numbered(count, labelled=True):
    """Images [count, 4, 4, 3] that carry their own number; sorted by class."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 4, 4, 3), np.uint8)
    return SampleSet(images, np.arange(count) * 10 // count if labelled else None)


def numbers(part):
    return part.images[:, 0, 0, 0].tolist()


def test_uses_share_no_row_and_leave_none():
    samples = numbered(200)
    uses = [([0, 1, 2], 40), ([1000], 50), ([2000], 30)]
    parts, skip = [], 0
    for seeds, per_seed in uses:
        parts.append(imported.deal(samples, seeds, per_seed, skip, 4, "file"))
        skip += len(seeds) * per_seed
    assert sorted(number for part in parts for number in numbers(part)) == list(range(200))
    first = parts[0]
    assert first.seeds.tolist() == [0] * 40 + [1] * 40 + [2] * 40
    assert first.index.tolist() == [*range(40)] * 3
    assert first.labels.tolist() == [number * 10 // 200 for number in numbers(first)]
    assert np.array_equal(imported.deal(samples, *uses[0], 0, 4, "file").images, first.images)


def test_each_part_of_a_file_sorted_by_class_has_all_classes():
    part = imported.deal(numbered(200), [0], 100, 0, 4, "file")
    assert np.bincount(part.labels, minlength=10).min() >= 4
    assert imported.deal(numbered(200, labelled=False), [0], 100, 0, 4, "file").labels is None


@pytest.mark.parametrize(
    ("count", "size", "message"),
    [
        (199, 4, r"file: 199 images, expected at least 200 \(3 x 50, after 50 for other uses\)"),
        (200, 8, "file: images of 4x4 pixels, expected 8x8"),
    ],
)
def test_what_does_not_fit(count, size, message):
    with pytest.raises(InputError, match=message):
        imported.deal(numbered(count), [0, 1, 2], 50, 50, size, "file")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run(*arguments): what src/import_samples.py ends with, in tmp_path and in this process; None after success."""
    monkeypatch.chdir(tmp_path)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")

    def script(*arguments):
        monkeypatch.setattr(sys, "argv", ["import_samples.py", "--threads", "1", *map(str, arguments)])
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as ended:
            return ended.code
        return None

    return script


def test_script(tmp_path, run, capfd):
    """A URL with its hash, kept in the folder asked for; then one line for labels out of range."""
    path = tmp_path / "theirs.npz"
    artifacts.save_samples(path, numbered(60))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    common = ("--size", 4, "--seeds", 5, 6, "--per-seed", 20, "--skip", 10, "--out", "eval.npz")
    assert run(path.as_uri(), "--sha256", sha256, "--downloads", "kept", *common) is None
    assert capfd.readouterr() == ("", "")
    dealt = artifacts.load_samples(tmp_path / "eval.npz", 10)
    assert dealt.seeds.tolist() == [5] * 20 + [6] * 20
    assert (tmp_path / "kept" / "theirs.npz").exists()
    assert run("theirs.npz", "--num-classes", 9, *common) == "error: theirs.npz: arr_1 holds label 9, expected 0..8"
