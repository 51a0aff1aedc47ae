"""Tables for people: measured beside reported, notes below; as Markdown and LaTeX (the page shows the same parts)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pagboost.options.studies import COUNT
from pagboost.report import claims as verdicts
from pagboost.report import inequalities, sweeps
from pagboost.report.columns import Column, Record, comparison, number
from pagboost.report.judging import plain
from pagboost.report.measured import DECIMALS
from pagboost.report.sheets import Frame, Rendered, Spec, sheet

CLAIMS = (
    "A claim says that a metric is lower on one side than on the other. The difference is of numbers measured here, "
    "above zero if the claim holds; the paper's are compared with it in percent alone. Intervals are Student's, 95 %, "
)
ONE_TRAINING = (
    "over sampling seeds paired between the two sides. The networks were trained once: a verdict speaks of these "
    "networks, and another training may well change it. A single seed has no interval and is not judged."
)
RESAMPLED = (
    "over resamplings of the images where there is one sampling seed, the same images on both sides: normal, around "
    "the difference, as wide as that varies over them. The networks were trained once and every set was drawn once: a "
    "verdict speaks of these networks, and another training may well change it."
)
TRAININGS = (
    "over {trainings} trainings of all networks, each with its mean difference over sampling seeds that are paired "
    "between the two sides. Data, references and extractors are the same in all of them."
)
HOLM = (
    "Intervals and the verdicts beside them are not corrected for the number of claims. The verdicts by Holm's "
    "step-down procedure are: made from the same t statistics over all {judged} claims that are judged in the first "
    "column of verdicts, so that with a chance of at most 5 % any of them is held or not held where there is no "
    "difference."
)
OTHER_UNITS = (
    "Claims that are not measured against both references (a number of samples of its own, target labels, a study, "
    "candidate lengths) are judged once. Claims about a study pair images or pairs of images instead of sampling seeds."
)
EQUAL = (
    "A claim that two sides are about equal holds where the whole interval of the difference lies within the stated "
    "share of the second side, either way, and does not where it lies outside of it; the share's own spread counts "
    "too. Its p is that of the two one-sided tests."
)
CHOSEN = (
    "A claim that too short and too long are worse holds where the best of a boost's candidate lengths, by FID of "
    "validation samples, is neither the shortest nor the longest. It has no interval and no p: of each training it is "
    "a yes or a no, made from the scores that the length was chosen by. Its difference is the share of trainings."
)
LONGEST = (
    "After the longest walk: FID of validation samples after the longest of the candidate lengths, the same for both "
    "boosts, one number for each training."
)
SWEEPS = (
    "Claims about guidance scales s: a trend is, for each sampling seed, Spearman's rank correlation of the metric "
    "with s, compared with 0. The best of a sweep is chosen by its mean over the other sampling seeds, never by the "
    "seed it is compared on; s of the best is that of the best at each seed. "
)
SWEEPS_OF_ONE = (
    "Choices of different seeds share scores, so that intervals are approximate; where all seeds give one and the same "
    "difference, its interval has no width."
)
SWEEPS_OF_SEVERAL = (
    "Every training chooses for itself; where all trainings give one and the same difference, its interval has no "
    "width."
)
EXACT = (
    "What is counted is exact and the same in every training: a claim about it is judged by the difference alone, "
    "without interval and p."
)
NOT_HERE = "not available"


def people(frame: Frame, spec: Spec, paper: Spec) -> Rendered:
    """The readable form of a machine table made for `spec`, one of the paper's tables."""
    return sheet(spec, paper).people(frame)


def rendered(frame: Frame, spec: Spec, shown: Sequence[Column], shared: Mapping[str, str] | None = None) -> Rendered:
    """A table under these columns, a line per row or as a grid, its notes numbered; shared: see Rendered."""
    notes: list[str] = []
    header, rows = _grid(frame, spec["grid"], shown, notes) if "grid" in spec else _list(frame, shown, notes)
    remarks = [spec["note"].strip()] if "note" in spec else []
    if "grid" in spec and len(shown) == 1:
        remarks.append(f"In each cell: {shown[0].header}.")
    further = sum(column.further for column in shown)
    return Rendered(heading(spec["title"], spec["place"]), header, rows, notes, remarks, dict(shared or {}), further)


