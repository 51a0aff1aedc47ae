"""A table of a paper as data: rows from its declaration, numbers from measured metrics, beside the reported ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.report import choice_tables
from pagboost.report import measured as ms
from pagboost.report.cells import Cell, cells, name_of, reason
from pagboost.report.reported import (
    Numbers,
    base_of,
    disagreements,
    improvement,
    measured_alike,
    numbers,
    numbers_of,
    numbers_of_row,
)

Frame = pd.DataFrame

# Text whatever it looks like, and where it is empty throughout.
TEXT = ("label", "row", "column", "unavailable", "note", "basis", "unit", "holds_in_paper", "norm", "rule")
TEXT_PREFIXES = ("protocol_", "protocols_", "verdict")
COUNTS = ("nfe", "nfe_reported", "n_seeds", "n", "steps", "steps_reported")

ROWS = {"steps": choice_tables.steps_row, "eps": choice_tables.eps_row, "labels": choice_tables.labels_row}


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
    sampling seeds), _std, and for fid and inception_score _improvement_percent against the table's `base`, or the same
    generator without boosting; beside what the paper prints: _reported, _reported_std, _difference (measured -
    reported, empty unless both were measured alike: see reported.measured_alike), _improvement_percent_reported (of the
    printed numbers) and _printed_percent. Other kinds: see choice_tables.
    A grid stays one row per cell, `row` and `column` say where it stands; a generator may stand in several places.
    The same input gives equal frames.
    Raises InputError for a missing file, if a column would mix protocol facts, and for two cells in one place.
    """
    if name not in paper["tables"]:
        raise InputError(f"tables: no table {name} in {paper['key']}, expected one of: {', '.join(paper['tables'])}")
    spec = paper["tables"][name]
    _one_cell_in_each_place(spec, name)
    printed = numbers_of(spec, paper["protocol"]) if spec["kind"] == "metrics" else {}
    if spec["kind"] == "metrics":
        rows = _metrics_rows(spec, paper, printed, results, unavailable)
    else:
        rows = [ROWS[spec["kind"]](row, results, unavailable) for row in spec["rows"]]
    records = []
    for declared, row in zip(spec["rows"], rows, strict=True):
        own = printed and printed | numbers_of_row(declared, paper["protocol"])
        notes = [declared.get("note", "").strip(), *disagreements(own, (declared["generator"], declared["boost"]))]
        records.append(_head(declared, paper, unavailable, nfe) | row | {"note": " ".join(filter(None, notes))})
    frame = pd.DataFrame(records)
    unprinted = [c for c in frame if c.endswith(("_reported_std", "_printed_percent")) and frame[c].isna().all()]
    frame = frame.drop(columns=unprinted)
    types = dict.fromkeys((c for c in frame if c.endswith("_difference")), float)  # numbers where all are empty too
    return frame.astype(types | {column: "Int64" for column in COUNTS if column in frame})


def _one_cell_in_each_place(spec: Mapping[str, Any], name: str) -> None:
    places = [(row["at"]["row"], row["at"]["column"]) for row in spec["rows"] if "at" in row]
    for row, column in places:
        if places.count((row, column)) > 1:
            raise InputError(f"tables.{name}: two cells at row {row}, column {column}: expected one in each place")


def _head(
    row: Mapping[str, Any], paper: Mapping[str, Any], unavailable: Mapping[str, str], nfe: Mapping[str, int]
) -> dict[str, Any]:
    generator, boost = row["generator"], row["boost"]
    return {
        "generator": generator,
        "boost": boost,
        "label": name_of(paper["names"], generator, boost),
        **row.get("at", {}),
        "nfe": nfe.get(generator),
        "nfe_reported": paper["nfe"].get(generator),
        "unavailable": reason(generator, boost, unavailable) or "",
    }


