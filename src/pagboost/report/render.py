"""Tables for people: measured beside reported, notes below; as Markdown and LaTeX (the page shows the same parts)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pagboost.report.cells import RAW
from pagboost.report.measured import DECIMALS, LOWER_IS_BETTER, METRICS
from pagboost.report.tables import Frame

SEEDS = (
    "Measured mean ± standard deviation over sampling seeds (reported; measured - reported). The networks were trained "
    "once, so the deviation says nothing about another training run."
)
CLAIMS = (
    "A claim says that a metric is lower on one side than on the other; the difference is above zero if it holds. "
    "Intervals are Student's, 95 %, over sampling seeds paired between the two sides; the networks were trained once, "
    "and the intervals are not corrected for the number of claims. A single seed has no interval: within noise."
)
NOT_HERE = "not available"

Record = Mapping[str, Any]
Column = tuple[str, Callable[[Record], str]]  # header, and a cell's text from a row of the machine table


@dataclass(frozen=True)
class Rendered:
    """What a reader sees: header and rows of text; marks [1], [2], … in rows refer to notes; remarks stand below."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]
    remarks: list[str]


def number(value: float | None, decimals: int, sign: str = "") -> str:
    """A number in fixed notation, sign="+" to show it always; empty if missing; never a minus zero."""
    if value is None or pd.isna(value):
        return ""
    text = f"{value:{sign}.{decimals}f}"
    return text if text.strip("+-0.") else f"{0:{sign}.{decimals}f}"


def comparison(measured: str, *beside: str) -> str:
    """`measured (beside; beside)`, without what is empty."""
    stated = "; ".join(filter(None, beside))
    return f"{measured} ({stated})".lstrip() if stated else measured


def people(frame: Frame, spec: Mapping[str, Any], protocol: str) -> Rendered:
    """The readable form of a machine table made for `spec`; `protocol` is the one the paper's numbers belong to."""
    columns = {"metrics": _metrics_columns, "steps": _steps_columns}[spec["kind"]](frame, spec, protocol)
    columns = [("NFE (reported)", lambda r: comparison(number(r["nfe"], 0), number(r["nfe_reported"], 0))), *columns]
    notes: list[str] = []
    rows = []
    for record in frame.to_dict("records"):
        cells = [text(record) for _, text in columns]
        if record["unavailable"]:  # nothing measured, so what a cell holds is the reported number
            cells = [cells[0], *(f"{NOT_HERE} {reported}".rstrip() for reported in cells[1:])]
        rows.append([record["label"] + _marks(notes, record), *cells])
    remarks = [spec["note"].strip()] if "note" in spec else []
    stated = [column for column in frame if column.startswith("protocol_")]
    if stated:
        remarks.append(SEEDS)
    remarks += [f"Protocol {column.removeprefix('protocol_')}: {frame[column].iloc[0]}." for column in stated]
    return Rendered(f"{spec['title']} ({spec['place']})", ["", *(name for name, _ in columns)], rows, notes, remarks)


def _marks(notes: list[str], record: Record) -> str:
    """Marks of a row's notes, [1] [2], each text numbered when it first occurs."""
    marks = ""
    for text in filter(None, (record["unavailable"], record["note"])):
        if text not in notes:
            notes.append(text)
        marks += f" [{notes.index(text) + 1}]"
    return marks


def _metrics_columns(frame: Frame, spec: Mapping[str, Any], protocol: str) -> list[Column]:
    columns: list[Column] = [(fact, lambda r, fact=fact: number(r[fact], 0)) for fact in spec.get("per_row", [])]
    for column in spec["columns"]:
        metric, name = column["metric"], column["protocol"]
        own = name == protocol
        columns.append((f"{METRICS[metric]} ({name})", lambda r, m=metric, p=name, own=own: _score(r, m, p, own)))
        if own and metric in LOWER_IS_BETTER and (frame["boost"] != RAW).any():
            columns.append((f"{METRICS[metric]} lower by, % (reported)", lambda r, m=metric, p=name: _percent(r, m, p)))
    return columns


def _score(record: Record, metric: str, protocol: str, own: bool) -> str:
    key = f"{metric}_{protocol}"
    measured = " ± ".join(filter(None, (number(record[k], DECIMALS[metric]) for k in (key, f"{key}_std"))))
    if not own:
        return measured
    return comparison(measured, number(record[f"{metric}_reported"], 2), number(record[f"{metric}_difference"], 2, "+"))