def heading(title: str, place: str) -> str:
    """What a table is called, and where the paper prints it."""
    return f"{title} ({place})"


def _list(frame: Frame, shown: Sequence[Column], notes: list[str]) -> tuple[list[str], list[list[str]]]:
    """Header and one line per row of the machine table, named by its label."""
    rows = [[record["label"] + _marks(notes, record), *_texts(record, shown)] for record in frame.to_dict("records")]
    return ["", *(column.header for column in shown)], rows


def _grid(
    frame: Frame, grid: Mapping[str, str], shown: Sequence[Column], notes: list[str]
) -> tuple[list[str], list[list[str]]]:
    """Header and one line per row of the grid and shown column; a place that the paper leaves empty stays empty."""
    texts: dict[tuple[str, str], list[str]] = {}
    for record in frame.to_dict("records"):
        marks = _marks(notes, record)
        texts[record["row"], record["column"]] = [(text + marks).strip() for text in _texts(record, shown)]
    places = list(dict.fromkeys(frame["column"]))
    empty = [""] * len(shown)
    rows = [
        [row, *([column.header] if len(shown) > 1 else []), *(texts.get((row, place), empty)[i] for place in places)]
        for row in dict.fromkeys(frame["row"])
        for i, column in enumerate(shown)
    ]
    return [grid["corner"], *(["Metric"] if len(shown) > 1 else []), *places], rows


def _texts(record: Record, shown: Sequence[Column]) -> list[str]:
    """A record's cells; where nothing can be measured, what a cell holds is the reported number."""
    cells = [column.text(record) for column in shown]
    if not record["unavailable"]:
        return cells
    return [
        f"{NOT_HERE} {text}".rstrip() if column.measured else text for column, text in zip(shown, cells, strict=True)
    ]


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
    elsewhere = bool((frame["basis"] != main).any())
    basis = Column("Measured by", lambda r: " over ".join(filter(None, (r["basis"], _units(r)))))
    shown = [
        Column("Claim", name),
        Column("Where", lambda r: r["source"]),
        *([basis] if elsewhere else []),
        Column(f"Verdict ({own})", lambda r: r["verdict"]),
        Column("The same by Holm's procedure", lambda r: r["verdict_holm"]),
        Column(f"Difference, 95 % interval ({own})", lambda r: _interval(r, "")),
        Column("Lower by, % (stated; by the paper's numbers)", _claimed_percent),
        Column(f"Verdict ({second})", lambda r: r[f"verdict_{second}"]),
        Column(f"Difference, 95 % interval ({second})", lambda r: _interval(r, f"_{second}")),
        Column("By the paper's numbers", lambda r: in_paper[r["holds_in_paper"]]),
    ]
    rows = [[column.text(record) for column in shown] for record in frame.to_dict("records")]
    sweeping = frame["quantity"].isin(sweeps.QUANTITIES.values()).any()
    trainings = verdicts.number_of_trainings(frame) or 1
    resampled = frame["basis"].str.endswith(inequalities.BOOTSTRAP).any()
    over = TRAININGS.format(trainings=trainings) if trainings > 1 else RESAMPLED if resampled else ONE_TRAINING
    swept = SWEEPS + (SWEEPS_OF_SEVERAL if trainings > 1 else SWEEPS_OF_ONE)
    judged = int((frame["verdict"].map(plain).isin(verdicts.JUDGED) & frame["ci_low"].notna()).sum())
    other = own != main
    remarks = [CLAIMS + over, *([OTHER_UNITS] if other else []), *([swept] if sweeping else [])]
    remarks += [EQUAL] if frame["quantity"].str.contains("within").any() else []
    remarks += [CHOSEN] if (frame["quantity"] == verdicts.BEST_INSIDE).any() else []
    remarks += [LONGEST] if (frame["quantity"] == verdicts.AFTER_LONGEST).any() else []
    remarks += [EXACT] if (frame["unit"] == COUNT).any() else []
    remarks += [_disagreement(frame, main, second), HOLM.format(judged=judged)]
    return Rendered(f"Claims: {paper['title']}", [column.header for column in shown], rows, notes, remarks)


