"""Captions of Snakemake's report: the papers' words, as reStructuredText takes them."""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2
import pytest
import yaml
from docutils.core import publish_parts

from pagboost.planning import captions

ROOT = Path(__file__).parents[3]
TEMPLATES = sorted((ROOT / "workflow" / "report").glob("*.rst"))


@functools.cache
def paper(name: str) -> dict:
    return yaml.safe_load((ROOT / "config" / "papers" / f"{name}.yaml").read_text())


def test_papers_have_headings():
    found = [captions.category(paper(name)) for name in ("golan2024", "ganz2021", "kawar2023")]
    assert found == ["Golan et al., NeurIPS 2024", "Ganz et al., TMLR 2022", "Kawar et al., TMLR 2023"]
    assert captions.category({"authors": ["Ann Lee"], "venue": "Here 2020"}) == "Lee, Here 2020"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_every_part_of_every_paper_fills_the_templates(template):
    """As Snakemake fills them; a mark that docutils does not understand would stand in the text as a system message."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    for name in ("golan2024", "ganz2021", "kawar2023"):
        content = paper(name)
        for part in [*content["tables"].values(), *content["figures"].values()]:
            said = captions.said(content, part)
            text = environment.from_string(template.read_text()).render(snakemake={"params": {"said": said}})
            html = publish_parts(text, writer="html")["body"]
            assert "system-message" not in html
            if "said.title" in template.read_text():
                assert " ".join(part["title"].split())[:20].replace("&", "&amp;").replace("'", "") in html.replace(
                    "'", ""
                )


def test_marks_of_a_text_are_shown_as_they_are():
    html = publish_parts(captions.escaped("a *b* `c`_ |d| e_ \\f\n\ng"), writer="html")["body"]
    assert "<p>a *b* `c`_ |d| e_ \\f g</p>" in html
