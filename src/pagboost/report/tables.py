"""A table of a paper as data: a row for each row of its declaration, measured beside reported; as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.report.cells import name_of, network_name, over_trainings, reason, results_of
from pagboost.report.sheets import Frame, sheet

# Text whatever it looks like, and where it is empty throughout.
TEXT = ("label", "row", "column", "unavailable", "note", "basis", "unit", "holds_in_paper", "norm", "rule")
TEXT_PREFIXES = ("protocol_", "protocols_", "verdict")
COUNTS = ("nfe", "nfe_reported", "n_seeds", "n_trainings", "n", "steps", "steps_reported")
OF_THE_FIRST = "Of the first training alone."


def table(
    paper: Mapping[str, Any],
    name: str,
    results: str | Path,
    unavailable: Mapping[str, str],
    nfe: Mapping[str, int],
    trainings: Sequence[int] = (),
) -> Frame:
    """One row per row of a paper's table, in its order, for machines; what is missing is empty, with its reason.

    `unavailable`: why this scale has no such generator, boost, generator/boost or protocol; or study, network or
    study/network, where rows are networks. `nfe`: network evaluations per sample of this scale's generators.
    `trainings`: those beyond the first, which tables of metrics and of studies are over too; others are of the first,
    and say so. What else the columns are is told by the kind of table: see metric_tables, choice_tables, guide_tables,
    quantity_tables, cost_tables. A grid stays one row per cell, `row` and `column` say where it stands; a generator may
    stand in several places. The same input gives equal frames.
    Raises InputError for a missing file, and if a column would mix protocol facts.
    """
    if name not in paper["tables"]:
        raise InputError(f"tables: no table {name} in {paper['key']}, expected one of: {', '.join(paper['tables'])}")
    spec = paper["tables"][name]
    found = sheet(spec, paper).rows(results_of(results, spec, trainings), unavailable)
    shown = OF_THE_FIRST if trainings and not over_trainings(spec) else ""
    records = []
    for declared, own in zip(_declared(spec), found, strict=True):
        notes = declared.get("note", "").strip(), own.get("note", ""), shown
        row = _head(declared, paper, unavailable, nfe) | {key: value for key, value in own.items() if key != "note"}
        records.append(row | {"note": " ".join(filter(None, notes))})
    frame = pd.DataFrame(records)
    unprinted = [c for c in frame if c.endswith(("_reported_std", "_printed_percent")) and frame[c].isna().all()]
    frame = frame.drop(columns=unprinted)
    types = dict.fromkeys((c for c in frame if c.endswith("_difference")), float)  # numbers where all are empty too
    return frame.astype(types | {column: "Int64" for column in COUNTS if column in frame})


def _declared(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a table has a row for: each of its rows, or of the networks of its study."""
    if "rows" in spec:
        return spec["rows"]
    return [{"study": spec["study"], "network": network} for network in spec["networks"]]


def _head(
    row: Mapping[str, Any], paper: Mapping[str, Any], unavailable: Mapping[str, str], nfe: Mapping[str, int]
) -> dict[str, Any]:
    if "network" in row:
        label, why = network_name(paper["names"], row["network"]), reason(row["study"], row["network"], unavailable)
        return {**row, "label": label, "unavailable": why or ""}
    generator, boost = row["generator"], row["boost"]
    return {
        "generator": generator,
        "boost": boost,
        "label": name_of(paper["names"], generator, boost),
        **row.get("at", {}),
        "nfe": nfe.get(generator),
        "nfe_reported": paper.get("nfe", {}).get(generator),
        "unavailable": reason(generator, boost, unavailable) or "",
    }


def save(frame: Frame, path: str | Path) -> None:
    """Write a machine table as CSV, atomically; equal frames give equal bytes."""
    with artifacts.atomic(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")


def load(path: str | Path) -> Frame:
    """Read a CSV that save wrote: missing numbers are NaN, missing text is empty.

    Raises InputError naming a missing or foreign file.
    """
    path = Path(path)
    with artifacts.readable(path, "a table (.csv)"):
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXT, str))
    text = [column for column in frame if column in TEXT or column.startswith(TEXT_PREFIXES)]
    return frame.astype(dict.fromkeys(text, object)).fillna(dict.fromkeys(text, ""))
