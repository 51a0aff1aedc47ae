"""Tables for people: measured beside reported, notes below; as Markdown and LaTeX (the page shows the same parts)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pagboost.report import columns
from pagboost.report.columns import Column, Record, comparison, number
from pagboost.report.measured import DECIMALS
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
OTHER_UNITS = (
    "Claims that are not measured against both references (a number of samples of its own, target labels, a study) are "
    "judged once. Claims about a study pair images or pairs of images instead of sampling seeds."
)
NOT_HERE = "not available"


@dataclass(frozen=True)
class Rendered:
    """What a reader sees: header and rows of text; marks [1], [2], … in rows refer to notes; remarks stand below."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]
    remarks: list[str]


def people(frame: Frame, spec: Mapping[str, Any], paper: Mapping[str, Any]) -> Rendered:
    """The readable form of a machine table made for `spec`, one of the paper's tables."""
    shown = columns.of(frame, spec, paper)
    notes: list[str] = []
    rows = []
    for record in frame.to_dict("records"):
        cells = [column.text(record) for column in shown]
        if record["unavailable"]:  # nothing measured, so what a cell holds is the reported number
            cells = [
                f"{NOT_HERE} {text}".rstrip() if column.measured else text
                for column, text in zip(shown, cells, strict=True)
            ]
        rows.append([record["label"] + _marks(notes, record), *cells])
    remarks = [spec["note"].strip()] if "note" in spec else []
    stated = [column for column in frame if column.startswith("protocol_")]
    if stated:
        remarks.append(SEEDS)
    remarks += [f"Protocol {column.removeprefix('protocol_')}: {frame[column].iloc[0]}." for column in stated]
    return Rendered(
        f"{spec['title']} ({spec['place']})", ["", *(column.header for column in shown)], rows, notes, remarks
    )


def _marks(notes: list[str], record: Record) -> str:
    """Marks of a row's notes, [1] [2], each text numbered when it first occurs."""
    marks = ""
    for text in filter(None, (record["unavailable"], record["note"])):
        if text not in notes:
            notes.append(text)
        marks += f" [{notes.index(text) + 1}]"
    return marks


def claims(frame: Frame, paper: Mapping[str, Any]) -> Rendered:
    """The readable form of a claims table: what was claimed, what was measured, and the verdicts."""
    main, second = paper["protocol"], paper["second_protocol"]
    generators = paper["names"]["generators"]
    in_paper = {"yes": "holds", "no": "does not hold", "": ""}
    notes: list[str] = []

    def name(record: Record) -> str:
        generator = generators.get(record["id"].partition("/")[2])
        return ": ".join(filter(None, (generator, record["text"]))) + _marks(notes, record)

    own = judged_by(frame, main)
    elsewhere = own != main
    basis = Column("Measured by", lambda r: " over ".join(filter(None, (r["basis"], _units(r)))))
    shown = [
        Column("Claim", name),
        Column("Where", lambda r: r["source"]),
        *([basis] if elsewhere else []),
        Column(f"Verdict ({own})", lambda r: r["verdict"]),
        Column(f"Difference, 95 % interval ({own})", lambda r: _interval(r, "")),
        Column("Lower by, % (stated; by the paper's numbers)", _claimed_percent),
        Column(f"Verdict ({second})", lambda r: r[f"verdict_{second}"]),
        Column(f"Difference, 95 % interval ({second})", lambda r: _interval(r, f"_{second}")),
        Column("By the paper's numbers", lambda r: in_paper[r["holds_in_paper"]]),
    ]
    rows = [[column.text(record) for column in shown] for record in frame.to_dict("records")]
    remarks = [CLAIMS, *([OTHER_UNITS] if elsewhere else []), _disagreement(frame, main, second)]
    return Rendered("Claims", [column.header for column in shown], rows, notes, remarks)


def judged_by(frame: Frame, main: str) -> str:
    """What a paper's first verdicts are measured by: its own protocol, and for some claims something else."""
    return f"{main}, or as stated" if (frame["basis"] != main).any() else main


def _units(record: Record) -> str:
    """How many sampling seeds or images a claim pairs."""
    count = number(record["n_pairs"], 0)
    return f"{count} {record['unit']}{'' if count == '1' else 's'}" if count else ""


def _claimed_percent(record: Record) -> str:
    keys = ("improvement_percent", "stated_percent", "reported_improvement_percent")
    return comparison(*(number(record[key], places) for key, places in zip(keys, (1, 2, 1), strict=True)))


def _interval(record: Record, suffix: str) -> str:
    places = 3 if record["quantity"].startswith("rank") else DECIMALS.get(record["metric"], 3)
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
