"""What a killed run has done of an output: kept in a hidden folder beside it, and gone on from by the same command."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pagboost import artifacts
from pagboost.errors import InputError

log = logging.getLogger(__name__)

MADE_FROM, LOCK = "made_from.json", "lock"


@contextlib.contextmanager
def kept(out: Path, made_from: Mapping[str, Any]) -> Iterator[Path]:
    """The hidden folder of an output, with whatever an earlier run that was made from the same has left in it.

    It is removed at the end, and stays where the run fails or is killed. made_from: {what: JSON value}, all that the
    output's bytes depend on; what was left by another run is removed, with a warning.
    Raises InputError while another process is at work on the same output.
    """
    folder = out.with_name(f".{out.name}.unfinished")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{out}: another process is making it, expected one") from error
        except OSError:
            log.warning("%s: its file system has no locks, expected no other process at it", folder)
        _begin(folder, json.loads(json.dumps(made_from)))
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def _begin(folder: Path, made_from: Mapping[str, Any]) -> None:
    """Empty a folder of what is not made from the same."""
    stated = None
    with contextlib.suppress(InputError):
        stated = artifacts.load_json(folder / MADE_FROM)
    if stated == made_from:
        return
    left = [path for path in folder.iterdir() if path.name != LOCK]
    if left:
        log.warning("%s: left by a run of other settings, inputs or code, starting anew", folder)
    for path in left:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else os.unlink(path)
    artifacts.save_json(folder / MADE_FROM, made_from)
