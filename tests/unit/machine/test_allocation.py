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
total = sum(once() for _ in range(20))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, total, os.environ.get("THP_MEM_ALLOC_ENABLE"))
"""


def passes(how: str, **environment: str) -> tuple[int, float, str]:
    """Faults of pages during twenty passes, what they compute, and torch's setting."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "THP_"))}
    given = kept | {"PYTHONPATH": str(SOURCE)} | environment
    command = [sys.executable, "-c", PASSES, how]
    said = subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout
    faults, total, setting = said.split()
    return int(faults), float(total), setting


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")
def test_passes_take_their_memory_once_and_compute_the_same():
    """Beside memory that is given back each time: how much of it is depends on the machine's mood."""
    kept, total, setting = passes("kept")
    _, same, unset = passes("plain")
    given_back, _, _ = passes("plain", MALLOC_MMAP_THRESHOLD_="65536", THP_MEM_ALLOC_ENABLE="0")
    assert (total, setting, unset) == (same, "1", "None")
    assert 3 * kept < given_back


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")
def test_what_the_environment_says_stays():
    faults, _, setting = passes("kept", MALLOC_MMAP_THRESHOLD_="65536", THP_MEM_ALLOC_ENABLE="0")
    assert setting == "0" and faults > 3 * passes("kept")[0]


def test_no_glibc_no_matter(monkeypatch):
    class Nothing:
        def __init__(self, name):
            pass

    monkeypatch.setattr(allocation.ctypes, "CDLL", Nothing)
    monkeypatch.setenv(allocation.LARGE_PAGES, "1")
    allocation.keep()