def _metrics_rows(
    spec: Mapping[str, Any],
    paper: Mapping[str, Any],
    printed: Numbers,
    results: str | Path,
    unavailable: Mapping[str, str],
) -> list[dict[str, Any]]:
    main, declared_base = paper["protocol"], spec.get("base")
    base = (declared_base["generator"], declared_base["boost"]) if declared_base else None
    found = ms.load(results, cells(spec), unavailable)
    per_row = spec.get("per_row", [])
    protocols = dict.fromkeys(column["protocol"] for column in spec["columns"])
    facts = {protocol: _stated(found.values(), protocol, per_row, unavailable) for protocol in protocols}
    shown = {(metric, protocol) for metric, protocol, _ in printed}
    of_bases = numbers(paper) | printed  # a base may stand in another table of the paper
    rows = []
    for declared in spec["rows"]:
        cell = (declared["generator"], declared["boost"])
        over, own = base_of(cell, base), numbers_of_row(declared, main)
        row: dict[str, Any] = {"n_seeds": None}
        if cell in found:
            row["n_seeds"] = len(found[cell].seeds(main, spec["columns"][0]["metric"]))
        row |= {fact: found[cell].facts(main)[fact] if cell in found else None for fact in per_row}
        for metric, protocol in ((column["metric"], column["protocol"]) for column in spec["columns"]):
            row |= _measured(metric, protocol, cell, over, found, unavailable)
            if (metric, protocol) in shown:
                row |= _reported(metric, protocol, cell, over, own, of_bases)
                row |= _difference(metric, protocol, paper, row, found.get(cell))
        rows.append(row | {f"protocol_{protocol}": text for protocol, text in facts.items()})
    return rows


def _stated(
    measured: Collection[ms.Measured], protocol: str, per_row: Collection[str], unavailable: Mapping[str, str]
) -> str:
    """What a column's numbers were measured with, or why there are none."""
    if protocol in unavailable:
        return f"not available: {unavailable[protocol]}"
    return ms.describe(ms.same_facts(measured, protocol, per_row)) or "nothing measured"


def _measured(
    metric: str,
    protocol: str,
    cell: Cell,
    over: Cell | None,
    found: Mapping[Cell, ms.Measured],
    unavailable: Mapping[str, str],
) -> dict[str, float | None]:
    """Mean and standard deviation of one cell, and by how much it is better than the cell `over`."""

    def mean(key: Cell | None) -> float | None:
        return found[key].mean(protocol, metric) if key in found and protocol not in unavailable else None

    key = f"{metric}_{protocol}"
    value = mean(cell)
    result = {key: value, f"{key}_std": None if value is None else found[cell].std(protocol, metric)}
    if metric in ms.PERCENT:
        result[f"{key}_improvement_percent"] = improvement(mean(over), value, metric)
    return result


def _reported(
    metric: str, protocol: str, cell: Cell, over: Cell | None, own: Numbers, of_bases: Numbers
) -> dict[str, float | None]:
    """The paper's number in one row, and by how much the paper's is better than its number of the cell `over`.

    `own` are the numbers printed in this row, `of_bases` those that improvements are over.
    """
    key = f"{metric}_{protocol}"
    number, base = own.get((metric, protocol, cell)), of_bases.get((metric, protocol, over))
    mean = None if number is None else number.value
    result = {f"{key}_reported": mean, f"{key}_reported_std": None if number is None else number.std}
    if metric in ms.PERCENT:
        result[f"{key}_improvement_percent_reported"] = improvement(base and base.value, mean, metric)
        result[f"{key}_printed_percent"] = None if number is None else number.percent
    return result


def _difference(
    metric: str, protocol: str, paper: Mapping[str, Any], row: Mapping[str, Any], measured: ms.Measured | None
) -> dict[str, float | None]:
    """Measured minus reported of one cell, where both were measured alike."""
    key = f"{metric}_{protocol}"
    value, number = row[key], row[f"{key}_reported"]
    known = measured is not None and value is not None and number is not None
    alike = known and measured_alike(paper, metric, protocol, measured.facts(protocol))
    return {f"{key}_difference": value - number if alike else None}


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
