"""A run's results in files of a limited size, to go on from on another machine; weights in bf16.

What Snakemake noted of each file goes along, so that there too it is known what made it, and made again when that
changes.
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.files.reading import readable
from pagboost.planning import runs
from pagboost.planning.remembered import record_of

LEFT = "data"  # of a results folder: what is read from the source again
RECORDS = ".records"  # of an archive: what Snakemake noted of each file
STATES = ".state"  # of trainings that did not end
WEIGHTS = ".safetensors"
MB = 10**6


def pack(results: Path, out: Path, limit: int, memory: Path) -> list[Path]:
    """Write all of a results folder but its data as out/part-01.tar, part-02.tar, … of at most `limit` MB each.

    Weights are rounded to bf16, all else is as it was. Files come in the order in which they were made, each after
    what Snakemake noted of it in its folder `memory`, where `results` is spelled as in its configuration.
    Raises InputError for a file that fits into none, and for a folder that holds nothing to carry.
    """
    files = sorted(_carried(results), key=lambda path: (path.stat().st_mtime_ns, path))
    if not files:
        raise InputError(f"{results}: holds nothing to carry, expected the results of a run")
    out.mkdir(parents=True, exist_ok=True)
    parts: list[list[tuple[Path, str]]] = [[]]
    room = 0
    with tempfile.TemporaryDirectory(dir=out) as folder:
        for number, file in enumerate(files):
            taken = _rounded(file, Path(folder, f"{number}{WEIGHTS}")) if file.suffix == WEIGHTS else file
            record = record_of(memory, str(file))
            noted = [(record, f"{RECORDS}/{file.relative_to(results).as_posix()}")] if record.is_file() else []
            size = sum(_blocks(one.stat().st_size) for one in (taken, *(path for path, _ in noted)))
            if size + tarfile.RECORDSIZE > limit * MB:
                raise InputError(f"{file}: {size / MB:.0f} MB to carry, expected at most {limit} a file (--limit)")
            if parts[-1] and room + size > limit * MB - tarfile.RECORDSIZE:
                parts.append([])
            room = size + (room if parts[-1] else 0)
            parts[-1] += [*noted, (taken, file.relative_to(results).as_posix())]
        return [_written(out / f"part-{i:02}.tar", part) for i, part in enumerate(parts, 1)]


def _carried(results: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(results):
        if Path(folder) == results:
            folders[:] = [name for name in folders if name != LEFT and not name.startswith(".")]
        yield from (Path(folder, name) for name in names if not name.endswith(STATES) and not name.startswith("."))


def _rounded(weights: Path, copy: Path) -> Path:
    """The same weights, floating point ones as bf16: networks read them as float32."""
    import torch

    tensors, description = artifacts.load_weights(weights)
    halved = {name: one.bfloat16() if one.dtype == torch.float32 else one for name, one in tensors.items()}
    artifacts.save_weights(copy, halved, description)
    return copy


def _blocks(size: int) -> int:
    """What a file of `size` bytes takes of a tar archive: its header, with a long name's, and whole blocks."""
    return 4 * tarfile.BLOCKSIZE + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _written(path: Path, files: list[tuple[Path, str]]) -> Path:
    with artifacts.atomic(path) as temporary, tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as archive:
        for file, name in files:
            archive.add(file, name)
    return path


def unpack(folder: Path, results: Path, memory: Path) -> int:
    """Write what `pack` wrote to `folder` into a results folder, in its order and as of now; how many files.

    So what is made of data that lie there already counts as newer than these: make the data first. What Snakemake
    noted of the files goes to its folder `memory` here, as of `results` as it is spelled; notes of runs are put to
    those that are there.
    Raises InputError where there are no parts, and for a member that is no file inside the folder.
    """
    parts = sorted(folder.glob("part-*.tar"))
    if not parts:
        raise InputError(f"{folder}: holds no part-01.tar, expected what pack.py writes")
    done, now = 0, time.time_ns()
    for part in parts:
        for place, content in _members(part):
            if place.parts[0] == RECORDS:
                _write(record_of(memory, str(results.joinpath(*place.parts[1:]))), content)
                continue
            target = results / place
            _write(target, runs.merged(target, content) if target == runs.file_of(results) else content)
            moment = now + done * 1000
            os.utime(target, ns=(moment, moment))
            done += 1
    return done


def _members(part: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """(place, content) of each file of an archive that `pack` wrote, notes of Snakemake's among them."""
    with readable(part, "an archive that pack.py wrote"), tarfile.open(part, "r:") as archive:
        for member in archive:
            place = PurePosixPath(member.name)
            if not member.isfile() or place.is_absolute() or ".." in place.parts:
                raise InputError(f"{part}: {member.name} is no file inside it, expected what pack.py writes")
            content = archive.extractfile(member).read()
            if place.parts[0] == RECORDS and not isinstance(json.loads(content), dict):
                raise InputError(f"{part}: {member.name} is no note of Snakemake's, expected what pack.py writes")
            yield place, content


def _write(target: Path, content: bytes) -> None:
    with artifacts.atomic(target) as temporary:
        temporary.write_bytes(content)
