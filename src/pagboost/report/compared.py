"""Which claims of a paper a second set of trainings judges: those about the tables that it was sampled for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagboost.report import cells


def claims_of(paper: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The claims about metrics whose every cell is a row of the tables that are `compared`."""
    tables = [paper["tables"][name] for name in paper.get("compared", []) if name in paper["tables"]]
    known = set(cells.cells(tables))
    about = ((claim, set(cells.cells(claim))) for claim in paper["claims"] if "premise" not in claim)
    return [claim for claim, own in about if own and own <= known]
