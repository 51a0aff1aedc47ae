"""Papers whose every title says that what stands below it is no result."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

MARK = "REHEARSAL"


def marked(paper: Mapping[str, Any]) -> dict[str, Any]:
    """A paper with MARK before its own title, those of its tables and figures, and before what it claims."""
    result: dict[str, Any] = copy.deepcopy(dict(paper))
    result["title"] = said(paper["title"])
    for part in (*result["tables"].values(), *result["figures"].values()):
        part["title"] = said(part["title"])
    for claim in result["claims"]:
        claim["text"] = said(claim["text"])
    return result


def said(title: str) -> str:
    """A title with MARK before it."""
    return f"{MARK}: {title}"
