from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from markupsafe import escape
from PIL import Image

from pagboost.errors import InputError
from pagboost.report import claims, figures, left_out, page, tables
from pagboost.report import render as page_tables
from pagboost.report.cells import claims_file, figure_file, table_file

VOID = {"meta", "img", "br"}


class Balanced(HTMLParser):
    """Collects ids and links, and fails on an element that is closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[key] for key in ("href", "src") if key in found]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def made(paper, measured):
    """Everything the page is gathered from, for the made-up paper."""
    images = np.zeros((2, 8, 8, 1), np.uint8)
    for generator in ("g1", "g2"):
        for boost in ("none", "good"):
            measured.samples(generator, boost, images, [0, 1])
    for name in paper["tables"]:
        tables.save(tables.table(paper, name, measured.root, {}, {}), table_file(measured.root, "made_up", name))
    figures.save(*figures.figure(paper, "figure1", measured.root, {}), figure_file(measured.root, "made_up", "figure1"))
    tables.save(claims.evaluate(paper, measured.root, {}), claims_file(measured.root, "made_up"))
    return measured


def render(paper, made) -> str:
    facts = page.provenance([paper], made.root, {}, [])
    return page.page([page.section(paper, made.root)], facts, "digits")


def test_page_is_one_well_formed_self_contained_document(paper, made):
    text = render(paper, made)
    parsed = Balanced()
    parsed.feed(text)
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    inside = [link for link in parsed.links if link.startswith("#")]
    assert {link[1:] for link in inside} == set(parsed.ids)
    assert all(link.startswith("data:image/png;base64,") for link in parsed.links if link not in inside)
    assert not re.search(r"https?://|<script|@import", text)


def test_the_page_says_what_its_scale_leaves_out(paper, made):
    without = {"because": "no time", "tables": ["table1"]}
    shown = left_out.shown(paper, without)
    text = page.page([page.section(shown, made.root, without)], [], "digits")
    assert "<p>Left out at this scale: tables table1. Why: no time.</p>" in text
    assert 'id="made_up-table1"' not in text
    assert "Left out" not in render(paper, made)


def test_page_holds_tables_figures_claims_and_provenance(paper, made):
    text = render(paper, made)
    assert '<span class="number">13.00 ± 1.41</span> <span class="number beside">(10.00)</span>' in text
    assert '<span class="number">8</span> <span class="number beside">(35)</span>' in text
    assert "First + Good, 8 steps of 0.2" in text
    assert '<td class="noise">within noise, one training</td><td class="noise">within noise</td>' in text.replace(
        "\n", ""
    )
    assert "Claims (train; one training):" in text
    assert "numpy, as the metrics state" in text and "2.0.0" in text
    assert "prefers-color-scheme: dark" in text and 'name="viewport"' in text


def test_page_shows_a_grid(grid, results):
    grid |= {"tables": {"grid": grid["tables"]["grid"]}, "figures": {}}
    grid["claims"] = [{"id": "falls", "text": "Falls", "source": "Table 5", "metric": "fid", "trend": "falls",
                       "sweep": {"g0": 0, "g1": 0.5, "g2": 1}}]  # fmt: skip
    tables.save(tables.table(grid, "grid", results.root, {}, {}), table_file(results.root, "made_up", "grid"))
    tables.save(claims.evaluate(grid, results.root, {}), claims_file(results.root, "made_up"))
    text = render(grid, results).replace("\n", "")
    assert '<th scope="col">Classifier</th><th scope="col">0</th>' in text
    five, eight = (f'<span class="number">{fid}.00 ± 0.71</span>' for fid in (5, 8))
    beside = '<span class="number beside">(7.00)</span>'
    assert f'<th scope="row">Second</th><td>{eight} {beside}</td><td></td><td>{five}</td>' in text
    held = '<td class="held">held, one training</td><td class="held">held</td>'
    assert f'{held}<td><span class="number">+1.000</span>' in text
    assert '<span class="number beside">(+1.000 to +1.000)</span>' in text


@pytest.mark.parametrize(
    ("text", "numbers", "rest"),
    [
        ("-0.01 ± 1.2 (3.00 ± 0.5; +2.00) [1] [2]", ["-0.01 ± 1.2", "(3.00 ± 0.5;", "+2.00)"], " [1] [2]"),
        ("(1000)", ["(1000)"], ""),
        ("not available (7.50) [1]", ["not available", "(7.50)"], " [1]"),
        ("< 0.001 (< 0.001)", ["&lt; 0.001", "(&lt; 0.001)"], ""),
        ("74.1 (27.48; 30.3)", ["74.1", "(27.48;", "30.3)"], ""),
        ("Sec. 4.2 (Table 1)", [], "Sec. 4.2 (Table 1)"),
        ("train over 3 seeds", [], "train over 3 seeds"),
        ("a < b", [], "a &lt; b"),
        ("", [], ""),
    ],
)
def test_numbers_of_a_cell_stay_together(text, numbers, rest):
    shown = str(page.marked_up(text))
    assert re.findall(r"<span[^>]*>([^<]*)</span>", shown) == numbers
    assert re.sub(r"<span.*</span>", "", shown) == rest


def test_what_tables_share_is_said_once_and_what_differs_below_its_table(paper, made):
    paper["tables"]["other"] = paper["tables"]["table1"] | {"per_row": ["n"]}
    paper["tables"]["again"] = paper["tables"]["table1"]
    for name in ("other", "again"):
        tables.save(tables.table(paper, name, made.root, {}, {}), table_file(made.root, "made_up", name))
    section = page.section(paper, made.root)
    assert [len(section.tables[name].remarks) for name in ("table1", "other", "again")] == [0, 2, 0]
    assert "samples per seed" not in section.tables["other"].remarks[0]
    text = render(paper, made)
    for remark in section.said:
        assert text.count(str(escape(remark))) == 1


def test_further_columns_stand_apart_each_row_with_its_name(paper, measured):
    header, rows = ["", "a", "b", "c"], [["r", "1", "2", "3"], ["s", "4", "5", "6"]]
    whole = page_tables.Rendered("t", header, rows, [], [])
    assert page.parts(whole) == [(header, rows)]
    assert page.parts(replace(whole, further=2)) == [
        (["", "a"], [["r", "1"], ["s", "4"]]),
        (["", "b", "c"], [["r", "2", "3"], ["s", "5", "6"]]),
    ]


def test_further_columns_can_be_closed(paper, made):
    spec = {"kind": "labels", "title": "Labels", "place": "Fig. 3", "rows": [{"generator": "g1", "boost": "good"}]}
    paper["tables"] = {"labels": spec}
    made.labels("g1", "good", {"0": [3, 1]})
    tables.save(tables.table(paper, "labels", made.root, {}, {}), table_file(made.root, "made_up", "labels"))
    text = render(paper, made)
    assert "<details open><summary>Further columns: Class 0, % to Class 1, %</summary>" in text
    assert text.count('<th scope="row">First + Good</th>') == 2


def test_figures_state_their_size_and_can_be_scrolled_to(paper, made):
    path = figure_file(made.root, "made_up", "figure1")
    with Image.open(path) as picture:
        width, height = picture.size
    text = render(paper, made)
    assert f'width="{width}" height="{height}" style="--own: {width}px"' in text


def test_every_verdict_has_a_colour(paper, made):
    assert set(page.VERDICT_CLASSES) == set(claims.counts(claims.evaluate(paper, made.root, {})))
    text = render(paper, made)
    assert all(f".{name} {{ background" in text for name in page.VERDICT_CLASSES.values())


def test_page_is_bit_identical(paper, made):
    assert render(paper, made) == render(paper, made)


def test_text_is_escaped(paper, made):
    paper["title"] = "a <b> & c"
    assert "a &lt;b&gt; &amp; c" in render(paper, made)


def test_provenance_counts_and_hashes(paper, made, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("scale: digits\n")
    facts = dict(page.provenance([paper, paper], made.root, {"g2": "no data"}, [config]))
    assert facts["sampling seeds"] == "0, 1"
    assert facts["sample sets scored"] == "2"
    assert facts["trainings of all networks"] == "1"
    assert re.fullmatch(r"[0-9a-f]{64}", facts["sha256 of config.yaml"])


def test_a_missing_part_is_named(paper, made):
    table_file(made.root, "made_up", "table1").unlink()
    with pytest.raises(InputError, match=r"table1\.csv: no such file"):
        page.section(paper, made.root)
