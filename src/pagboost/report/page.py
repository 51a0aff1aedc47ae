"""One self-contained page per scale: tables, figures, claims and what made them; works offline, on paper and phones."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from pagboost import artifacts
from pagboost.report import claims, figures, render, survey, tables
from pagboost.report import measured as ms
from pagboost.report.cells import cells, claims_file, figure_file, table_file

VERDICT_CLASSES = {
    claims.HELD: "held",
    claims.NOT_HELD: "not-held",
    claims.NOISE: "noise",
    claims.NOT_MEASURED: "not-measured",
}


@dataclass(frozen=True)
class Section:
    """One paper's part of the page."""

    paper: Mapping[str, Any]
    tables: dict[str, render.Rendered]
    figures: dict[str, tuple[str, str]]  # data URI and caption
    claims: render.Rendered
    counts: dict[str, dict[str, int]]  # judged by -> verdict -> number of claims


def section(paper: Mapping[str, Any], results: str | Path) -> Section:
    """Read what the workflow made for one paper: tables and claims as CSV, figures as PNG.

    Raises InputError naming a file that is missing or that another program wrote.
    """
    key = paper["key"]
    rendered = {
        name: _rendered(tables.load(table_file(results, key, name)), spec, paper)
        for name, spec in paper["tables"].items()
    }
    pictures = {}
    for name in paper["figures"]:
        path = figure_file(results, key, name)
        pictures[name] = (data_uri(path), figures.load_caption(path))
    frame = tables.load(claims_file(results, key))
    counts = {
        render.judged_by(frame, paper["protocol"]): claims.counts(frame),
        paper["second_protocol"]: claims.counts(frame, f"verdict_{paper['second_protocol']}"),
    }
    return Section(paper, rendered, pictures, render.claims(frame, paper), counts)


def _rendered(frame: tables.Frame, spec: Mapping[str, Any], paper: Mapping[str, Any]) -> render.Rendered:
    if spec["kind"] == "survey":
        return survey.people(frame, survey.Spec.of(spec))
    return render.people(frame, spec, paper)


def data_uri(path: str | Path) -> str:
    """A PNG file as text that a page can hold."""
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode("ascii")


def provenance(
    papers: Iterable[Mapping[str, Any]], results: str | Path, unavailable: Mapping[str, str], configs: Sequence[Path]
) -> list[tuple[str, str]]:
    """(fact, value) rows: package versions and seeds that the metrics files state, and the configuration's hashes."""
    found: dict[Path, ms.Measured] = {}
    for paper in papers:
        wanted = cells([spec for spec in paper["tables"].values() if spec["kind"] == "metrics"])
        found |= {one.path: one for one in ms.load(results, wanted, unavailable).values()}
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
    template = environment.get_template("page.html.j2")
    return template.render(sections=sections, facts=facts, scale=scale, verdict_classes=VERDICT_CLASSES)
