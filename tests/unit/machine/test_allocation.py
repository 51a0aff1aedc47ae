"""Scripts keep what memory they had: the system hands out the pages of a network's maps once, not in every pass."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pagboost.machine import allocation

SOURCE = Path(allocation.__file__).parents[2]
PASSES = """
import os, sys
if sys.argv[1] == "kept":
    from pagboost.machine import allocation
    allocation.keep()
import resource, torch

def once():
    maps = torch.ones(3 * 2**20)
    for _ in range(3):
        maps = maps + maps  # 12 MiB each, two at a time
    return float(maps.double().sum())

once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
total = sum(once() for _ in range(80))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, total, os.environ.get("THP_MEM_ALLOC_ENABLE"))
"""


def passes(how: str, **environment: str) -> tuple[int, float, str]:
    """Faults of pages during eighty passes, what they compute, and torch's setting.

    So many, for a system without large pages to spare may hand out all of the memory once more.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "THP_"))}
    given = kept | {"PYTHONPATH": str(SOURCE)} | environment
    command = [sys.executable, "-c", PASSES, how]
    said = subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout
    faults, total, setting = said.split()
    return int(faults), float(total), setting


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")
def test_passes_take_their_memory_once_and_compute_the_same():
    kept, total, setting = passes("kept")
    plain, same, unset = passes("plain")
    assert (total, setting, unset) == (same, "1", "None")
    assert 2 * kept < plain


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")
def test_what_the_environment_says_stays():
    faults, _, setting = passes("kept", MALLOC_MMAP_THRESHOLD_="65536", THP_MEM_ALLOC_ENABLE="0")
    assert setting == "0" and faults > 2 * passes("kept")[0]


def test_no_glibc_no_matter(monkeypatch):
    class Nothing:
        def __init__(self, name):
            pass

    monkeypatch.setattr(allocation.ctypes, "CDLL", Nothing)
    monkeypatch.setenv(allocation.LARGE_PAGES, "1")
    allocation.keep()
