"""A table of a paper as data: rows from its declaration, numbers from measured metrics, beside the reported ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.report import measured as ms
from pagboost.report.cells import RAW, Cell, cells, name_of, reason

Frame = pd.DataFrame

TEXT = (
    "label",
    "unavailable",
    "note",
    "protocols_agree",
    "holds_in_paper",
)  # columns that may be empty text throughout
COUNTS = ("nfe", "nfe_reported", "n_seeds", "steps", "steps_reported", "steps_difference")


def improvement(base: float | None, value: float | None) -> float | None:
    """By how many percent a metric that should be low is below its base; None where either is missing or base is 0."""
    return None if base is None or value is None or base == 0 else 100 * (base - value) / base


def difference(value: float | None, reported: float | None) -> float | None:
    """Measured minus reported; None where either is missing."""
    return None if value is None or reported is None else value - reported


def table(
    paper: Mapping[str, Any],
    name: str,
    results: str | Path,
    unavailable: Mapping[str, str],
    nfe: Mapping[str, int],
) -> Frame:
    """One row per row of a paper's table, in its order, for machines; what is missing is empty, with its reason.

    `unavailable`: why this scale has no such generator, boost, generator/boost or protocol. `nfe`: network
    evaluations per sample of this scale's generators. Columns of a metrics table: <metric>_<protocol> (mean over
    sampling seeds), _std, and for fid _improvement_percent against the same generator without boosting; for the
    paper's own protocol <metric>_reported, <metric>_difference (measured - reported). The same input gives equal
    frames.
    Raises InputError for a missing metrics file, and if a column would mix protocol facts.
    """
    if name not in paper["tables"]:
        raise InputError(f"tables: no table {name} in {paper['key']}, expected one of: {', '.join(paper['tables'])}")
    spec = paper["tables"][name]
    fill = {"metrics": _metrics_rows, "steps": _steps_rows}[spec["kind"]]
    rows = fill(spec, paper, results, unavailable)
    heads = [_head(row, paper, unavailable, nfe) for row in spec["rows"]]
    notes = [{"note": row.get("note", "")} for row in spec["rows"]]
    frame = pd.DataFrame([head | row | note for head, row, note in zip(heads, rows, notes, strict=True)])
    return frame.astype({column: "Int64" for column in COUNTS if column in frame})


def _head(
    row: Mapping[str, Any], paper: Mapping[str, Any], unavailable: Mapping[str, str], nfe: Mapping[str, int]
) -> dict[str, Any]:
    generator, boost = row["generator"], row["boost"]
    return {
        "generator": generator,
        "boost": boost,
        "label": name_of(paper["names"], generator, boost),
        "nfe": nfe.get(generator),
        "nfe_reported": paper["nfe"].get(generator),
        "unavailable": reason(generator, boost, unavailable) or "",
    }


def _metrics_rows(
    spec: Mapping[str, Any], paper: Mapping[str, Any], results: str | Path, unavailable: Mapping[str, str]
) -> list[dict[str, Any]]:
    found = ms.load(results, cells(spec), unavailable)
    per_row = spec.get("per_row", [])
    reported = {(row["generator"], row["boost"]): row.get("reported", {}) for row in spec["rows"]}
    protocols = dict.fromkeys(column["protocol"] for column in spec["columns"])
    facts = {protocol: _stated(found.values(), protocol, per_row, unavailable) for protocol in protocols}
    rows = []
    for cell in reported:
        row: dict[str, Any] = {"n_seeds": None}
        if cell in found:
            row["n_seeds"] = len(found[cell].seeds(paper["protocol"], spec["columns"][0]["metric"]))
        row |= {fact: found[cell].facts(paper["protocol"])[fact] if cell in found else None for fact in per_row}
        for column in spec["columns"]:
            row |= _column(column["metric"], column["protocol"], cell, found, unavailable)
            if column["protocol"] == paper["protocol"]:
                row |= _reported(column["metric"], row[f"{column['metric']}_{column['protocol']}"], cell, reported)
        rows.append(row | {f"protocol_{protocol}": text for protocol, text in facts.items()})
    return rows


def _stated(
    measured: Collection[ms.Measured], protocol: str, per_row: Collection[str], unavailable: Mapping[str, str]
) -> str:
    """What a column's numbers were measured with, or why there are none."""
    if protocol in unavailable:
        return f"not available: {unavailable[protocol]}"
    return ms.describe(ms.same_facts(measured, protocol, per_row)) or "nothing measured"


def _column(
    metric: str, protocol: str, cell: Cell, found: Mapping[Cell, ms.Measured], unavailable: Mapping[str, str]
) -> dict[str, float | None]:
    """Mean and standard deviation of one cell, and how far boosting brought it from its base."""

    def mean(key: Cell) -> float | None:
        return found[key].mean(protocol, metric) if key in found and protocol not in unavailable else None

    key = f"{metric}_{protocol}"
    value = mean(cell)
    result = {key: value, f"{key}_std": None if value is None else found[cell].std(protocol, metric)}
    if metric in ms.LOWER_IS_BETTER:
        base = None if cell[1] == RAW else mean((cell[0], RAW))
        result[f"{key}_improvement_percent"] = improvement(base, value)
    return result


def _reported(
    metric: str, value: float | None, cell: Cell, reported: Mapping[Cell, Mapping[str, float]]
) -> dict[str, float | None]:
    """The paper's number for one cell, how far the measured value is from it, and the paper's improvement."""
    number = reported[cell].get(metric)
    result = {f"{metric}_reported": number, f"{metric}_difference": difference(value, number)}
    if metric in ms.LOWER_IS_BETTER:
        base = None if cell[1] == RAW else reported.get((cell[0], RAW), {}).get(metric)
        result[f"{metric}_reported_improvement_percent"] = improvement(base, number)
    return result


def _steps_rows(
    spec: Mapping[str, Any], paper: Mapping[str, Any], results: str | Path, unavailable: Mapping[str, str]
) -> list[dict[str, Any]]:
    rows = []
    for row in spec["rows"]:
        cell = row["generator"], row["boost"]
        chosen = (None, None) if reason(*cell, unavailable) else ms.chosen_steps(results, *cell)
        numbers: dict[str, float | None] = {}
        for quantity, value in zip(("steps", "alpha"), chosen, strict=True):
            reported = row.get("reported", {}).get(quantity)
            numbers |= {
                quantity: value,
                f"{quantity}_reported": reported,
                f"{quantity}_difference": difference(value, reported),
            }
        rows.append(numbers)
    return rows


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
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    text = [column for column in frame if column in TEXT or column.startswith("protocol_")]
    return frame.astype(dict.fromkeys(text, object)).fillna(dict.fromkeys(text, ""))
