"""How a script takes memory from the system: in large pages, and what it lets go of is kept for its next need.

A network's maps are allocated and freed at every layer. By default glibc gives each large one back and torch asks for
pages of 4 KiB, so the system hands out, and zeroes, all of them anew in every pass: on a virtual machine a fifth of a
narrow ResNet's training at 32 px, half of an EfficientNet's pass at 224 px. Results do not depend on any of this.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # torch reads it at its first allocation
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT = 2**31 - 1  # bytes at the heap's end that stay with the process: an int's most
MAPPED = 32 * 2**20  # bytes from which an allocation is a mapping of its own: the most that glibc takes


def keep() -> None:
    """Set this process up, before it imports torch; what the environment says of it already (MALLOC_…) stays.

    Where the C library is not glibc, torch's part alone. A GPU's memory is torch's own affair.
    """
    os.environ.setdefault(LARGE_PAGES, "1")
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    with contextlib.suppress(AttributeError, OSError, TypeError):  # no glibc: no mallopt; Windows: no handle of None
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, MAPPED)
        mallopt(M_TRIM_THRESHOLD, KEPT)
