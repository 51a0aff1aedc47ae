"""What made each file of a scale's results: code, settings, seeds, packages, device, time and memory, a row a file.

Results themselves say none of this that may vary: equal runs give equal bytes. It is put together from the plan (what
a file is made from), Snakemake's memory (the job that made it), its log and benchmark, and the note of its run.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.files.reading import readable
from pagboost.machine import warm
from pagboost.planning import kinds_used, runs, sourcecode
from pagboost.planning.fingerprints import fingerprint
from pagboost.planning.lineage import Digests, Result, closure
from pagboost.planning.memory import Memory
from pagboost.planning.outputs import Outputs
from pagboost.planning.remembered import Remembered, remembered
from pagboost.planning.results import PLACES, Results

SHORT = 12  # digits of digests of parts
NOT_TOLD = "is not in the table"
_PEAK = re.compile(rf"^{warm.PEAK}(\d+) MB$", re.MULTILINE)
_LEASED = re.compile(r" leased (\S+?)(?:,|$| )", re.MULTILINE)

COLUMNS = {
    "file": "below the results folder",
    "sha256": "of its bytes",
    "rule": "the job's",
    "script": "whose code made it",
    "training": "seed of the networks; empty for data",
    "seeds": "sampling seeds",
    "made_from": "digest of all that lay upstream when it was made: code, settings, files from elsewhere, inputs",
    "as_planned": "whether that is today's digest; if not, code and settings of then are not known any more",
    "code": "digest of the script and of all that it imports",
    "settings": "digest of the part of the configuration that the job sees",
    "commit": "of the checkout when the run started; -dirty: with changes",
    "packages": "versions in that run",
    "device": "cpu, cpu-bf16, or the GPU that the job leased",
    "machine": "where the run was started",
    "finished": "UTC",
    "seconds": "of the whole job; where several made parts, of all together",
    "memory_mb": "its most",
}


@dataclass(frozen=True)
class Sources:
    """Where rows come from. memory: Snakemake's folder. noted: its runs. digests: of the plan. hashes: of files."""

    memory: Path
    noted: Sequence[Mapping[str, Any]]
    digests: Digests
    hashes: Memory


def rows(outputs: Outputs, memory: str | Path) -> list[dict[str, str]]:
    """One row of COLUMNS for each file that is there: all that the page is made from, and what was asked for besides.

    memory: Snakemake's folder. Cells are empty where nobody knows: results that were copied here without it.
    """
    memory = Path(memory)
    digests, hashes = Digests(memory / "pagboost", plans=False), Memory(memory / "pagboost" / "hashes.json")
    sources = Sources(memory, runs.noted(outputs.folder), digests, hashes)
    found = {one.file: one for one in closure([outputs.page()])}
    found |= {one.file: one for one in asked_besides(outputs.results) if one.file not in found}
    with hashes.at_once():
        there = (found[file] for file in sorted(found) if Path(file).is_file())
        return [_row(result, outputs.results, sources) for result in there if not result.temporary]


def load(path: str | Path) -> list[dict[str, str]]:
    """Read rows that `save` wrote. Raises InputError where a file is no such table."""
    with readable(Path(path), "a table that make_provenance.py wrote"):
        with open(path, encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file))
        if not found or not {"file", "sha256", "made_from"} <= found[0].keys():
            raise InputError(
                f"{path}: has no file, sha256 and made_from, expected a table that make_provenance.py wrote"
            )
    return found


def differences(outputs: Outputs, table: Sequence[Mapping[str, str]], memory: str | Path) -> Iterator[str]:
    """What of a table's files is not as it says, or would not be made so today; a line each.

    Where there is none, results that came here without Snakemake's memory can be accepted as they lie (--touch).
    """
    memory = Path(memory)
    digests, hashes = Digests(memory / "pagboost", plans=False), Memory(memory / "pagboost" / "hashes.json")
    planned = {one.file: one for one in closure([outputs.page()])}
    told = {str(Path(outputs.folder, row["file"])): row for row in table}
    with hashes.at_once():
        for file, row in told.items():
            result = planned.get(file) or outputs.results.find(file)
            if not Path(file).is_file():
                yield f"{file}: is not there"
            elif fingerprint(file, hashes) != row["sha256"]:
                yield f"{file}: has another content than when it was made"
            elif result is None:
                yield f"{file}: is no result of this scale"
            elif digests.of(_of_job(result, outputs.results)) != row["made_from"]:
                yield f"{file}: was made by other code, from other settings or other inputs"
    yield from (f"{file}: {NOT_TOLD}" for file in planned if file not in told and Path(file).is_file())


def save(path: str | Path, table: Sequence[Mapping[str, str]]) -> None:
    """Write rows as CSV."""
    with artifacts.atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def asked_besides(results: Results) -> Iterator[Result]:
    """The results that lie in the folders of all trainings, whether anything shows them or not."""
    places = sorted({pattern.partition("/")[0] for pattern, _ in PLACES})
    for one in results.all.values():
        for place in places:
            for file in sorted(Path(one.folder, place).rglob("*")):
                found = results.find(file) if file.is_file() else None
                if found is not None and Path(found.file) == file:  # a protocol may share another's reference
                    yield found