def judged_by(frame: Frame, main: str) -> str:
    """What a paper's first verdicts are measured by: its own protocol, and for some claims something else."""
    own = (main, inequalities.basis({}, main, bootstrapped=True))
    return main if frame["basis"].isin(own).all() else f"{main}, or as stated"


def trainings_of(frame: Frame) -> str:
    """How many trainings a claims table's verdicts are over, in words; empty where nothing is measured."""
    count = verdicts.number_of_trainings(frame)
    return {None: "", 1: "one training"}.get(count, f"over {count} trainings")


def _units(record: Record) -> str:
    """How many sampling seeds or images a claim pairs, in each of how many trainings if there are several."""
    if record["unit"] == COUNT:
        return ""
    count, trainings = (number(record[key], 0) for key in ("n_pairs", "trainings"))
    unit = "candidate" if record["quantity"] == verdicts.BEST_INSIDE else record["unit"]
    units = f"{count} {unit}{'' if count == '1' else 's'}" if count else ""
    return f"{trainings} trainings of {units}" if trainings not in ("", "1") else units


def _claimed_percent(record: Record) -> str:
    keys = ("improvement_percent", "stated_percent", "improvement_percent_reported")
    return comparison(*(number(record[key], places) for key, places in zip(keys, (1, 2, 1), strict=True)))


def _interval(record: Record, suffix: str) -> str:
    of_ranks_or_s = record["quantity"].startswith(("rank", sweeps.QUANTITIES["optimum"]))
    places = 3 if of_ranks_or_s else DECIMALS.get(record["metric"], 3)
    difference, low, high = (number(record[key + suffix], places, "+") for key in ("difference", "ci_low", "ci_high"))
    return f"{difference} ({low} to {high})" if low else difference


def _disagreement(frame: Frame, main: str, second: str) -> str:
    """Which claims the two protocols judge differently."""
    split = frame.loc[frame["protocols_agree"] == "no", "id"]
    if split.empty:
        return f"The verdicts against {main} and {second} agree on every claim that was judged under both."
    return f"The verdicts against {main} and {second} disagree on {len(split)} claims: {', '.join(split)}."


def markdown(rendered: Rendered) -> str:
    """A GitHub-flavoured Markdown table under its title, numbered notes and remarks below it."""
    lines = [f"### {rendered.title}", "", _row(rendered.header), _row(["---"] * len(rendered.header))]
    lines += [_row(row) for row in rendered.rows]
    for paragraph in _below(rendered):
        lines += ["", paragraph.replace("[", "\\[")]
    return "\n".join(lines) + "\n"


def _below(rendered: Rendered) -> list[str]:
    """All that stands below a table that stands alone."""
    notes = [f"[{i}] {note}" for i, note in enumerate(rendered.notes, 1)]
    return [*notes, *rendered.remarks, *rendered.shared.values()]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("[", "\\[") for cell in cells) + " |"


def latex(rendered: Rendered) -> str:
    """A LaTeX table* with the same text; needs the package booktabs."""
    body = [" & ".join(map(_escape, row)) + r" \\" for row in (rendered.header, *rendered.rows)]
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
        *(rf"\par\footnotesize {_escape(text)}" for text in _below(rendered)),
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    special = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    special |= {"^": r"\textasciicircum{}", "±": r"$\pm$", "<": r"$<$", ">": r"$>$"}
    return "".join(special.get(character, character) for character in text)
