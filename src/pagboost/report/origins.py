"""Which runs a table was made from, in one line below it: without times, so that equal results give equal tables."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pagboost import artifacts
from pagboost.report.sheets import Rendered

SHORT = 12  # digits of digests, for people
# What files are called by the folders of results that they lie in
CALLED = {
    "metrics": ("file of metrics", "files of metrics"),
    "steps": ("file of chosen lengths", "files of chosen lengths"),
    "studies": ("file of a study", "files of studies"),
}


def said(files: Iterable[Path], results: str | Path, trainings: Sequence[int], made_from: str | None = None) -> str:
    """The line; "" for a table that is made from no file.

    files: what the table reads, below `results`, each counted once. trainings: seeds of those that they are of.
    made_from: the digest of all that lies upstream, as Snakemake is told it (lineage.Digests): how often something was
    lost on the way is no part of what a table is.
    """
    found = sorted(set(files))
    if not found:
        return ""
    counts = Counter(_kind(file, Path(results)) for file in found)
    named = [f"{count} {CALLED[kind][count > 1]}" for kind, count in sorted(counts.items())]
    parts = [f"Made from {_listed(named)} (sha256 of theirs: {_content(found)})"]
    parts.append(f"{'trainings' if len(trainings) > 1 else 'training'} {_listed(list(map(str, trainings)))}")
    if packages := _packages(found):
        parts.append(packages)
    if made_from:
        digest = made_from.partition("/")[0][:SHORT]
        parts.append(f"made_from {digest} (its row in provenance.csv says by which code and settings)")
    return "; ".join(parts) + "."


def below(rendered: Rendered, origin: str) -> Rendered:
    """A table with the line below all else."""
    return replace(rendered, shared={**rendered.shared, "origin": origin}) if origin else rendered


def _kind(file: Path, results: Path) -> str:
    """The folder of results that a file lies in, of whichever training."""
    parts = file.relative_to(results).parts
    return parts[1] if parts[0].startswith("training=") else parts[0]


def _content(files: Iterable[Path]) -> str:
    """sha256 over the files' own, in the order of their names; names and folders are no part of it."""
    hashed = hashlib.sha256("".join(artifacts.file_hash(file) for file in files).encode())
    return hashed.hexdigest()[:SHORT]


def _packages(files: Iterable[Path]) -> str:
    """The versions of packages that metrics and studies state, each once."""
    found: dict[str, set[str]] = {}
    for file in files:
        content = artifacts.load_json(file) if file.suffix == ".json" else {}
        for name, version in (content.get("provenance") or {}).get("versions", {}).items():
            found.setdefault(name, set()).add(version)
    return ", ".join(f"{name} {' and '.join(sorted(versions))}" for name, versions in sorted(found.items()))


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
