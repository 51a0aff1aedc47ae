"""Names of classes, by number: from a list, from JSON, or from a text file with one a line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pagboost import artifacts
from pagboost.errors import InputError

EXPECTED = "expected one name for every class (JSON: a list; else: one a line)"


def load(source: str | Path | Sequence[str], where: str = "names") -> list[str]:
    """Class names, by number: a list, such a list as JSON, or a file (.json, or text with one name a line).

    JSON may be the index that torchvision and Keras have, {"0": ["n01440764", "tench"], ...}: its last names, in the
    order of the numbers. Files are UTF-8, or UTF-16 with a byte-order mark. `where` names a list in errors.
    Raises InputError in one line for a missing file, another encoding, broken JSON, and an empty name.
    """
    if not isinstance(source, (str, Path)):
        return _checked(source, where)
    if str(source).lstrip().startswith(("[", "{")):
        return _checked(_json(str(source), where), where)
    with artifacts.readable(Path(source), "class names"):
        text = _decoded(Path(source).read_bytes(), str(source))
    if Path(source).suffix.lower() == ".json":
        return _checked(_json(text, str(source)), str(source))
    # no splitlines(): names may hold what else Unicode counts as the end of a line
    return _checked(text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n"), str(source), "line")


def _decoded(content: bytes, where: str) -> str:
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
        start = text.find("\0")  # UTF-16 without its mark decodes as UTF-8, letter by letter
    except UnicodeDecodeError as error:
        start = error.start
    if start >= 0:
        line = content.count(b"\n", 0, start) + 1
        raise InputError(f"{where}: line {line} holds byte 0x{content[start]:02x}, expected UTF-8 text")
    return text


def _json(text: str, where: str) -> Any:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        quotes = ', which has double quotes: ["zero", "one"]' if text.lstrip("[{ \n").startswith("'") else ""
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{where}: not valid JSON ({error.msg}: {place}){quotes}, {EXPECTED}") from error
    if not isinstance(found, dict):
        return found
    numbers = [str(number) for number in range(len(found))]
    if set(found) != set(numbers):
        wrong = next(key for key in found if key not in numbers)
        raise InputError(f"{where}: has key {wrong!r}, expected a list, or names by number: 0..{len(found) - 1}")
    entries = (found[number] for number in numbers)
    return [entry[-1] if isinstance(entry, list) and entry else entry for entry in entries]


def _checked(names: Any, where: str, of: str = "name") -> list[str]:
    """Names without the spaces around them; `of` says in an error what is counted, from line 1, or from name 0."""
    if not isinstance(names, Sequence) or isinstance(names, str) or not names:
        raise InputError(f"{where}: not a list of names, {EXPECTED}")
    for number, name in enumerate(names, start=int(of == "line")):
        if not isinstance(name, str):
            raise InputError(f"{where}: not a list of names ({of} {number} is {name!r}), {EXPECTED}")
        if not name.strip():
            raise InputError(f"{where}: not a list of names ({of} {number} is empty), {EXPECTED}")
        if any("\ud800" <= letter <= "\udfff" for letter in name):  # of JSON, or of a terminal's other encoding
            raise InputError(f"{where}: {of} {number} is {name!r}, half a character, expected UTF-8 text")
    return [name.strip() for name in names]