def _percent(record: Record, metric: str, protocol: str) -> str:
    measured = number(record[f"{metric}_{protocol}_improvement_percent"], 1)
    return comparison(measured, number(record[f"{metric}_reported_improvement_percent"], 1))


def _steps_columns(frame: Frame, spec: Mapping[str, Any], protocol: str) -> list[Column]:
    def text(record: Record, key: str, places: int) -> str:
        beside = number(record[f"{key}_reported"], places), number(record[f"{key}_difference"], places, "+")
        return comparison(number(record[key], places), *beside)

    return [
        ("Steps (reported; difference)", lambda r: text(r, "steps", 0)),
        ("Step size (reported; difference)", lambda r: text(r, "alpha", 3)),
    ]


def claims(frame: Frame, paper: Mapping[str, Any]) -> Rendered:
    """The readable form of a claims table: what was claimed, what was measured, and the verdicts."""
    main, second = paper["protocol"], paper["second_protocol"]
    generators = paper["names"]["generators"]
    in_paper = {"yes": "holds", "no": "does not hold", "": ""}
    notes: list[str] = []

    def name(record: Record) -> str:
        generator = generators.get(record["id"].partition("/")[2])
        return ": ".join(filter(None, (generator, record["text"]))) + _marks(notes, record)

    columns: list[Column] = [
        ("Claim", name),
        ("Where", lambda r: r["source"]),
        (f"Verdict ({main})", lambda r: r["verdict"]),
        (f"Difference, 95 % interval ({main})", lambda r: _interval(r, "")),
        ("Lower by, % (stated; by the paper's numbers)", _claimed_percent),
        (f"Verdict ({second})", lambda r: r[f"verdict_{second}"]),
        (f"Difference, 95 % interval ({second})", lambda r: _interval(r, f"_{second}")),
        ("By the paper's numbers", lambda r: in_paper[r["holds_in_paper"]]),
    ]
    rows = [[text(record) for _, text in columns] for record in frame.to_dict("records")]
    remarks = [CLAIMS, _disagreement(frame, main, second)]
    return Rendered("Claims", [header for header, _ in columns], rows, notes, remarks)


def _claimed_percent(record: Record) -> str:
    keys = ("improvement_percent", "stated_percent", "reported_improvement_percent")
    return comparison(*(number(record[key], places) for key, places in zip(keys, (1, 2, 1), strict=True)))


def _interval(record: Record, suffix: str) -> str:
    places = DECIMALS[record["metric"]]
    difference, low, high = (number(record[key + suffix], places, "+") for key in ("difference", "ci_low", "ci_high"))
    return f"{difference} ({low} to {high})" if low else difference


def _disagreement(frame: Frame, main: str, second: str) -> str:
    """Which claims the two protocols judge differently."""
    split = frame.loc[frame["protocols_agree"] == "no", "id"]
    if split.empty:
        return f"The verdicts against {main} and {second} agree on every claim that was measured under both."
    return f"The verdicts against {main} and {second} disagree on {len(split)} claims: {', '.join(split)}."


def markdown(rendered: Rendered) -> str:
    """A GitHub-flavoured Markdown table under its title, numbered notes and remarks below it."""
    lines = [f"### {rendered.title}", "", _row(rendered.header), _row(["---"] * len(rendered.header))]
    lines += [_row(row) for row in rendered.rows]
    for paragraph in (*(f"[{i}] {note}" for i, note in enumerate(rendered.notes, 1)), *rendered.remarks):
        lines += ["", paragraph.replace("[", "\\[")]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("[", "\\[") for cell in cells) + " |"


def latex(rendered: Rendered) -> str:
    """A LaTeX table* with the same text; needs the package booktabs."""
    body = [" & ".join(map(_escape, row)) + r" \\" for row in (rendered.header, *rendered.rows)]
    notes = [f"[{i}] {note}" for i, note in enumerate(rendered.notes, 1)] + rendered.remarks
    lines = [
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{_escape(rendered.title)}}}",
        r"\begin{tabular}{l" + "r" * (len(rendered.header) - 1) + "}",
        r"\toprule",
        body[0],
        r"\midrule",
        *body[1:],
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {_escape(note)}" for note in notes),
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    special = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    special |= {"^": r"\textasciicircum{}", "±": r"$\pm$", "<": r"$<$", ">": r"$>$"}
    return "".join(special.get(character, character) for character in text)
