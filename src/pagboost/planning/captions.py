"""What Snakemake's own report (`--report`) says beside tables and figures: the paper's words for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_MARKS = re.compile(r"([\\*`_|])")  # what reStructuredText would take for marks


def category(paper: Mapping[str, Any]) -> str:
    """Under which heading a paper's results stand: "Golan et al., NeurIPS 2024"."""
    first = paper["authors"][0].split()[-1]
    others = " et al." if len(paper["authors"]) > 1 else ""
    return f"{first}{others}, {paper['venue'].partition(';')[0]}"


def labels(part: Mapping[str, Any], form: str) -> dict[str, str]:
    """What a table or a figure is called in the list; form: what its file is for."""
    return {"what": part["title"], "where": part["place"], "file": form}


def said(paper: Mapping[str, Any], part: Mapping[str, Any] | None = None) -> dict[str, str]:
    """{paper, setting} and of a part {title, place, note}, as reStructuredText takes them.

    They fill the templates, one for all parts of a kind (workflow/report/*.rst).
    """
    texts = {"paper": f"{paper['title']} ({category(paper)})", "setting": paper["setting"]}
    if part is not None:
        texts |= {key: part.get(key, "") for key in ("title", "place", "note")}
    return {key: escaped(text) for key, text in texts.items()}


def escaped(text: str) -> str:
    """Plain text in one paragraph of reStructuredText."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