def _row(result: Result, results: Results, sources: Sources) -> dict[str, str]:
    job = remembered(sources.memory, result.file)
    run = runs.run_of(sources.noted, job.started) if job else {}
    planned = sources.digests.of(_of_job(result, results))
    known = bool(job and job.made_from)
    parts = result.inputs.get("shards", [])  # of a set that several jobs made, one merged
    jobs = [job, *(remembered(sources.memory, part.file) for part in parts)]
    seconds, memory = _together([_measured(one, run) for one in jobs])
    maker = parts[0] if parts else result
    devices = {_device(maker, one, run) for one in (jobs[1:] or jobs)}
    row = {
        "file": Path(result.file).relative_to(results.folder).as_posix(),
        "sha256": fingerprint(result.file, sources.hashes),
        "rule": job.rule if job else "",
        "script": maker.script,
        "training": _training(result, results),
        "seeds": " ".join(map(str, _seeds(maker))),
        "made_from": job.made_from if job else "",
        "as_planned": ("yes" if job.made_from == planned else "no") if job and known else "",
        "commit": run.get("code", ""),
        "packages": " ".join(f"{name} {version}" for name, version in run.get("packages", {}).items()),
        "device": ", ".join(sorted(devices)),
        "machine": run.get("machine", ""),
        "finished": _time(job.ended) if job and not run.get("touched") else "",
        "seconds": seconds,
        "memory_mb": memory,
    }
    row |= digests_of_parts(maker) if row["as_planned"] == "yes" else {"code": "", "settings": ""}
    return {name: row[name] for name in COLUMNS}


def _of_job(result: Result, results: Results) -> Result:
    """What the digest of a file's job is of: of weights that are kept on the way, the training's last."""
    if not result.settings.get("kept"):
        return result
    file = Path(result.file)
    return results.find(file.with_stem(results.checkpoints[file.stem])) or result


def digests_of_parts(result: Result) -> dict[str, str]:
    """{code, settings}: which of the two changed when a digest did; settings with the defaults of what they name."""
    used = kinds_used.used(result.settings)
    text = json.dumps([result.settings, used.defaults], sort_keys=True)
    return {
        "code": sourcecode.digest(result.script, *used.modules)[:SHORT],
        "settings": hashlib.sha256(text.encode()).hexdigest()[:SHORT],
    }


def _training(result: Result, results: Results) -> str:
    name = Path(result.file).relative_to(results.folder).parts
    if name[0] == "data":
        return ""
    return name[0].removeprefix("training=") if name[0].startswith("training=") else str(results.training)


def _seeds(result: Result) -> Sequence[int]:
    """The sampling seeds of a result, or of the samples that it is made from."""
    if "seeds" in result.settings:
        return result.settings["seeds"]
    samples = result.inputs.get("samples") or next(iter(result.inputs.get("shards", ())), None)
    return _seeds(samples) if isinstance(samples, Result) else ()


def _device(result: Result, job: Remembered | None, run: Mapping[str, Any]) -> str:
    """As the scale says where it has no GPU for such a job, else what the job's log says that it leased."""
    asked = result.settings.get("device", "cpu")
    if asked != "auto":
        return asked
    if job is None or not Path(job.log).is_file():
        return ""
    leased = _LEASED.findall(_text(job.log))
    return run.get("gpus", {}).get(leased[-1], leased[-1]) if leased else "cpu"


def _measured(job: Remembered | None, run: Mapping[str, Any]) -> tuple[str, str]:
    """(seconds, most memory in MB) as Snakemake measured them, "" where it did not; its benchmarks lie as logs do."""
    if job is None:
        return "", ""
    file = re.sub(r"(^|/)logs/(?!.*/logs/)", r"\1benchmarks/", job.log).removesuffix(".log") + ".tsv"
    lines = list(csv.DictReader(_text(file).splitlines(), delimiter="\t"))
    if not lines:
        return "", ""
    memory = lines[-1].get("max_rss") or ""
    if run.get("warm", False) and job.threads == 1:  # a child of the process that jobs share, which says so itself
        memory = next(iter(_PEAK.findall(_text(job.log))[-1:]), "")
    return lines[-1].get("s") or "", "" if memory in ("NA", "-") else memory


def _together(jobs: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """(seconds of all, the most memory of one) of several jobs; "" where that is not known of each."""
    seconds, memory = zip(*jobs, strict=True)
    if len(jobs) == 1:
        return jobs[0]
    total = f"{sum(map(float, seconds)):.2f}" if all(seconds) else ""
    return total, f"{max(map(float, memory)):.2f}" if all(memory) else ""


def _text(file: str) -> str:
    with contextlib.suppress(OSError):
        return Path(file).read_text(encoding="utf-8", errors="replace")
    return ""


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
