"""What Snakemake remembers of a file that it had made: read from its folder, for a job knows nothing of the others."""

from __future__ import annotations

import contextlib
import json
import os
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST = 255  # bytes of a file's name, where the system does not say
_DIGEST = re.compile(r"'([0-9a-f]{32})(?:/\d+)?'")  # made_from (lineage.Digests), as Snakemake quotes params
_THREADS = re.compile(r"--threads (\d+)")


@dataclass(frozen=True)
class Remembered:
    """A job that made a file.

    made_from: the digest of all that lay upstream then; "" where none is remembered. started, ended: seconds since
    1970. log: the job's log file. threads: what its script was told, None where that is not said.
    """

    rule: str
    made_from: str
    started: float
    ended: float
    log: str
    threads: int | None


def remembered(memory: str | Path, file: str) -> Remembered | None:
    """The job that made `file`, a path as the workflow spells it; None where Snakemake remembers none.

    memory: Snakemake's folder, `.snakemake` of the working folder.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return _read(dict(json.loads(record_of(memory, file).read_text(encoding="utf-8"))))
    return None


def record_of(memory: str | Path, file: str) -> Path:
    """Where Snakemake notes a file: its path in base 64; pieces as long as names may be, all but the last after @."""
    folder = Path(memory, "metadata")
    name = urlsafe_b64encode(file.encode()).decode()
    longest = LONGEST
    with contextlib.suppress(OSError, ValueError):  # where the folder is not there yet
        longest = os.pathconf(folder, "PC_NAME_MAX")
    size = (longest if longest > 1 else LONGEST) - 1
    pieces = [name[start : start + size] for start in range(0, len(name), size)]
    return folder.joinpath(*(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


def _read(record: dict[str, Any]) -> Remembered:
    digests = [match[1] for param in record.get("params") or [] if (match := _DIGEST.fullmatch(str(param)))]
    threads = _THREADS.search(record.get("shellcmd") or "")
    return Remembered(
        rule=str(record["rule"]),
        made_from=digests[0] if len(digests) == 1 else "",
        started=float(record["starttime"]),
        ended=float(record["endtime"]),
        log=next(iter(record.get("log") or []), ""),
        threads=int(threads[1]) if threads else None,
    )
