"""Tables of metrics: measured, beside the numbers that a paper prints; what improved, in percent of a base."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pagboost.report import measured as ms
from pagboost.report.cells import RAW, Cell, cells, folders, name_of
from pagboost.report.columns import Column, Record, comparison, nfe, number, spread
from pagboost.report.measured import DECIMALS, LOWER_IS_BETTER, METRICS
from pagboost.report.render import rendered
from pagboost.report.reported import (
    Numbers,
    base_of,
    by_cell,
    disagreements,
    how_measured,
    improvement,
    measured_alike,
    numbers,
    numbers_of,
    numbers_of_row,
)
from pagboost.report.sheets import Frame, Row, Sheet, Spec

SEEDS = (
    "Measured: mean ± standard deviation over sampling seeds. The networks were trained once, so the deviation says "
    "nothing about another training run."
)
TRAININGS = (
    "Measured: mean ± standard deviation over {trainings} trainings of all networks; the number of a training is the "
    "mean over its {seeds}."
)
REPORTED = "In parentheses: what the paper reports; where there are none, the number is not in the paper."
UNLIKE = (
    "It was measured on other data or by another protocol, so that measured and reported have no difference that means "
    "anything: signs, orders and improvements in percent compare."
)
ALIKE = "After a semicolon: measured - reported, where data, extractor and number of samples are the paper's: {}."
AS_RUN = "As run: what the authors' code printed; the difference is to it, where there is one."
IMPROVEMENTS = "Improvements in percent, measured (by the reported numbers), are over {}."


def metrics(spec: Spec, paper: Spec) -> Sheet:
    """A table of metrics, for machines <metric>_<protocol> (mean over sampling seeds), _std, and what follows.

    Of several trainings the mean is over trainings, each with its mean over sampling seeds, and _std the deviation over
    trainings; _std_seeds is that over sampling seeds within a training, and n_trainings their number.
    For fid and inception_score _improvement_percent against the table's `base`, or the same generator without boosting;
    beside what the paper prints: _reported, _reported_std, _as_run (of tables that have it), _difference (measured -
    reported, or - as_run; empty unless both were measured alike: see reported.measured_alike),
    _improvement_percent_reported (of the printed numbers) and _printed_percent. A note says where a printed percentage
    does not follow from the printed numbers.
    """
    return Sheet(
        rows=lambda results, unavailable: _rows(spec, paper, results, unavailable),
        people=lambda frame: rendered(frame, spec, _columns(frame, spec, paper), _shared(frame, spec, paper)),
    )


# -- for machines


def _rows(spec: Spec, paper: Spec, results: str | Path, unavailable: Mapping[str, str]) -> list[Row]:
    main, declared_base = paper["protocol"], spec.get("base")
    base = (declared_base["generator"], declared_base["boost"]) if declared_base else None
    given = folders(results)
    found = ms.repeated(given, cells(spec), unavailable)
    per_row = spec.get("per_row", [])
    protocols = dict.fromkeys(column["protocol"] for column in spec["columns"])
    everything = ms.of_trainings(found.values())
    facts = {protocol: _stated(everything, protocol, per_row, unavailable) for protocol in protocols}
    printed = numbers_of(spec, main)
    run = {key for row in spec["rows"] for key in numbers_of_row(row, main, "as_run")}
    shown = {(metric, protocol) for metric, protocol, _ in {**printed, **dict.fromkeys(run)}}
    of_cells = by_cell(printed)  # of thousands of rows each looks at its own
    of_bases = numbers(paper) | printed  # a base may stand in another table of the paper
    rows = []
    for declared in spec["rows"]:
        cell = (declared["generator"], declared["boost"])
        over, own = base_of(cell, base), numbers_of_row(declared, main)
        row: Row = {"n_seeds": None}
        if cell in found:
            row["n_seeds"] = found[cell].n_seeds(main, spec["columns"][0]["metric"])
        if len(given) > 1:
            row["n_trainings"] = len(given) if cell in found else None
        row |= {fact: found[cell].facts(main)[fact] if cell in found else None for fact in per_row}
        for metric, protocol in ((column["metric"], column["protocol"]) for column in spec["columns"]):
            row |= _measured(metric, protocol, cell, over, found, unavailable, len(given) > 1)
            if (metric, protocol) in shown:
                row |= _reported(metric, protocol, cell, over, own, of_bases)
                if ran := numbers_of_row(declared, main, "as_run").get((metric, protocol, cell)):
                    row[f"{metric}_{protocol}_as_run"] = ran.value
                row |= _difference(metric, protocol, how_measured(spec, paper), row, found.get(cell))
        row |= {f"protocol_{protocol}": text for protocol, text in facts.items()}
        near = of_cells.get(cell, {}) | of_cells.get(base_of(cell), {}) | own
        rows.append(row | {"note": " ".join(disagreements(near, cell))})
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
    found: Mapping[Cell, ms.Repeated],
    unavailable: Mapping[str, str],
    several: bool,
) -> Row:
    """Mean and standard deviations of one cell, and by how much it is better than the cell `over`.

    _called: the metric's name where that is no FID (or IS) of Inception.
    """

    def mean(key: Cell | None) -> float | None:
        return found[key].mean(protocol, metric) if key in found and protocol not in unavailable else None

    key = f"{metric}_{protocol}"
    value = mean(cell)
    other = METRICS[metric] if value is None else found[cell].called(protocol, metric)
    result = {key: value, f"{key}_std": None if value is None else found[cell].std(protocol, metric)}
    if several:
        result[f"{key}_std_seeds"] = None if value is None else found[cell].std_seeds(protocol, metric)
    if metric in ms.PERCENT:
        result[f"{key}_improvement_percent"] = improvement(mean(over), value, metric)
    if other != METRICS[metric]:
        result[f"{key}_called"] = other
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
    metric: str, protocol: str, how: Mapping[str, Any], row: Mapping[str, Any], measured: ms.Repeated | None
) -> dict[str, float | None]:
    """Measured minus reported of one cell, where both were measured alike; minus what was run, where that is known."""
    key = f"{metric}_{protocol}"
    value, number = row[key], row.get(f"{key}_as_run", row[f"{key}_reported"])
    known = measured is not None and value is not None and number is not None
    alike = known and measured_alike(how, metric, protocol, measured.facts(protocol))
    return {f"{key}_difference": value - number if alike else None}


# -- for people


def _columns(frame: Frame, spec: Spec, paper: Spec) -> list[Column]:
    columns = [] if "grid" in spec else nfe(frame, paper)
    columns += [Column(fact, lambda r, fact=fact: number(r[fact], 0)) for fact in spec.get("per_row", [])]
    improved = "base" in spec or (frame["boost"] != RAW).any()
    for column in spec["columns"]:
        metric, protocol = column["metric"], column["protocol"]
        printed = f"; the paper's {column['printed']}" if "printed" in column else ""
        name = f"{_called(frame, metric, protocol)} ({protocol}{printed})"
        columns.append(Column(name, lambda r, m=metric, p=protocol: _score(r, m, p)))
        if column.get("improvement") and improved:
            where = "" if protocol == paper["protocol"] else f" ({protocol})"
            better = "lower" if metric in LOWER_IS_BETTER else "higher"
            beside = " (reported)" if f"{metric}_{protocol}_reported" in frame else ""
            header = f"{_called(frame, metric, protocol)}{where} {better} by, %{beside}"
            columns.append(Column(header, lambda r, k=f"{metric}_{protocol}": _percent(r, k)))
    return columns


def _called(frame: Frame, metric: str, protocol: str) -> str:
    """What a column's metric is called: its usual name, or that of another network's distance."""
    key = f"{metric}_{protocol}_called"
    return frame[key].dropna().iloc[0] if _filled(frame, key) else METRICS[metric]


def _score(record: Record, metric: str, protocol: str) -> str:
    key = f"{metric}_{protocol}"
    measured = spread(record, key, DECIMALS[metric])
    run = number(record.get(f"{key}_as_run"), 3)
    beside = [spread(record, f"{key}_reported", 2), run and f"as run {run}"]
    return comparison(measured, *beside, number(record.get(f"{key}_difference"), DECIMALS[metric], "+"))


def _percent(record: Record, key: str) -> str:
    reported = number(record.get(f"{key}_improvement_percent_reported"), 1)
    return comparison(number(record[f"{key}_improvement_percent"], 1), reported)


def _shared(frame: Frame, spec: Spec, paper: Spec) -> dict[str, str]:
    """What the numbers of a metrics table are, by subject: other tables of the paper mostly say the same."""
    scores = [(column["metric"], column["protocol"]) for column in spec["columns"]]
    result = {"measured": _repetitions(frame)}
    stated = [f"{metric}_{protocol}_{by}" for metric, protocol in scores for by in ("reported", "as_run")]
    if any(_filled(frame, column) for column in stated):
        alike = [score for score in scores if _filled(frame, "{}_{}_difference".format(*score))]
        how = how_measured(spec, paper)
        named = ", ".join(f"{METRICS[m]} ({p}, {how[p]['data']})" for m, p in alike)
        result["reported"] = f"{REPORTED} {ALIKE.format(named) if alike else UNLIKE}"
        if any(_filled(frame, f"{metric}_{protocol}_as_run") for metric, protocol in scores):
            result["as run"] = AS_RUN
    if any(column.get("improvement") for column in spec["columns"]):
        named = name_of(paper["names"], **spec["base"]) if "base" in spec else "the same generator without boosting"
        result["improvements"] = IMPROVEMENTS.format(named)
    for column in (name for name in frame if name.startswith("protocol_")):
        protocol = column.removeprefix("protocol_")
        result[f"protocol {protocol}"] = f"Protocol {protocol}: {frame[column].iloc[0]}."
    return result


def _repetitions(frame: Frame) -> str:
    """What means and deviations of a table are over."""
    if not _filled(frame, "n_trainings"):
        return SEEDS
    counts = sorted({int(count) for count in frame["n_seeds"].dropna()})
    seeds = f"{' or '.join(map(str, counts))} sampling seed{'' if counts == [1] else 's'}"
    return TRAININGS.format(trainings=int(frame["n_trainings"].max()), seeds=seeds)


def _filled(frame: Frame, column: str) -> bool:
    return column in frame and frame[column].notna().any()
