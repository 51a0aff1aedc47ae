"""Writes what follows from the classes of options: schemas for editors, tables for two documents.

python -m pagboost.options.documents        (make options)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from pagboost.options import kinds
from pagboost.options.kinds import Declared, Doc, Options, Refers, hints
from pagboost.options.papers import Paper
from pagboost.options.reading import described, is_options, members, unwrapped
from pagboost.options.scale import Scale
from pagboost.options.schema import schema, summary

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "workflow" / "schemas"
# {a document: (whose options its tables are of, the first one's title)}
TABLES: dict[Path, tuple[type[Options], str]] = {
    ROOT / "docs" / "configuration.md": (Scale, "Keys of a scale"),
    ROOT / "docs" / "papers.md": (Paper, "Keys of a paper"),
}
BEGIN, END = "<!-- made by `make options` from src/pagboost/options: edit there -->", "<!-- end -->"
# what scale files have besides: it is resolved before a scale is read
BASE = {"base": {"type": "string", "description": "a scale this one is built on: its keys are merged over that one's"}}


def documents() -> dict[Path, str]:
    """{file: its content as it should be}."""
    scale, paper = schema(Scale, "A scale, or what goes over one", BASE), schema(Paper, "A paper as data")
    schemas = {"scale": scale, "paper": paper}
    made = {SCHEMAS / f"{name}.schema.json": json.dumps(body, indent=1) + "\n" for name, body in schemas.items()}
    for path, (top, title) in TABLES.items():
        before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        made[path] = f"{before}{BEGIN}\n\n{tables(top, title)}\n{END}{after}"
    return made


def tables(top: type[Options], title: str) -> str:
    """Markdown: the options of a class, then of every class below it, each once."""
    parts = [_table(top, title)]
    parts += [_table(cls, _title(cls)) for cls in _below(top, {top}) if hints(cls) or "kind" in vars(cls)]
    return "\n".join(parts)


def _title(cls: type[Options]) -> str:
    return f"{cls.__name__}: `{cls.tag}: {cls.kind}`" if "kind" in vars(cls) else cls.__name__


def _below(cls: type[Options], seen: set[type[Options]]) -> Iterator[type[Options]]:
    """The classes that the options of a class are of, first those of a family's kinds."""
    found: list[type[Options]] = []
    for hint in hints(cls).values():
        for one in _classes(hint):
            found += [one, *one.kinds().values()] if kinds.is_family(one) else [one]
    for one in found:
        if one not in seen:
            seen.add(one)
            if not kinds.is_family(one):
                yield one
            yield from _below(one, seen)


def _classes(hint: Any) -> Iterator[type[Options]]:
    plain, _ = unwrapped(hint)
    if is_options(plain):
        yield plain
    for part in get_args(plain) if get_origin(plain) is not Literal else ():
        yield from _classes(part)


def _table(cls: type[Options], title: str) -> str:
    lines = [f"### {title}", "", summary(cls), ""]
    rows = [_row(cls, name, hint) for name, hint in hints(cls).items()]
    if rows:
        lines += ["| option | value | unit | default | meaning |", "|---|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _row(cls: type[Options], name: str, hint: Any) -> str:
    _, marks = unwrapped(hint)
    doc = next((mark for mark in marks if isinstance(mark, Doc)), Doc(""))
    declared = any(isinstance(mark, Declared) for mark in marks)
    defaults = kinds.defaults(cls)
    default = "needed" if name not in defaults or declared else f"`{json.dumps(msgspec.to_builtins(defaults[name]))}`"
    cells = (f"`{name}`", _value(hint), doc.unit, default, doc.text)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _value(hint: Any) -> str:
    """A type in words: classes by their tables' names, references by what they name."""
    plain, marks = unwrapped(hint)
    for mark in marks:
        if isinstance(mark, Refers):
            kind = f" ({', '.join(mark.kinds)})" if mark.kinds else ""
            return f"one of `{mark.section}`{kind}"
    if is_options(plain):
        if kinds.is_family(plain):
            return f"{plain.__name__}: {', '.join(f'`{kind}`' for kind in plain.kinds())}"
        return f"[{plain.__name__}](#{_anchor(_title(plain))})"
    if get_origin(plain) is list:
        return f"list, each {_value(get_args(plain)[0])}"
    if get_origin(plain) is dict:
        return f"{{name: {_value(get_args(plain)[1])}}}"
    several = members(plain)
    return " or ".join(_value(one) for one in several) if len(several) > 1 else described(hint)


def _anchor(title: str) -> str:
    """How a heading is linked to."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def main() -> None:
    """Write all of them."""
    for path, content in documents().items():
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
