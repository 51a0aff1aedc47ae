"""What a scale leaves out of a paper (its `without`): tables, figures and claims that need what it does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pagboost.options.reading import nearest

PARTS = ("tables", "figures", "claims")


def shown(paper: Mapping[str, Any], without: Mapping[str, Any] | None) -> dict[str, Any]:
    """The paper without what a scale leaves out of it: {because, tables, figures, claims}, or None for nothing."""
    given = without or {}
    return {**paper, **{part: _kept(paper[part], given.get(part, [])) for part in PARTS}}


def _kept(entries: Any, names: list[str]) -> Any:
    if isinstance(entries, Mapping):
        return {name: entry for name, entry in entries.items() if name not in names}
    return [claim for claim in entries if claim["id"] not in names]


def is_shown(where: str, paper: Mapping[str, Any], without: Mapping[str, Any] | None) -> bool:
    """Whether a key of a paper, as errors name it (tables.table1.rows.0), is of a part that a scale shows."""
    part, name = [*where.split("."), ""][:2]
    if part == "claims":
        name = paper["claims"][int(name)]["id"]
    return name not in (without or {}).get(part, [])


def problems(paper: str, content: Mapping[str, Any], without: Mapping[str, Any]) -> Iterator[str]:
    """What a scale leaves out of a paper that has no such part, one line each."""
    for part in PARTS:
        known = content[part] if part != "claims" else [claim["id"] for claim in content[part]]
        for name in without.get(part, []):
            if name not in known:
                hint = nearest(name, known) or f", expected one of: {', '.join(known)}"
                yield f"without.{paper}.{part}: {name} is none of config/papers/{paper}.yaml{hint}"


def said(without: Mapping[str, Any] | None) -> str:
    """One line for readers: what is left out, and why; empty for nothing."""
    listed = [f"{part} {', '.join(without[part])}" for part in PARTS if (without or {}).get(part)]
    return f"Left out at this scale: {'; '.join(listed)}. Why: {without['because']}." if without and listed else ""
