"""One self-contained page per scale: tables, figures, claims and what made them; works offline, on paper and phones."""

from __future__ import annotations

import base64
import collections
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from PIL import Image

from pagboost import artifacts
from pagboost.report import claims, figures, left_out, render, tables
from pagboost.report import measured as ms
from pagboost.report.cells import cells, claims_file, figure_file, folders, table_file
from pagboost.report.judging import plain
from pagboost.report.reported import metrics_tables

VERDICT_CLASSES = {
    claims.HELD: "held",
    claims.NOT_HELD: "not-held",
    claims.NOISE: "noise",
    claims.NOT_JUDGED: "not-judged",
    claims.NOT_MEASURED: "not-measured",
}


# What a cell of numbers is made of: what was measured, what stands beside it in parentheses, marks of notes.
NUMBERS = re.compile(r"(not available|[-+±<\d., %]*\d)?(?:(?:^| )(\([-+±<\d., ;%to]*\d\)))?((?: \[\d+\])*)")


@dataclass(frozen=True)
class Picture:
    """A figure: a data URI, the caption, width and height in pixels."""

    source: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class Section:
    """One paper's part of the page.

    said: what holds for all of its tables unless one says otherwise. left_out: which parts this scale does not have.
    """

    paper: Mapping[str, Any]
    said: list[str]
    tables: dict[str, render.Rendered]
    figures: dict[str, Picture]
    claims: render.Rendered
    counts: dict[str, dict[str, int]]  # judged by -> verdict -> number of claims
    left_out: str = ""


def section(paper: Mapping[str, Any], results: str | Path, without: Mapping[str, Any] | None = None) -> Section:
    """Read what the workflow made for one paper: tables and claims as CSV, figures as PNG.

    without: what the scale leaves out of the paper, and why; `paper` does not have it any more (left_out.shown).
    Raises InputError naming a file that is missing or that another program wrote.
    """
    key = paper["key"]
    rendered = {
        name: render.people(tables.load(table_file(results, key, name)), spec, paper)
        for name, spec in paper["tables"].items()
    }
    said = said_once(rendered.values())
    rendered = {name: _without(one, said) for name, one in rendered.items()}
    pictures = {name: _picture(figure_file(results, key, name)) for name in paper["figures"]}
    frame = tables.load(claims_file(results, key))
    over, second = render.trainings_of(frame), paper["second_protocol"]
    counts = {
        "; ".join(filter(None, (judged_by, over))): claims.counts(frame, column)
        for judged_by, column in (
            (render.judged_by(frame, paper["protocol"]), "verdict"),
            (second, f"verdict_{second}"),
        )
    }
    said_of = list(said.values()), rendered, pictures, render.claims(frame, paper), counts
    return Section(paper, *said_of, left_out.said(without))


def verdict_class(text: str) -> str:
    """How a cell that says a verdict is coloured; empty for any other text."""
    return VERDICT_CLASSES.get(plain(text), "")


def said_once(rendered: Iterable[render.Rendered]) -> dict[str, str]:
    """{subject: what most tables say of it}, of equally many the first, subjects in the order they occur."""
    remarks: dict[str, collections.Counter[str]] = {}
    for one in rendered:
        for subject, text in one.shared.items():
            remarks.setdefault(subject, collections.Counter())[text] += 1
    return {subject: counts.most_common(1)[0][0] for subject, counts in remarks.items()}


def _without(rendered: render.Rendered, said: Mapping[str, str]) -> render.Rendered:
    """A table without the remarks that are said once: those in which it differs stay below it."""
    own = [text for subject, text in rendered.shared.items() if said[subject] != text]
    return replace(rendered, remarks=[*rendered.remarks, *own], shared={})


def parts(rendered: render.Rendered) -> list[tuple[list[str], list[list[str]]]]:
    """(header, rows) of a table, and apart from it those of its further columns, each row with its name."""
    if not rendered.further:
        return [(rendered.header, rendered.rows)]
    first = len(rendered.header) - rendered.further
    lines = [rendered.header, *rendered.rows]
    split = [line[:first] for line in lines], [[line[0], *line[first:]] for line in lines]
    return [(header, rows) for header, *rows in split]


def _picture(path: Path) -> Picture:
    caption = figures.load_caption(path)
    with Image.open(path) as picture:
        return Picture(data_uri(path), caption, *picture.size)


def marked_up(text: str) -> Markup:
    """A cell's text as HTML: numbers that belong together stay on one line, what stands beside them may go below."""
    found = NUMBERS.fullmatch(text)
    if not text or found is None:
        return escape(text)
    measured, beside, marks = found.groups()
    pieces = [("number beside", piece) for piece in re.split("(?<=;) ", beside or "") if piece]
    if measured:
        pieces.insert(0, ("number", measured))
    return Markup(" ").join(Markup('<span class="{}">{}</span>').format(*piece) for piece in pieces) + marks


def data_uri(path: str | Path) -> str:
    """A PNG file as text that a page can hold."""
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode("ascii")


def provenance(
    papers: Iterable[Mapping[str, Any]],
    results: str | Path,
    unavailable: Mapping[str, str],
    configs: Sequence[Path],
    trainings: Sequence[int] = (),
) -> list[tuple[str, str]]:
    """(fact, value) rows: package versions and seeds that the metrics files state, and the configuration's hashes.

    trainings: those beyond the first, whose metrics are gathered too.
    """
    found: dict[Path, ms.Measured] = {}
    for paper in papers:
        repeated = ms.repeated(folders(results, trainings), cells(metrics_tables(paper)), unavailable)
        found |= {one.path: one for one in ms.of_trainings(repeated.values())}
    versions: dict[str, set[str]] = {}
    seeds: set[str] = set()
    for one in found.values():
        for package, version in one.provenance.get("versions", {}).items():
            versions.setdefault(package, set()).add(version)
        seeds |= {seed for scores in one.protocols.values() for seed in scores["seeds"]}
    return [
        *(
            (f"{package}, as the metrics state", ", ".join(sorted(found)))
            for package, found in sorted(versions.items())
        ),
        ("trainings of all networks", str(1 + len(trainings))),
        ("sampling seeds", ", ".join(sorted(seeds, key=int))),
        ("sample sets scored", str(len(found))),
        *((f"sha256 of {path.name}", artifacts.file_hash(path)) for path in configs),
    ]


def page(sections: Sequence[Section], facts: Sequence[tuple[str, str]], scale: str) -> str:
    """The page as HTML, without date or host: equal results give equal pages."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"marked_up": marked_up, "parts": parts, "verdict_class": verdict_class}
    template = environment.get_template("page.html.j2")
    return template.render(sections=sections, facts=facts, scale=scale, verdict_classes=VERDICT_CLASSES)
